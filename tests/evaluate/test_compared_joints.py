import json

import nibabel
import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.compare import Examination, compare_study, failed_study
from facetgrade.evaluate.settings import DefinitionSettings
from facetgrade.evaluate.truth import TruthError, read_labels, read_truth
from facetgrade.findings import (
    Extents,
    Graded,
    Interval,
    JointFrame,
    JointMasks,
    LocatedJoint,
    Reason,
    SequenceGrade,
    Ungradable,
)
from facetgrade.geometry import VolumeGeometry
from facetgrade.study import Sequence

LEFT = FacetJoint(Level.L4_L5, Side.LEFT)
RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)
DEFINITIONS = DefinitionSettings(
    tolerance_mm=10.0,
    surface_tolerance_mm=1.0,
    floor_mm3=1.0,
    least_effusion_mm=1.0,
    min_covered=0.9,
    metal_mm=12.0,
)
VISIT = Examination(
    study="p1_baseline", patient="p1", timepoint="baseline", factors={"group": "toy"}
)
SHAPE, SPACING_MM = (6, 8, 10), (2.0, 1.0, 0.5)


def frame(side, x_mm=18.0):
    return JointFrame(
        center_lps_mm=np.array([side.sign * x_mm, 40.0, -100.0]),
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([side.sign, 0.0, 0.0]),
    )


def lesion_block(columns=slice(2, 6)):
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 3:6, columns] = True
    return mask


def entry(folder, side, *, grade, covered):
    grid = frame(side).grid(spacing_mm=SPACING_MM, shape=SHAPE)
    labels = np.where(lesion_block(), 1, 0).astype(np.uint8)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.index_to_lps
    name = f"{side}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / name)
    place = frame(side)
    return {
        "level": "L4-L5",
        "side": side.value,
        "center_lps_mm": place.center_lps_mm.tolist(),
        "cranial": place.cranial.tolist(),
        "posterior": place.posterior.tolist(),
        "lateral": place.lateral.tolist(),
        "grade": grade,
        "effusion_mm3": 24.0,
        "effusion_width_mm": 1.5,
        "soft_tissue_edema_mm3": 100.0,
        "marrow_edema_mm3": 50.0,
        "perimeter_fraction": 0.6,
        "covered": {"1.1": 1.0, "1.2": covered},
        "metal_mm": None,
        "masks": {"lesions": name},
    }


def series(uid, sequence, plane, fat_suppression, blocks=1):
    return {
        "series_uid": uid,
        "sequence": sequence,
        "plane": plane,
        "fat_suppression": fat_suppression,
        "field_t": 3.0,
        "slice_thickness_mm": 4.0,
        "snr": 30.0,
        "fat_failures": 0,
        "motion": None,
        "blocks": [{}] * blocks,
    }


@pytest.fixture
def truth_folder(tmp_path):
    values = {
        "version": 1,
        "study_uid": "1.2.3",
        "patient_id": "SIM-1",
        "habit": "ge",
        "provenance": {"lumbar_type_vertebrae": "6", "transitional": "yes"},
        "vertebrae": [{"name": "L4", "center_lps_mm": [0.0, 0.0, 0.0]}],
        "lesion_labels": {
            "effusion": 1,
            "soft_tissue_edema": 2,
            "marrow_edema": 3,
            "cyst": 4,
        },
        "joints": [
            entry(tmp_path, Side.LEFT, grade=3, covered=0.95),
            entry(tmp_path, Side.RIGHT, grade=1, covered=0.5),
        ],
        "series": [
            series("1.1", "T2", "sagittal", "none"),
            series("1.2", "T2-FS", "axial", "spectral", blocks=3),
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(values), encoding="utf-8")
    return tmp_path


def interval(value):
    return Interval(value, value, value)


def extents(effusion_mm3):
    return Extents(
        effusion_mm3=interval(effusion_mm3),
        effusion_width_mm=interval(1.0),
        soft_tissue_edema_mm3=interval(80.0),
        marrow_edema_mm3=interval(40.0),
        articular_marrow_edema_mm3=0.0,
        cyst_mm3=0.0,
        perimeter_fraction=interval(0.7),
        perimeter_fraction_all_sectors=0.7,
        perimeter_fraction_worst_plane=interval(0.8),
        sector_map=np.zeros((1, 72), np.int8),
        extension_mm3={},
    )


def location(side, x_mm=18.0):
    return LocatedJoint(
        number=4,
        level=Level.L4_L5,
        side=side,
        frame=frame(side, x_mm),
        score=0.9,
        level_probability=0.8,
    )


def graded(side=Side.LEFT, *, grade=3, x_mm=18.0, columns=slice(2, 6)):
    grid = frame(side).grid(spacing_mm=SPACING_MM, shape=SHAPE)
    masks = JointMasks(
        geometry=grid,
        structures=np.zeros(SHAPE, np.uint8),
        lesions={Lesion.EFFUSION: lesion_block(columns).astype(np.float32)},
        in_view=np.ones(SHAPE, bool),
        sequence=Sequence.T2_FS,
    )
    best = SequenceGrade(
        sequence=Sequence.T2_FS,
        grade=grade,
        extents=extents(30.0),
        extension=(),
        borderline=False,
        trace=(),
    )
    return Graded(
        joint=FacetJoint(Level.L4_L5, side),
        location=location(side, x_mm),
        masks=masks,
        best=best,
        per_sequence=(best,),
        probabilities=(0.0, 0.0, 0.2, 0.7, 0.1),
        grade_set=(2, 3),
    )


def compare(outcome, folder):
    (row,) = compare_study([outcome], read_truth(folder), VISIT, DEFINITIONS)
    return row


def test_a_graded_joint_has_its_prediction_beside_the_truth(truth_folder):
    row = compare(graded(x_mm=20.0), truth_folder)

    assert (row.grade, row.truth_grade, row.right) == (3, 3, True)
    assert row.error_mm == pytest.approx(2.0)
    assert row.lateral_mm == pytest.approx(2.0)
    assert (row.predicted["edema_mm3"], row.truth["edema_mm3"]) == (120.0, 150.0)


def test_outlines_are_compared_where_the_truth_lies(truth_folder):
    same = compare(graded(), truth_folder).overlap["effusion"]
    # 2 x 3 x 4 voxels moved by 2 of 4 columns: 2 * 12 / 48
    moved = compare(graded(columns=slice(4, 8)), truth_folder).overlap["effusion"]

    assert same["dice"] == 1.0
    assert same["hd95_mm"] == 0.0
    assert moved["dice"] == pytest.approx(0.5)
    assert moved["hd95_mm"] == pytest.approx(1.0)  # two columns of 0.5 mm


def test_outlines_are_compared_as_the_patient_lay_during_their_contrast(truth_folder):
    path = truth_folder / "truth.json"
    values = json.loads(path.read_text("utf-8"))
    shifted = np.eye(4)
    shifted[:3, 3] = frame(Side.LEFT).lateral  # two columns of 0.5 mm
    still = {"displacement_lps": None}
    moved = {"displacement_lps": shifted.tolist()}
    stir, axial = values["series"][1], series("1.3", "T2-FS", "axial", "spectral")
    values["series"] = [{**stir, "motion": {"moves": 1}, **still}, {**axial, **moved}]
    for joint in values["joints"]:
        joint["covered"]["1.3"] = 1.0
    path.write_text(json.dumps(values), encoding="utf-8")

    there = compare(graded(columns=slice(4, 8)), truth_folder).overlap["effusion"]
    here = compare(graded(), truth_folder).overlap["effusion"]

    assert there["dice"] == 1.0
    assert here["dice"] == pytest.approx(0.5)


def test_a_joint_outside_every_series_that_shows_edema_has_no_true_grade(
    truth_folder,
):
    assert compare(graded(Side.RIGHT), truth_folder).truth_grade == UNGRADABLE


def test_an_ungradable_joint_keeps_its_place_and_reason(truth_folder):
    outcome = Ungradable(
        joint=LEFT,
        reason=Reason.NO_FAT_SUPPRESSION,
        explanation="none",
        location=location(Side.LEFT),
        extents=extents(30.0),
    )

    row = compare(outcome, truth_folder)

    assert (row.grade, row.reason) == (UNGRADABLE, "no-fat-suppression")
    assert row.right
    assert set(row.predicted) == {"effusion_mm3", "effusion_width_mm"}


def test_a_failed_study_has_a_row_for_every_joint(truth_folder):
    rows = failed_study([LEFT, RIGHT], read_truth(truth_folder), VISIT, DEFINITIONS)

    assert [(row.side, row.located, row.reason) for row in rows] == [
        ("left", False, "failed"),
        ("right", False, "failed"),
    ]


@pytest.mark.parametrize(
    ("metal_mm", "motion", "truth_grade"),
    [
        (None, None, 3),
        (12.1, None, 3),
        (12.0, None, UNGRADABLE),
        (None, {"moves": 1}, UNGRADABLE),
    ],
)
def test_beside_metal_or_moved_no_grade_is_expected(
    truth_folder, metal_mm, motion, truth_grade
):
    path = truth_folder / "truth.json"
    values = json.loads(path.read_text("utf-8"))
    values["joints"][0]["metal_mm"] = metal_mm
    values["series"][1]["motion"] = motion
    path.write_text(json.dumps(values), encoding="utf-8")

    assert compare(graded(), truth_folder).truth_grade == truth_grade


def test_factors_say_how_the_study_was_acquired(truth_folder):
    factors = compare(graded(), truth_folder).factors

    assert factors["field"] == "3 T"
    assert factors["axial fat suppression"] == "spectral"
    assert factors["sagittal fat suppression"] == "none"
    assert factors["axial slices"] == "angled blocks"
    assert factors["lumbar vertebrae"] == "6"
    assert factors["series"] == "edema seen in axial slices only"
    assert factors["signal to noise"] == "20 to 40"
    assert factors["group"] == "toy"


def test_a_row_tells_what_lies_beside_its_joint(truth_folder):
    path = truth_folder / "truth.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["provenance"]["lookalikes"] = "facet_fat_pad L4-L5 left"
    path.write_text(json.dumps(values), encoding="utf-8")

    def beside(side):
        return compare(graded(side), truth_folder).factors["beside the joint"]

    assert (beside(Side.LEFT), beside(Side.RIGHT)) == ("fat pad", "nothing")


def test_label_maps_come_back_on_the_grid_they_were_drawn_on(truth_folder):
    labels, grid = read_labels(truth_folder / "left.nii.gz")

    written = frame(Side.LEFT).grid(spacing_mm=SPACING_MM, shape=SHAPE)
    np.testing.assert_allclose(grid.index_to_lps, written.index_to_lps, atol=1e-4)
    assert labels.sum() == 2 * 3 * 4
    assert isinstance(grid, VolumeGeometry)


def test_a_missing_truth_file_is_named(tmp_path):
    with pytest.raises(TruthError, match=r"truth.json cannot be read"):
        read_truth(tmp_path)


def test_a_truth_of_another_version_is_refused(tmp_path):
    (tmp_path / "truth.json").write_text('{"version": 99}', encoding="utf-8")

    with pytest.raises(TruthError, match="version is 99, expected 1"):
        read_truth(tmp_path)

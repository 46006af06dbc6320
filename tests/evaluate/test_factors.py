import tomllib

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import shipped_path
from facetgrade.evaluate.factors import factors_of, factors_of_joint


def one_series(plane="sagittal", sequence="T2-FS", **changes):
    values = {
        "plane": plane,
        "sequence": sequence,
        "fat_suppression": "stir",
        "field_t": 1.5,
        "slice_thickness_mm": 4.0,
        "snr": 30.0,
        "fat_failures": 0,
        "motion": None,
        "blocks": [{}],
    }
    return {**values, **changes}


def factors(*series, **provenance):
    return factors_of(
        {
            "provenance": provenance,
            "series": series,
            "joints": [{"center_lps_mm": [0.0, 70.0, 0.0]}],
            "habit": "ge",
        }
    )


@pytest.mark.parametrize(
    ("series", "named"),
    [
        ([one_series()], "edema seen in sagittal slices only"),
        ([one_series("axial")], "edema seen in axial slices only"),
        ([one_series(), one_series("axial")], "edema seen in both planes"),
        ([one_series(sequence="T1")], "none shows edema"),
    ],
)
def test_the_planes_that_show_edema_are_named(series, named):
    assert factors(*series)["series"] == named


@pytest.mark.parametrize("field_t", [1.0, 1.2, 1.5, 3.0])
def test_each_field_strength_is_a_value_of_its_own(field_t):
    assert factors(one_series(field_t=field_t))["field"] == f"{field_t:g} T"


def test_the_best_edema_series_decides_noise_and_slices():
    found = factors(
        one_series(snr=15.0, slice_thickness_mm=5.0),
        one_series("axial", snr=45.0, slice_thickness_mm=3.0),
        one_series(sequence="T1", snr=70.0, slice_thickness_mm=2.0),
    )

    assert found["signal to noise"] == "over 40"
    assert found["slices that show edema"] == "below 3.3 mm"


def test_the_patient_is_described_by_what_was_drawn():
    found = factors(
        one_series(),
        scoliosis_deg="20.1",
        disc_degeneration="0.30",
        subcutaneous_mm="12",
        muscle_fat_fraction="0.60",
        lookalikes="hemangioma;laminectomy",
    )

    assert found["scoliosis"] == "over 15 degrees"
    assert found["disc degeneration"] == "0.3 to 0.6 of 1"
    assert found["subcutaneous fat"] == "below 20 mm"
    assert found["operated"] == "yes"


def test_one_moved_series_and_one_failed_suppression_are_told():
    found = factors(
        one_series(fat_failures=2), one_series("axial", motion={"shots": 8})
    )

    assert found["failed fat suppression"] == "yes"
    assert found["motion"] == "yes"


def test_truth_of_earlier_versions_lacks_only_what_it_does_not_say():
    early = one_series()
    del early["snr"], early["fat_failures"]

    found = factors(early)

    assert not {
        "signal to noise",
        "pixels that show edema",
        "ghosts",
        "wrap-around",
        "moved between series",
        "anatomy",
        "bright muscle",
        "endplate edema",
    } & set(found)
    assert found["field"] == "1.5 T"


def test_the_finest_pixel_and_the_strongest_ghost_of_edema_series_count():
    found = factors(
        one_series(acquired_pixel_mm=1.2, ghost_amplitude=0.004, wrap_share=0.0),
        one_series(
            "axial", acquired_pixel_mm=0.8, ghost_amplitude=0.013, wrap_share=0.03
        ),
        one_series(
            sequence="T1",
            acquired_pixel_mm=0.5,
            ghost_amplitude=0.010,
            wrap_share=0.0,
        ),
    )

    assert found["pixels that show edema"] == "0.75 to 0.95 mm"
    assert found["ghosts"] == "over 1.2 %"  # 0.013
    assert found["wrap-around"] == "yes"


def test_the_strongest_pulsation_among_edema_series_counts():
    found = factors(
        one_series(pulsation_amplitude=0.1),
        one_series("axial", pulsation_amplitude=0.5),
        one_series(sequence="T1", pulsation_amplitude=0.6),
    )
    assert found["pulsation of vessels"] == "over 40 %"


@pytest.mark.parametrize(
    ("provenance", "named"),
    [
        ({"osteophyte_L4_left_mm": "3.4"}, "over 3 mm"),
        ({"osteophyte_L4_right_mm": "3.4", "osteophyte_L3_left_mm": "2.0"}, "none"),
        ({"osteophyte_L4_left_mm": "0.6"}, "below 1 mm"),
    ],
)
def test_the_longest_osteophyte_of_the_joint_itself_counts(provenance, named):
    truth = {"provenance": {"lookalikes": "", **provenance}}
    joint = FacetJoint(Level.L4_L5, Side.LEFT)
    assert factors_of_joint(truth, joint)["osteophytes"] == named


def turned(degrees, shift_mm):
    """A turn about the axis through the origin and a shift to the left."""
    angle = np.radians(degrees)
    moved = np.eye(4)
    moved[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    moved[0, 3] = shift_mm
    return moved.tolist()


@pytest.mark.parametrize(
    ("moves", "moved"),
    [
        ([None, turned(0.0, 1.4)], "yes"),
        ([turned(0.0, 0.9), None], "no"),
        ([None, turned(1.0, 0.0)], "yes"),  # 70 mm away that is 1.2 mm
        ([None, None], "no"),
    ],
)
def test_joints_that_moved_between_series_by_more_than_a_millimeter(moves, moved):
    found = factors(*(one_series(displacement_lps=one) for one in moves))
    assert found["moved between series"] == moved


def test_studies_that_say_nothing_of_movement_have_no_such_factor():
    assert "moved between series" not in factors(one_series())


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("visible-human", "Visible Human, never trained on"),
        ("parametric", "parametric, as in training"),
    ],
)
def test_anatomy_is_told_by_whether_training_saw_its_source(source, named):
    assert factors(one_series(), anatomy_source=source)["anatomy"] == named


@pytest.mark.parametrize("name", ["train_localizer", "train_segmenter"])
def test_no_shipped_training_uses_the_anatomy_called_never_trained_on(name):
    text = shipped_path(f"configs/{name}.toml").read_text("utf-8")
    assert "visible-human" not in tomllib.loads(text)["cases"]["sources"]


def test_what_is_bright_and_no_synovitis_is_named():
    found = factors(
        one_series(),
        lookalikes="remote_muscle_edema;denervated_multifidus;endplate_edema",
    )

    assert found["bright muscle"] == "denervated multifidus"
    assert found["endplate edema"] == "yes"
    assert found["interspinous bursitis"] == "no"


@pytest.mark.parametrize(
    ("joint", "beside"),
    [
        (FacetJoint(Level.L4_L5, Side.LEFT), "synovial cyst"),
        (FacetJoint(Level.L4_L5, Side.RIGHT), "nothing"),
        (FacetJoint(Level.L3_L4, Side.RIGHT), "nerve-root cyst"),
    ],
)
def test_a_lookalike_belongs_to_the_joint_it_lies_beside(joint, beside):
    drawn = (
        "facet_fat_pad L4-L5 left;synovial_cyst L4-L5 left;perineural_cyst L3-L4 right"
    )
    truth = {"provenance": {"lookalikes": drawn}}

    assert factors_of_joint(truth, joint)["beside the joint"] == beside


def test_truth_without_lookalikes_says_nothing_of_the_joint():
    joint = FacetJoint(Level.L4_L5, Side.LEFT)
    assert factors_of_joint({"provenance": {}}, joint) == {}

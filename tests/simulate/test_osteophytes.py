import tomllib

import numpy as np
import pytest
from scipy import ndimage

from facetgrade.anatomy import Level, Side, Structure
from facetgrade.config import shipped_path
from facetgrade.config_files import read_shipped
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.anatomy import AnatomySettings, build_scene
from facetgrade.simulate.anatomy.bone_growth import grow_processes
from facetgrade.simulate.anatomy.bones import PosedBone, SampledBone
from facetgrade.simulate.anatomy.osteophytes import (
    JointWear,
    Spur,
    draw_osteophytes,
)
from facetgrade.simulate.anatomy.person import draw_person
from facetgrade.simulate.anatomy.posture import Pose
from facetgrade.simulate.anatomy.template import (
    FacetSite,
    VertebraTemplate,
    local_grid,
)
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.truth import measure_truth

NEW = (
    "facet_osteophyte_mm",
    "facet_hypertrophy_mm",
    "flavum_thickening_mm",
    "endplate_osteophyte_mm",
)
NOTHING = {"low": 0.0, "high": 0.0}
LARGE = {"low": 4.0, "high": 5.0}
PROCESSES = (
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
)
GAP_MM = 2.0
FAR_CANAL = 100.0


def section():
    return tomllib.loads(
        shipped_path("configs/simulate.toml").read_text(encoding="utf-8")
    )["anatomy"]


def settings(**changes):
    return AnatomySettings(
        **section()
        | {"body_spacing_mm": 3.0, "column_spacing_mm": 1.0}
        | {"facet_degeneration_probability": 1.0, "disc_degeneration": LARGE_WEAR}
        | changes
    )


LARGE_WEAR = {"low": 1.0, "high": 1.0}


def build(**changes):
    rng = np.random.default_rng(11)
    return build_scene(settings(**changes), "parametric", rng), rng


@pytest.fixture(scope="module")
def plain():
    return build(**dict.fromkeys(NEW, NOTHING))


@pytest.fixture(scope="module")
def worn():
    return build()


def count(scene, *structures):
    return int(np.isin(scene.column.structure, structures).sum())


def facing_bones():
    """Two blocks of bone, upper at x < -1 and lower at x > 1."""
    grid = local_grid(np.full(3, -16.0), np.full(3, 16.0), 0.5)
    z, y, x = np.meshgrid(*[np.linspace(-16.0, 16.0, 65)] * 3, indexing="ij")
    inside = np.maximum(np.abs(y) - 7.0, np.abs(z) - 8.0)
    bones = []
    for sign in (-1.0, 1.0):
        across = np.maximum(1.0 - sign * x, sign * x - 8.0)
        distance = np.maximum(inside, across).astype(np.float32)
        parts = np.full(distance.shape, Structure.LAMINA, np.uint8)
        template = VertebraTemplate(
            name="L4" if sign < 0 else "L5",
            geometry=grid,
            distance_mm=distance.copy(),
            parts=parts,
            superior={},
            inferior={},
        )
        pose = Pose(name=template.name, center_lps_mm=np.zeros(3), axes=np.eye(3))
        bones.append(
            SampledBone(
                bone=PosedBone(template=template, pose=pose),
                box=(slice(0, 65), slice(0, 65), slice(0, 65)),
                distance_mm=distance,
                parts=parts,
                codes=np.zeros(distance.shape, np.uint8),
            )
        )
    return grid, (bones[0], bones[1])


SITE = FacetSite(
    center_mm=np.zeros(3),
    normal=np.array([1.0, 0.0, 0.0]),
    across=np.array([0.0, 1.0, 0.0]),
    cranial=np.array([0.0, 0.0, 1.0]),
    width_mm=14.0,
    height_mm=16.0,
)


def grow(spur, *, canal_mm=FAR_CANAL, hypertrophy_mm=0.0):
    grid, bones = facing_bones()
    before = [bone.distance_mm.copy() for bone in bones]
    wear = JointWear(
        spurs=((spur,), (spur,)),
        hypertrophy_mm=(hypertrophy_mm,) * 2,
        flavum_mm=0.0,
    )
    grow_processes(
        bones,
        bones[0].box,
        SITE,
        grid,
        gap_mm=GAP_MM,
        canal_mm=np.broadcast_to(np.float32(canal_mm), before[0].shape),
        wear=wear,
    )
    return bones, before


def test_a_spur_stands_out_of_the_rim_by_its_length():
    spur = Spur(angle_deg=0.0, length_mm=4.0, tip_mm=1.0, hook=0.0)
    for bone, before in zip(*grow(spur), strict=True):
        fresh = np.argwhere((bone.distance_mm < 0.0) & (before >= 0.0))
        # The rim lies at y = 7, so the tip at 11; both are found to a voxel of 0.5 mm.
        assert fresh[:, 1].max() * 0.5 - 16.0 == pytest.approx(11.0, abs=1.0)


def test_spurs_bent_toward_the_other_bone_keep_the_gap():
    spur = Spur(angle_deg=180.0, length_mm=5.0, tip_mm=2.0, hook=3.0)
    (upper, lower), _ = grow(spur, hypertrophy_mm=2.5)
    away = ndimage.distance_transform_edt(upper.distance_mm >= 0.0, sampling=0.5)
    assert away[lower.distance_mm < 0.0].min() > GAP_MM - 0.3


def test_new_bone_is_named_after_the_process_it_grows_from():
    spur = Spur(angle_deg=0.0, length_mm=4.0, tip_mm=1.0, hook=0.0)
    bones, before = grow(spur)
    for bone, old, name in zip(bones, before, reversed(PROCESSES), strict=True):
        fresh = (bone.distance_mm < 0.0) & (old >= 0.0)
        assert (bone.parts[fresh] == name).all()
        assert (bone.parts[old < 0.0] == Structure.LAMINA).all()


@pytest.mark.parametrize(("canal_mm", "grows"), [(-1.5, True), (-2.5, False)])
def test_spurs_enter_the_canal_by_no_more_than_two_millimeters(canal_mm, grows):
    spur = Spur(angle_deg=180.0, length_mm=4.0, tip_mm=1.0, hook=0.0)
    for bone, old in zip(*grow(spur, canal_mm=canal_mm), strict=True):
        assert ((bone.distance_mm < 0.0) & (old >= 0.0)).any() == grows


def test_thicker_processes_stay_out_of_the_flavum():
    spur = Spur(angle_deg=0.0, length_mm=0.0, tip_mm=0.1, hook=0.0)
    away, _ = grow(spur, hypertrophy_mm=2.0)
    beside, _ = grow(spur, hypertrophy_mm=2.0, canal_mm=2.0)
    # The far side of the process at x = 8 moves by almost 2 mm.
    place = (32, 32, 51)  # x = 9.5
    assert away[1].distance_mm[place] < 0.0 <= beside[1].distance_mm[place]


def test_ranges_of_zero_and_missing_ranges_give_the_same_patient(plain):
    old = {k: v for k, v in settings().model_dump().items() if k not in NEW}
    rng = np.random.default_rng(11)
    scene = build_scene(AnatomySettings(**old), "parametric", rng)
    for grid, other in ((scene.body, plain[0].body), (scene.column, plain[0].column)):
        np.testing.assert_array_equal(grid.tissue, other.tissue)
        np.testing.assert_array_equal(grid.structure, other.structure)
    assert scene.provenance == plain[0].provenance


def test_osteophytes_leave_all_other_draws_as_they_are(plain, worn):
    assert plain[1].bit_generator.state == worn[1].bit_generator.state
    kept = {k: worn[0].provenance[k] for k in plain[0].provenance}
    assert kept == plain[0].provenance


def test_osteophytes_leave_joint_space_and_frames_as_they_are(plain, worn):
    spaces = [s.column.structure == Structure.JOINT_SPACE for s, _ in (plain, worn)]
    np.testing.assert_array_equal(*spaces)
    for joint, frame in plain[0].joints.items():
        other = worn[0].joints[joint]
        np.testing.assert_array_equal(frame.center_lps_mm, other.center_lps_mm)


def test_spurs_add_bone_to_the_processes_and_keep_their_vertebra(plain, worn):
    assert count(worn[0], *PROCESSES) > 1.03 * count(plain[0], *PROCESSES)
    column = worn[0].column
    process = np.isin(column.structure, PROCESSES)
    assert (column.vertebra[process] > 0).all()
    assert set(np.unique(column.tissue[process])) <= {
        Tissue.CORTICAL_BONE,
        Tissue.MARROW,
        Tissue.SACRAL_MARROW,
        Tissue.ENDPLATE,
    }


def test_thick_spurs_hold_marrow(plain):
    large, _ = build(facet_osteophyte_mm={"low": 5.0, "high": 5.0})
    fresh = np.isin(large.column.structure, PROCESSES)
    fresh &= ~np.isin(plain[0].column.structure, PROCESSES)
    marrow = large.column.tissue[fresh] == Tissue.MARROW
    assert 0.05 < marrow.mean() < 0.7


def test_the_flavum_beside_worn_joints_is_thicker(plain):
    thick, _ = build(
        **dict.fromkeys(NEW, NOTHING) | {"flavum_thickening_mm": {"low": 2, "high": 2}}
    )
    was, now = (
        s.column.structure == Structure.LIGAMENTUM_FLAVUM for s in (plain[0], thick)
    )
    assert now[was].all()
    canal = plain[0].column.structure == Structure.CANAL
    assert canal[now & ~was].all()
    assert now.sum() > 1.1 * was.sum()


def test_lips_grow_at_worn_discs_only_from_the_bodies(plain):
    lips, _ = build(**dict.fromkeys(NEW, NOTHING) | {"endplate_osteophyte_mm": LARGE})
    was, now = (s.body.structure == Structure.VERTEBRAL_BODY for s in (plain[0], lips))
    assert now.sum() > was.sum()
    codes = lips.body.vertebra[now & ~was]
    assert (codes > 0).all()


def test_spurs_grow_with_wear():
    person = draw_person(np.random.default_rng(3), settings())
    drawn = draw_osteophytes(
        np.random.default_rng(4), person, "visible-human", settings()
    )
    wear = [(item, side) for item in person.interspaces for side in Side]
    worn = np.array([item.arthrosis[side] for item, side in wear])
    longest = [drawn.joints[item.upper, side].longest_mm for item, side in wear]
    assert np.corrcoef(worn, longest)[0, 1] > 0.6
    assert min(longest) >= 1.0
    assert max(longest) <= 5.0


def test_joints_without_wear_stay_healthy():
    person = draw_person(
        np.random.default_rng(3), settings(facet_degeneration_probability=0.0)
    )
    drawn = draw_osteophytes(
        np.random.default_rng(4), person, "visible-human", settings()
    )
    assert drawn.joints == {}


def test_solids_are_not_thickened_twice():
    person = draw_person(np.random.default_rng(3), settings())
    pairs = {}
    for source in ("parametric", "mean-shape", "visible-human"):
        rng = np.random.default_rng(4)
        drawn = draw_osteophytes(rng, person, source, settings())
        pairs[source] = drawn.joints["L5", Side.LEFT].hypertrophy_mm
    assert pairs["parametric"] == (0.0, 0.0)
    assert pairs["mean-shape"][0] > 0.0 == pairs["mean-shape"][1]
    assert min(pairs["visible-human"]) > 0.0


def test_a_worn_joint_without_synovitis_is_grade_0(worn):
    grade = read_shipped("configs/grade.toml", GradeSettings)
    for joint in worn[0].joints:
        if joint.level is Level.L4_L5:
            _, found = measure_truth(worn[0], joint, grade)
            assert found.grade == 0

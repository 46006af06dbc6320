import numpy as np
import pytest

from facetgrade.anatomy import (
    VERTEBRAE,
    FacetJoint,
    Lesion,
    Level,
    Side,
    Structure,
)
from facetgrade.config import check_settings, read_settings, read_toml, shipped_path
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.pathology import PathologySettings, add_pathology
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue
from facetgrade.simulate.truth import measure_truth

RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)
CENTER_MM = np.array([-18.0, 40.0, -110.0])
L4, L5 = 1 + VERTEBRAE.index("L4"), 1 + VERTEBRAE.index("L5")
S, T = Structure, Tissue


def toy_scene() -> Scene:
    """One right joint: two blocks, a curved gap at 45 degrees, flavum and foramen."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=CENTER_MM,
        axes=np.eye(3)[::-1],
        spacing_mm=(0.6, 0.6, 0.6),
        shape=(76, 92, 92),
    )
    points = geometry.voxel_centers_lps_mm() - CENTER_MM
    lateral, posterior, height = -points[..., 0], points[..., 1], points[..., 2]
    along = (lateral + posterior) / np.sqrt(2.0)
    across = (lateral - posterior) / np.sqrt(2.0) + 0.03 * along**2 - 0.5
    middle, ends = np.abs(along) < 7.0, np.abs(height) < 8.0
    grid = _Painter(geometry)
    grid.put((lateral < -12.0) & (posterior < 4.0), S.CANAL, T.CSF)
    flavum = (lateral > -15.0) & (lateral < -2.0) & (np.abs(posterior + 9.0) < 2.5)
    grid.put(flavum, S.LIGAMENTUM_FLAVUM, T.LIGAMENTUM_FLAVUM)
    low_front = (posterior < -9.0) & (np.abs(lateral - 6.0) < 6.0)
    grid.put(low_front & (height > -4.0), S.FORAMEN, T.FORAMINAL_FAT)
    grid.bone(low_front & (height < -5.0), S.PEDICLE, L5)
    grid.bone(low_front & (posterior < -17.0), S.VERTEBRAL_BODY, L5)
    transverse = (lateral > 10.0) & (np.abs(posterior + 5.0) < 4.0) & (height < -6.0)
    grid.bone(transverse, S.TRANSVERSE_PROCESS, L5)
    superior = middle & (across > 1.2) & (across < 9.0) & (height < 9.0)
    grid.bone(superior, S.SUPERIOR_ARTICULAR_PROCESS, L5)
    inferior = middle & (across < -1.2) & (across > -9.0) & (height > -9.0)
    grid.bone(inferior, S.INFERIOR_ARTICULAR_PROCESS, L4)
    rim = (np.abs(along) < 8.0) & (np.abs(across) < 1.6) & (np.abs(height) < 9.0)
    grid.put(rim & grid.soft, S.CAPSULE, T.CAPSULE)
    gap = middle & ends & (np.abs(across) <= 1.2)
    grid.put(gap, S.JOINT_SPACE, T.CARTILAGE)
    frame = JointFrame(
        center_lps_mm=CENTER_MM,
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([-1.0, 0.0, 0.0]),
    )
    block = grid.finished()
    return Scene(
        body=block, column=block, vertebrae=(), joints={RIGHT: frame}, provenance={}
    )


class _Painter:
    """Labels of the toy, later parts over earlier ones."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        self.geometry = geometry
        self.tissue = np.full(geometry.shape, T.MUSCLE, np.uint8)
        self.structure = np.zeros(geometry.shape, np.uint8)
        self.vertebra = np.zeros(geometry.shape, np.uint8)

    @property
    def soft(self) -> np.ndarray:
        return self.structure == S.SOFT_TISSUE

    def put(self, where: np.ndarray, structure: Structure, tissue: Tissue) -> None:
        self.structure[where], self.tissue[where] = structure, tissue
        self.vertebra[where] = 0

    def bone(self, where: np.ndarray, structure: Structure, vertebra: int) -> None:
        self.put(where, structure, T.MARROW)
        self.vertebra[where] = vertebra

    def finished(self) -> SceneGrid:
        return SceneGrid(
            geometry=self.geometry,
            tissue=self.tissue,
            structure=self.structure,
            vertebra=self.vertebra,
            lesions={},
        )


@pytest.fixture(scope="module")
def toy() -> Scene:
    return toy_scene()


@pytest.fixture(scope="module")
def rules() -> GradeSettings:
    return read_settings(shipped_path("configs/grade.toml"), GradeSettings)


@pytest.fixture(scope="module")
def settings() -> PathologySettings:
    path = shipped_path("configs/simulate.toml")
    return check_settings(read_toml(path)["pathology"], PathologySettings, path)


@pytest.mark.parametrize("grade", range(5))
@pytest.mark.parametrize("seed", [1, 2])
def test_wanted_grade_is_measured(toy, rules, settings, grade, seed):
    rng = np.random.default_rng(seed)

    scene = add_pathology(toy, {RIGHT: grade}, rng, settings, rules)

    assert measure_truth(scene, RIGHT, rules)[1].grade == grade


@pytest.fixture(scope="module")
def painted(toy, rules, settings) -> dict[int, Scene]:
    return {
        grade: add_pathology(
            toy, {RIGHT: grade}, np.random.default_rng(5), settings, rules
        )
        for grade in (1, 3, 4)
    }


def test_fraction_keeps_the_margin_around_one_half(toy, rules, settings):
    strict = settings.model_copy(update={"margin": 0.2, "marrow_only": 0.0})

    scene = add_pathology(toy, {RIGHT: 2}, np.random.default_rng(3), strict, rules)

    extents = measure_truth(scene, RIGHT, rules)[0]
    assert 0.0 < extents.perimeter_fraction.value <= 0.3


def test_same_seed_paints_the_same(toy, rules, settings, painted):
    again = add_pathology(toy, {RIGHT: 3}, np.random.default_rng(5), settings, rules)

    np.testing.assert_array_equal(again.column.tissue, painted[3].column.tissue)
    for lesion, fraction in painted[3].column.lesions.items():
        np.testing.assert_array_equal(again.column.lesions[lesion], fraction)


def test_healthy_scene_is_not_changed(toy, painted):
    assert toy.column.lesions == {}
    assert not (toy.column.tissue == Tissue.JOINT_FLUID).any()
    assert (painted[1].column.tissue == Tissue.JOINT_FLUID).any()


@pytest.mark.parametrize("grade", [1, 3, 4])
def test_effusion_stays_within_joint_and_capsule(painted, grade):
    column = painted[grade].column
    where = column.structure[column.lesions[Lesion.EFFUSION] >= 0.5]

    assert set(np.unique(where)) <= {S.JOINT_SPACE, S.CAPSULE}


@pytest.mark.parametrize("grade", [3, 4])
def test_soft_tissue_edema_is_never_in_bone_canal_or_joint(painted, grade):
    column = painted[grade].column
    where = column.structure[column.lesions[Lesion.SOFT_TISSUE_EDEMA] > 0.0]

    assert set(np.unique(where)) <= {S.SOFT_TISSUE, S.FORAMEN, S.LIGAMENTUM_FLAVUM}


def test_grade_3_leaves_the_sites_of_grade_4_alone(painted):
    column = painted[3].column
    edema = column.lesions[Lesion.SOFT_TISSUE_EDEMA] > 0.0
    edema |= column.lesions[Lesion.MARROW_EDEMA] > 0.5
    sites = (S.FORAMEN, S.LIGAMENTUM_FLAVUM, S.PEDICLE, S.TRANSVERSE_PROCESS)

    assert not np.isin(column.structure[edema], sites).any()


def test_grade_4_reaches_a_site(painted, rules):
    assert measure_truth(painted[4], RIGHT, rules)[1].extension


def test_marrow_edema_lies_in_marrow(painted):
    column = painted[4].column
    where = column.tissue[column.lesions[Lesion.MARROW_EDEMA] > 0.0]

    assert set(np.unique(where)) <= {T.MARROW}


def test_wider_effusion_is_measured_wider(toy, rules, settings):
    widths = []
    for width_mm in (1.4, 2.4):
        plain = settings.model_copy(
            update={"effusion_width_mm": (width_mm, width_mm), "recess_distension": 0.0}
        )
        scene = add_pathology(toy, {RIGHT: 1}, np.random.default_rng(1), plain, rules)
        widths.append(measure_truth(scene, RIGHT, rules)[0].effusion_width_mm.value)

    # The film is at most 35 % thinner in places; the greatest width is the drawn one.
    assert widths == pytest.approx([1.4, 2.4], abs=0.25)


def test_marrow_edema_alone_is_grade_2(toy, rules, settings):
    marrow = settings.model_copy(update={"marrow_only": 1.0})

    scene = add_pathology(toy, {RIGHT: 2}, np.random.default_rng(0), marrow, rules)

    extents, found = measure_truth(scene, RIGHT, rules)
    assert found.grade == 2
    assert extents.perimeter_fraction.value == 0.0


def test_unknown_joint_is_refused(toy, rules, settings):
    other = FacetJoint(Level.L1_L2, Side.LEFT)

    with pytest.raises(ValueError, match="L1-L2 left"):
        add_pathology(toy, {other: 1}, np.random.default_rng(0), settings, rules)


def test_grade_5_is_refused(toy, rules, settings):
    with pytest.raises(ValueError, match="0-4, got 5"):
        add_pathology(toy, {RIGHT: 5}, np.random.default_rng(0), settings, rules)

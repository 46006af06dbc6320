import numpy as np
import pytest

from facetgrade.anatomy import (
    VERTEBRAE,
    FacetJoint,
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

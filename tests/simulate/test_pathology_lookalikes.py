import numpy as np

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.pathology import LookalikeSettings, add_lookalikes
from facetgrade.simulate.pathology.blobs import blob_depth, blob_window, draw_blob
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue

NEVER = LookalikeSettings(**dict.fromkeys(LookalikeSettings.model_fields, 0.0))
LEFT = FacetJoint(Level.L3_L4, Side.LEFT)
CENTER_MM = np.array([15.0, 30.0, -80.0])


def muscle_scene(spacing_mm: float = 1.5) -> Scene:
    """One joint center in a block of muscle of 40 x 40 x 40 voxels."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=CENTER_MM,
        axes=np.eye(3)[::-1],
        spacing_mm=(spacing_mm,) * 3,
        shape=(40, 40, 40),
    )
    grid = SceneGrid(
        geometry=geometry,
        tissue=np.full(geometry.shape, Tissue.MUSCLE, np.uint8),
        structure=np.full(geometry.shape, Structure.SOFT_TISSUE, np.uint8),
        vertebra=np.zeros(geometry.shape, np.uint8),
        lesions={},
    )
    frame = JointFrame(
        center_lps_mm=CENTER_MM,
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([1.0, 0.0, 0.0]),
    )
    return Scene(
        body=grid, column=grid, vertebrae=(), joints={LEFT: frame}, provenance={}
    )


def test_chance_zero_draws_nothing():
    scene = add_lookalikes(muscle_scene(), np.random.default_rng(0), NEVER)

    assert (scene.column.tissue == Tissue.MUSCLE).all()
    assert scene.provenance["lookalikes"] == ""


def test_cyst_is_fluid_with_a_wall_and_its_own_lesion():
    chances = NEVER.model_copy(update={"synovial_cyst": 1.0})

    scene = add_lookalikes(muscle_scene(), np.random.default_rng(0), chances)

    cyst = scene.column.lesions[Lesion.CYST] > 0.5
    assert set(np.unique(scene.column.tissue[cyst])) == {Tissue.JOINT_FLUID}
    assert (scene.column.tissue == Tissue.CAPSULE).any()
    assert set(scene.column.lesions) == {Lesion.CYST}
    assert scene.provenance["lookalikes"] == "synovial_cyst L3-L4 left"


def test_remote_edema_keeps_clear_of_the_joint():
    chances = NEVER.model_copy(update={"remote_muscle_edema": 1.0})

    nearest_mm = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scene = add_lookalikes(muscle_scene(3.0), rng, chances)
        fraction = scene.column.lesions.get(Lesion.SOFT_TISSUE_EDEMA, np.zeros(1))
        points = scene.column.geometry.to_lps(
            np.argwhere(fraction >= 0.5).reshape(-1, 3)
        )
        nearest_mm += np.linalg.norm(points - CENTER_MM, axis=1).tolist()

    # The outline ends about 14 mm from the center; edema counts 8 mm beyond it.
    assert min(nearest_mm) > 22.0


def test_input_grids_stay_as_they_were():
    scene = muscle_scene()
    every = LookalikeSettings(**dict.fromkeys(LookalikeSettings.model_fields, 1.0))

    add_lookalikes(scene, np.random.default_rng(0), every)

    assert (scene.column.tissue == Tissue.MUSCLE).all()
    assert scene.column.lesions == {}


def test_blob_is_the_same_on_two_grids():
    rng = np.random.default_rng(0)
    blob = draw_blob(rng, CENTER_MM, np.eye(3), (6.0, 4.0, 5.0), 0.2)
    depths = []
    point_mm = CENTER_MM + np.array([2.0, -1.0, 3.0])
    for spacing_mm in (1.0, 0.5):
        grid = VolumeGeometry.centered(
            center_lps_mm=CENTER_MM,
            axes=np.eye(3)[::-1],
            spacing_mm=(spacing_mm,) * 3,
            shape=(round(40 / spacing_mm) + 1,) * 3,
        )
        window = blob_window(blob, grid)
        assert window is not None
        depth = blob_depth(blob, grid, window)
        middle = np.rint(grid.to_index(point_mm)).astype(int)
        depths.append(depth[tuple(middle - [s.start for s in window])])

    np.testing.assert_allclose(depths[0], depths[1], atol=1e-5)


def test_blob_beside_the_grid_has_no_window():
    blob = draw_blob(
        np.random.default_rng(0), CENTER_MM + 500.0, np.eye(3), (5.0, 5.0, 5.0), 0.1
    )

    assert blob_window(blob, muscle_scene().column.geometry) is None

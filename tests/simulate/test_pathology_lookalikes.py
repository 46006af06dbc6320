import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.pathology import LookalikeSettings, add_lookalikes
from facetgrade.simulate.pathology.blobs import blob_depth, blob_window, draw_blob
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue, VertebraTruth

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


def spine_scene() -> Scene:
    """L4 and L5 of marrow with a disc, a canal and laminae, muscle around them."""
    scene = muscle_scene(spacing_mm=2.5)
    geometry = scene.body.geometry
    places = geometry.to_lps(np.moveaxis(np.indices(geometry.shape), 0, -1))
    x, y, z = np.moveaxis(places - CENTER_MM + np.array([15.0, 30.0, 0.0]), -1, 0)
    tissue, structure = scene.body.tissue.copy(), scene.body.structure.copy()
    body = (np.abs(x) < 22.0) & (np.abs(y) < 17.0) & (np.abs(z) < 35.0)
    disc = body & (np.abs(z) < 5.0)
    canal = (np.abs(x) < 10.0) & (y > 19.0) & (y < 33.0)
    lamina = (np.abs(x) < 12.0) & (y >= 33.0) & (y < 44.0) & (z > 3.0) & (z < 20.0)
    for mask, material, part in (
        (body, Tissue.MARROW, Structure.VERTEBRAL_BODY),
        (disc, Tissue.ANNULUS_FIBROSUS, Structure.DISC),
        (canal, Tissue.EPIDURAL_FAT, Structure.CANAL),
        (lamina, Tissue.MARROW, Structure.LAMINA),
    ):
        tissue[mask], structure[mask] = material, part
    grid = SceneGrid(
        geometry=geometry,
        tissue=tissue,
        structure=structure,
        vertebra=np.where(z > 0.0, 7, 8).astype(np.uint8),
        lesions={},
    )
    axes = {"cranial": np.eye(3)[2], "posterior": np.eye(3)[1], "left": np.eye(3)[0]}
    middle = CENTER_MM - np.array([15.0, 30.0, 0.0])
    vertebrae = tuple(
        VertebraTruth(
            name=name, center_lps_mm=middle + np.array([0.0, 0.0, height]), **axes
        )
        for name, height in (("L4", 20.0), ("L5", -20.0))
    )
    return Scene(
        body=grid,
        column=grid,
        vertebrae=vertebrae,
        joints=scene.joints,
        provenance={},
    )


@pytest.mark.parametrize(
    ("finding", "from_tissue", "to_tissue"),
    [
        ("denervated_multifidus", {Tissue.MUSCLE}, Tissue.DENERVATED_MUSCLE),
        ("endplate_fat", {Tissue.MARROW}, Tissue.INTRAMUSCULAR_FAT),
        ("high_intensity_zone", {Tissue.ANNULUS_FIBROSUS}, Tissue.JOINT_FLUID),
        ("laminectomy", {Tissue.MARROW, Tissue.MUSCLE}, Tissue.SCAR),
        ("tarlov_cyst", {Tissue.EPIDURAL_FAT}, Tissue.CSF),
    ],
)
def test_a_finding_changes_only_its_own_tissue_and_is_no_lesion(
    finding, from_tissue, to_tissue
):
    healthy = spine_scene()
    chances = NEVER.model_copy(update={finding: 1.0})

    found = add_lookalikes(healthy, np.random.default_rng(3), chances)

    changed = found.body.tissue != healthy.body.tissue
    assert changed.any()
    assert set(np.unique(found.body.tissue[changed])) == {to_tissue}
    assert set(np.unique(healthy.body.tissue[changed])) <= from_tissue
    assert not any(fraction.any() for fraction in found.body.lesions.values())
    assert found.provenance["lookalikes"] == finding


def test_a_laminectomy_takes_the_lamina_and_spares_the_canal():
    healthy = spine_scene()
    chances = NEVER.model_copy(update={"laminectomy": 1.0})

    found = add_lookalikes(healthy, np.random.default_rng(3), chances)

    scar = found.body.tissue == Tissue.SCAR
    assert (healthy.body.structure[scar] == Structure.LAMINA).any()
    assert not (healthy.body.structure[scar] == Structure.CANAL).any()
    assert set(np.unique(found.body.structure[scar])) == {Structure.SOFT_TISSUE}


def test_modic_changes_lie_at_the_endplates_of_both_bodies():
    healthy = spine_scene()
    chances = NEVER.model_copy(update={"endplate_fat": 1.0})

    found = add_lookalikes(healthy, np.random.default_rng(3), chances)

    changed = found.body.tissue != healthy.body.tissue
    heights = found.body.geometry.to_lps(np.argwhere(changed))[:, 2] - CENTER_MM[2]
    assert heights.min() < -5.0 < 5.0 < heights.max()
    assert np.abs(heights).max() < 16.0  # a radius of 9 mm beyond the endplates


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

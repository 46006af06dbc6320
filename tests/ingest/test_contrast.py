import numpy as np
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest import shipped_settings
from facetgrade.ingest.contrast import contrast_features, measure_contrast

RULES = shipped_settings().series_rules.pixels

# relative signals of spin-echo physics at 1.5 T: fluid, fat, muscle, marrow
SIGNALS = {
    "T1": (0.13, 0.73, 0.23, 0.43),
    "T2": (0.54, 0.49, 0.04, 0.22),
    "STIR": (0.53, 0.06, 0.12, 0.20),
    "T2-FS": (0.59, 0.03, 0.11, 0.17),
}
SAGITTAL = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
AXIAL = ((0, 0, 1), (0, 1, 0), (1, 0, 0))


def patient(signals, axes=SAGITTAL, *, shade_mm=np.inf):
    """Canal in the middle, bone in front, muscle behind, fat around and under skin."""
    spacing_mm = (4.0, 2.0, 2.0)
    extents_mm = np.array([68.0, 160.0, 200.0])  # along x, y, z
    shape = tuple(
        int(extents_mm[np.argmax(np.abs(axis))] / mm)
        for axis, mm in zip(axes, spacing_mm, strict=True)
    )
    grid = VolumeGeometry.centered(
        center_lps_mm=(0, 0, 0), axes=axes, spacing_mm=spacing_mm, shape=shape
    )
    x, y, _ = np.moveaxis(grid.voxel_centers_lps_mm(), -1, 0)
    fluid, fat, muscle, marrow = signals
    values = np.full(grid.shape, fat)
    values[(y < -8) & (y > -40) & (np.abs(x) < 22)] = marrow
    values[(y > 9) & (y < 42) & (np.abs(x) < 33)] = muscle
    values[(y < -5) & (y > -40) & (np.abs(x) > 26)] = muscle
    values[(np.abs(y) <= 9) & (np.abs(x) < 24)] = marrow
    values[np.hypot(x, y) < 8] = fluid
    values[y > 60] = 0.0
    noise = np.random.default_rng(0).normal(0, 0.01, (2, *grid.shape))
    values = np.hypot(values * np.exp(y / shade_mm) + noise[0], noise[1])
    return Volume(geometry=grid, voxels=values.astype(np.float32))


@pytest.mark.parametrize("axes", [SAGITTAL, AXIAL], ids=["sagittal", "axial"])
@pytest.mark.parametrize("name", ["STIR", "T2-FS"])
def test_suppressed_fat_and_bright_fluid_are_clear(name, axes):
    evidence = measure_contrast([patient(SIGNALS[name], axes)], RULES)

    assert evidence.fluid > RULES.clear
    assert evidence.fat < -RULES.clear


@pytest.mark.parametrize("axes", [SAGITTAL, AXIAL], ids=["sagittal", "axial"])
def test_bright_fat_of_t2_is_seen(axes):
    evidence = measure_contrast([patient(SIGNALS["T2"], axes)], RULES)

    assert evidence.fluid > RULES.hint
    assert evidence.fat > RULES.hint


def test_dark_fluid_of_t1_is_seen():
    assert measure_contrast([patient(SIGNALS["T1"])], RULES).fluid < -RULES.hint


@pytest.mark.parametrize("name", ["STIR", "T2"])
def test_shading_of_a_surface_coil_does_not_turn_the_decision(name):
    shaded = patient(SIGNALS[name], shade_mm=90.0)

    evidence = measure_contrast([shaded], RULES)

    assert (evidence.fat > 0) == (name == "T2")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 5e4])
def test_intensity_scale_does_not_matter(scale):
    volume = patient(SIGNALS["STIR"])
    scaled = Volume(geometry=volume.geometry, voxels=volume.voxels * np.float32(scale))

    np.testing.assert_allclose(
        contrast_features([scaled]), contrast_features([volume]), atol=1e-4
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_storage_direction_does_not_matter(axis):
    volume = patient(SIGNALS["T2"])
    grid = volume.geometry
    last = [0, 0, 0]
    last[axis] = grid.shape[axis] - 1
    affine = grid.index_to_lps.copy()
    affine[:3, axis] *= -1
    affine[:3, 3] = grid.to_lps(last)
    flipped = Volume(
        geometry=VolumeGeometry(shape=grid.shape, index_to_lps=affine),
        voxels=np.flip(volume.voxels, axis),
    )

    np.testing.assert_allclose(
        contrast_features([flipped]), contrast_features([volume]), atol=0.2
    )


def test_few_slices_give_no_evidence():
    volume = patient(SIGNALS["STIR"])
    thin = Volume(
        geometry=volume.geometry.crop((6, 0, 0), (3, *volume.geometry.shape[1:])),
        voxels=volume.voxels[6:9],
    )

    assert contrast_features([thin]) is None
    assert measure_contrast([thin], RULES).sentences == ()


def test_volume_smaller_than_a_cell_gives_no_evidence():
    grid = VolumeGeometry.from_axes(
        origin_lps_mm=(0, 0, 0),
        axes=SAGITTAL,
        spacing_mm=(0.02, 0.02, 0.02),
        shape=(18, 40, 40),
    )
    tiny = Volume(geometry=grid, voxels=np.ones(grid.shape, np.float32))

    assert measure_contrast([tiny], RULES).sentences == ()


def test_constant_and_empty_images_do_not_fail():
    grid = patient(SIGNALS["T2"]).geometry
    for value in (0.0, 7.0):
        volume = Volume(geometry=grid, voxels=np.full(grid.shape, value, np.float32))
        evidence = measure_contrast([volume], RULES)
        assert np.isfinite([evidence.fluid, evidence.fat]).all()


def test_evidence_is_a_sentence_with_the_ratios():
    (sentence,) = measure_contrast([patient(SIGNALS["STIR"])], RULES).sentences

    assert sentence.startswith("pixels: canal ")
    assert "times muscle" in sentence
    assert "of suppressed fat" in sentence

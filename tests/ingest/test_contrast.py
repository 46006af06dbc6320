import numpy as np
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest import shipped_settings
from facetgrade.ingest.contrast import contrast_features, measure_contrast
from tests.ingest.phantom import AXIAL, SAGITTAL, SIGNALS, patient

RULES = shipped_settings().series_rules.pixels


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

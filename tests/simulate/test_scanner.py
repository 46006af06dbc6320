from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import Lesion
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.fields import smooth_noise, upsample
from facetgrade.simulate.imperfections import (
    FatFailure,
    Imperfections,
    Motion,
    Pose,
    Window,
)
from facetgrade.simulate.saturation import SaturationBand
from facetgrade.simulate.scanner import GAIN, acquire
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.tissue import LesionSignal, Signals
from tests.simulate.toy_scene import ORIGIN, toy_scene

SCENE = toy_scene(edema=1.0)
AXIAL_AXES = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
PERFECT = Imperfections(
    snr=1e6,
    coil_depth_mm=1e6,
    coil_correction=1.0,
    bias_amplitude=0.0,
    phase_axis=2,
    kept_phase=1.0,
    kept_frequency=1.0,
    chemical_shift_px=0.0,
    fat_residual=1.0,
)


def signals(**by_tissue):
    """Give 0 to all tissues but the named ones."""
    water = np.zeros(len(Tissue), np.float32)
    fat = np.zeros(len(Tissue), np.float32)
    for name, value in by_tissue.items():
        (fat if name.endswith("FAT") else water)[Tissue[name]] = value
    return Signals(
        water=water,
        fat=fat,
        texture=np.zeros(len(Tissue), np.float32),
        water_texture=np.zeros(len(Tissue), np.float32),
        disc_water=np.full(12, by_tissue.get("NUCLEUS_PULPOSUS", 0.0), np.float32),
        lesions={lesion: LesionSignal(1.0, 0.0, 1.0) for lesion in Lesion},
        reference=1.0,
    )


def axial(center, shape=(3, 40, 40), spacing=(4.0, 1.0, 1.0)):
    return VolumeGeometry.centered(
        center_lps_mm=ORIGIN + np.array(center),
        axes=AXIAL_AXES,
        spacing_mm=spacing,
        shape=shape,
    )


def scan(geometry, given, imperfections=PERFECT, scene=SCENE):
    return acquire(
        scene,
        geometry,
        slice_thickness_mm=4.0,
        signals=given,
        imperfections=imperfections,
        rng=np.random.default_rng(0),
    ).voxels


def test_a_vertebral_body_has_its_signal_where_the_scene_has_it():
    geometry = axial((0.0, 0.0, 0.0), (3, 60, 60))
    image = scan(geometry, signals(MARROW=0.5))
    inside = np.rint(geometry.to_index(ORIGIN)).astype(int)
    outside = np.rint(geometry.to_index(ORIGIN + np.array([26.0, 0.0, 0.0])))
    assert image[tuple(inside)] == pytest.approx(0.5 * GAIN, rel=0.05)
    assert image[tuple(outside.astype(int))] < 0.05 * GAIN


def test_the_patients_left_is_where_lps_says():
    # The toy's edema surrounds left joints only (x > 0).
    geometry = axial((0.0, 29.0, 18.0), (1, 30, 90))
    image = scan(geometry, signals())
    left = geometry.voxel_centers_lps_mm()[..., 0] > ORIGIN[0]
    assert image[left].mean() > 20.0 * image[~left].mean()


def test_a_thick_slice_averages_body_and_disc():
    # A 4 mm slice centered on the border at z = -13 is half marrow, half disc.
    geometry = axial((0.0, 0.0, -13.0), (1, 20, 20))
    image = scan(geometry, signals(MARROW=1.0))
    assert image[0, 10, 10] == pytest.approx(0.5 * GAIN, rel=0.15)


def test_noise_follows_the_signal_to_noise_ratio():
    geometry = axial((0.0, 0.0, 0.0), (3, 24, 24))
    image = scan(geometry, signals(MARROW=1.0), replace(PERFECT, snr=20.0))
    # GAIN / 20 = 50
    assert image[:, 4:20, 4:20].std() == pytest.approx(50.0, rel=0.15)


def test_fat_suppression_fails_only_in_its_ball():
    geometry = axial((0.0, 64.0, 0.0), (1, 16, 100))
    ball = FatFailure(ORIGIN + np.array([-30.0, 64.0, 0.0]), 15.0, 1.0)
    weak = replace(PERFECT, fat_residual=0.05, fat_failures=(ball,))
    image = scan(geometry, signals(SUBCUTANEOUS_FAT=1.0), weak)
    assert image[0, 8, 20] > 0.8 * GAIN
    assert image[0, 8, 85] < 0.15 * GAIN


def test_chemical_shift_moves_fat_along_the_frequency_axis():
    geometry = axial((0.0, 55.0, 0.0), (1, 40, 40))
    shifted = replace(PERFECT, chemical_shift_px=5.0)
    plain = scan(geometry, signals(SUBCUTANEOUS_FAT=1.0))
    moved = scan(geometry, signals(SUBCUTANEOUS_FAT=1.0), shifted)
    first = [int(np.argmax(image[0, :, 20] > 500.0)) for image in (plain, moved)]
    assert first[1] - first[0] == pytest.approx(5, abs=1)


def test_a_saturation_band_darkens_what_lies_before_the_spine():
    band = SaturationBand(
        point_lps_mm=ORIGIN + np.array([0.0, -5.0, 0.0]),
        normal=np.array([0.0, -1.0, 0.0]),
        strength=0.9,
        edge_mm=0.5,
    )
    geometry = axial((0.0, 0.0, 0.0), (1, 30, 20))
    image = scan(geometry, signals(MARROW=1.0), replace(PERFECT, saturation=band))
    assert image[0, 2, 10] < 0.2 * GAIN
    assert image[0, 26, 10] > 0.9 * GAIN


def test_the_coil_sees_the_back_better_than_the_front():
    coil = replace(PERFECT, coil_depth_mm=40.0, coil_correction=0.0)
    image = scan(axial((0.0, 0.0, 0.0), (1, 30, 20)), signals(MARROW=1.0), coil)
    assert image[0, 28, 10] > 1.2 * image[0, 2, 10]


def test_a_crop_looks_like_the_same_part_of_the_whole_stack():
    whole = axial((0.0, 20.0, 0.0), (5, 90, 80))
    crop = whole.crop((1, 30, 30), (3, 30, 30))
    given = signals(MARROW=0.6, CSF=1.0, MUSCLE=0.2)
    part = scan(whole, given)[1:4, 30:60, 30:60]
    np.testing.assert_allclose(
        scan(crop, given)[:, 3:-3, 3:-3], part[:, 3:-3, 3:-3], atol=25.0
    )


def test_flanks_beyond_the_scene_are_mirrored_muscle():
    geometry = axial((95.0, 20.0, 0.0), (1, 10, 30))
    image = scan(geometry, signals(MUSCLE=1.0))
    # Air begins at x = 85; the scene ends at 90, where it is mirrored: 95 to air,
    # 95 to 110 muscle again.
    assert image[0, 5, 1] > 0.9 * GAIN
    assert image[0, 5, 27] > 0.9 * GAIN


def test_upsampling_keeps_corners_and_is_linear_between():
    knots = np.array([[[0.0, 4.0]]], np.float32)
    np.testing.assert_allclose(upsample(knots, (2, 1, 5))[1, 0], [0, 1, 2, 3, 4])


def test_smooth_noise_has_about_unit_variance():
    geometry = axial((0.0, 0.0, 0.0), (40, 60, 60), (1.0, 1.0, 1.0))
    noise = smooth_noise(geometry, knot_distance_mm=3.0, rng=np.random.default_rng(5))
    assert noise.std() == pytest.approx(1.0, abs=0.15)


def moved(*poses, shots=8):
    motion = Motion(
        shots=shots,
        poses=tuple(
            Pose(start=start, shift_mm=shift, rotation_deg=turn)
            for start, shift, turn in poses
        ),
    )
    return replace(PERFECT, motion=motion)


def test_a_patient_who_moved_before_the_first_line_is_only_displaced():
    geometry = axial((0.0, 0.0, 0.0), (1, 48, 48))
    given = signals(MARROW=1.0)
    still = scan(geometry, given)
    shifted = scan(geometry, given, moved((0.0, (3.0, -2.0), 0.0)))
    # Pixels of 1 mm: 3 rows down, 2 columns back.
    np.testing.assert_allclose(
        shifted[0, 8:40, 8:40], still[0, 5:37, 10:42], atol=0.02 * GAIN
    )


def test_a_quarter_turn_exchanges_rows_and_columns():
    geometry = axial((0.0, 0.0, 0.0), (1, 41, 41))
    given = signals(MARROW=1.0, CSF=0.5)
    still = scan(geometry, given)[0]
    turned = scan(geometry, given, moved((0.0, (0.0, 0.0), 90.0)))[0]
    error = min(np.abs(turned - np.rot90(still, k)).max() for k in (1, 3))
    assert error < 0.1 * GAIN


def test_motion_between_echo_trains_ghosts_along_the_phase_axis_only():
    geometry = axial((0.0, 0.0, 0.0), (1, 80, 80))
    given = signals(MARROW=1.0)
    # The box of marrow spans rows 23-57 and columns 18-62.
    image = scan(geometry, given, moved((0.5, (0.0, 6.0), 0.0)))[0]
    beside, above = image[30:50, :14], image[:14, 30:50]
    assert beside.mean() > 5.0 * above.mean()
    assert beside.max() > 0.05 * GAIN


def test_what_lies_beyond_the_view_folds_onto_the_other_end():
    # The body is 20 mm to the right of the view's right end, which is 20 mm wide.
    geometry = axial((40.0, 0.0, 0.0), (3, 40, 40))
    plain = scan(geometry, signals(MARROW=0.5))
    folded = scan(geometry, signals(MARROW=0.5), replace(PERFECT, wrap_share=0.5))

    assert plain[1, 20, 39] < 0.02 * GAIN
    assert folded[1, 20, 39] == pytest.approx(0.5 * GAIN, rel=0.1)


def test_a_hamming_window_is_smoother_than_a_fermi_window():
    geometry = axial((0.0, 0.0, 0.0), (3, 60, 60))
    half = replace(PERFECT, kept_phase=0.5, kept_frequency=0.5)
    sharp = scan(geometry, signals(MARROW=0.5), half)
    smooth = scan(geometry, signals(MARROW=0.5), replace(half, window=Window.HAMMING))

    assert np.abs(np.diff(smooth[1])).max() < 0.8 * np.abs(np.diff(sharp[1])).max()


@pytest.mark.parametrize("window", list(Window))
def test_noise_is_as_strong_as_wanted_after_every_window(window):
    geometry = axial((0.0, 0.0, 0.0), (3, 60, 60))
    noisy = replace(
        PERFECT, snr=20.0, window=window, kept_phase=0.7, kept_frequency=0.9
    )

    air = scan(geometry, signals(AIR=0.0), noisy)

    # The mean of a Rayleigh distribution is 1.2533 standard deviations.
    assert air.mean() == pytest.approx(1.2533 * GAIN / 20.0, rel=0.04)


def test_squares_of_more_elements_raise_the_background():
    geometry = axial((0.0, 0.0, 0.0), (3, 60, 60))
    noisy = replace(PERFECT, snr=20.0)
    one = scan(geometry, signals(AIR=0.0), noisy)
    four = scan(geometry, signals(AIR=0.0), replace(noisy, coil_elements=4))

    # Means of chi with 2 and 8 degrees of freedom: 1.2533 and 2.7416.
    assert four.mean() / one.mean() == pytest.approx(2.7416 / 1.2533, rel=0.02)

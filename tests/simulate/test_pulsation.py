from dataclasses import fields, replace

import numpy as np
import pytest

from facetgrade.config_files import read_shipped
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.imperfections import draw_imperfections
from facetgrade.simulate.protocols import draw_protocol
from facetgrade.simulate.pulsation import Pulsation, draw_pulsation, pulsation_ghosts
from facetgrade.simulate.saturation import SaturationBand
from facetgrade.simulate.scanner import GAIN
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.settings import SimulateSettings
from tests.simulate.test_scanner import PERFECT, axial, scan, signals
from tests.simulate.toy_scene import ORIGIN, toy_scene

SHIPPED = read_shipped("configs/simulate.toml", SimulateSettings)
WITHOUT = SHIPPED.scanner.model_copy(update={"pulsation_amplitude": (0.0, 0.0)})
STRONG = SHIPPED.scanner.model_copy(update={"pulsation_amplitude": (0.5, 0.5)})
# A quarter of a beat per line: ghosts are displaced by a quarter of 80 pixels.
QUARTER = Pulsation(
    vessel_amplitude=0.4,
    csf_amplitude=0.4,
    heart_rate_bpm=15.0,
    phase=0.0,
    repetition_ms=1000.0,
    shots=80,
    lines=80,
    pixels=80,
)
BAND = SaturationBand(
    point_lps_mm=ORIGIN + np.array([0.0, -19.0, 0.0]),
    normal=np.array([0.0, -1.0, 0.0]),
    strength=1.0,
    edge_mm=0.5,
)


def with_vessel(scene, front_mm, half_mm):
    """Put a vessel along the toy spine, in front of the bodies' middle."""
    x, y, _ = np.moveaxis(scene.body.geometry.voxel_centers_lps_mm() - ORIGIN, -1, 0)
    tissue = scene.body.tissue.copy()
    tissue[(np.abs(x) < half_mm) & (np.abs(y + front_mm) < half_mm)] = Tissue.VESSEL
    return replace(scene, body=replace(scene.body, tissue=tissue))


SCENE = with_vessel(toy_scene(), 37.0, 8.0)
# Rows 20 and 80 of 120 lie in the vessel and in the canal, column 40 on the midline.
WHOLE = axial((0.0, 3.0, 0.0), (3, 120, 80))
VESSEL_ROW, CANAL_ROW, MIDDLE = 20, 80, 40
FLOW = signals(VESSEL=1.0, CSF=1.0)


def ghosts(pulsation=QUARTER, geometry=WHOLE, scene=SCENE, **changed):
    """Return the image of vessel and CSF alone, in parts of their signal."""
    disturbed = replace(PERFECT, pulsation=pulsation, **changed)
    return scan(geometry, FLOW, disturbed, scene)[geometry.shape[0] // 2] / GAIN


def protocol(name):
    return draw_protocol(
        name,
        SHIPPED.protocols[name],
        field_t=1.5,
        scanner=SHIPPED.scanner,
        rng=np.random.default_rng(1),
    )


def test_ghosts_lie_where_heart_rate_and_repetition_time_put_them():
    image = ghosts()
    # Half of the swing of 0.4 goes to either side, 80 / 4 = 20 pixels away.
    for side in (-20, 20):
        at = image[VESSEL_ROW, MIDDLE + side - 2 : MIDDLE + side + 3]
        assert at.mean() == pytest.approx(0.2, abs=0.04)
    assert image[VESSEL_ROW, MIDDLE + 36 :].max() < 0.04


def test_ghosts_do_not_leave_the_phase_axis():
    apart = ghosts() - ghosts(None)
    assert np.abs(apart[45:60]).max() < 0.01  # between vessel and canal
    assert np.abs(apart[VESSEL_ROW]).max() > 0.15


def test_with_phases_along_the_rows_ghosts_lie_above_and_below():
    rows = replace(QUARTER, lines=120, pixels=120, shots=120)
    image = ghosts(rows, phase_axis=1)
    # The canal's ghost is 120 / 4 = 30 rows away.
    assert image[CANAL_ROW - 30, MIDDLE] == pytest.approx(0.2, abs=0.05)
    assert image[CANAL_ROW, MIDDLE - 20] < 0.04


def test_a_saturation_band_takes_the_ghosts_of_vessels_only():
    image = ghosts(saturation=BAND)
    assert image[VESSEL_ROW, MIDDLE + 20] < 0.02
    assert image[CANAL_ROW, MIDDLE + 20] > 0.15


def test_small_veins_do_not_pulsate():
    # Between the aorta and the canal, 16 mm in front of the middle: row 40.
    vein = with_vessel(SCENE, 16.0, 2.0)
    assert (vein.body.tissue != SCENE.body.tissue).any()
    apart = ghosts(scene=vein) - ghosts(None, scene=vein)
    assert np.abs(apart[36:46]).max() < 0.01


def test_slices_that_miss_the_patient_have_no_ghosts():
    aside = axial((0.0, 400.0, 0.0), (3, 20, 80))
    np.testing.assert_array_equal(ghosts(geometry=aside), ghosts(None, geometry=aside))


def test_a_joint_region_shows_the_ghosts_of_what_lies_beside_it():
    # Columns 54 to 74 hold neither canal nor vessel, but their ghosts.
    region = WHOLE.crop((0, 0, 54), (3, 120, 20))
    part = ghosts(geometry=region)
    np.testing.assert_allclose(
        part[3:-3, 3:-3], ghosts()[3:-3, 54:74][:, 3:-3], atol=0.03
    )
    assert part[VESSEL_ROW].max() > 0.15


def test_interleaved_trains_ghost_at_parts_of_the_view_and_ever_weaker():
    geometry = VolumeGeometry.centered(
        center_lps_mm=ORIGIN,
        axes=np.eye(3),
        spacing_mm=(4.0, 1.0, 1.0),
        shape=(1, 1, 80),
    )
    point = np.zeros((1, 1, 80), np.float32)
    point[..., 40] = 1.0
    whole = (slice(0, 1), slice(0, 1), slice(0, 80))
    uneven = replace(QUARTER, shots=8, heart_rate_bpm=16.0)
    strength = np.abs(pulsation_ghosts(point, whole, geometry, 2, uneven))[0, 0]
    # Weights repeat after 8 lines, so that ghosts are 80 / 8 = 10 pixels apart; 16 / 60
    # of a beat per train is 2.1 of them.
    np.testing.assert_allclose(
        np.delete(strength, np.arange(0, 80, 10)), 0.0, atol=1e-6
    )
    assert strength[20] > strength[30] > 0.001
    assert strength[60] > strength[50] > 0.001
    assert min(strength[20], strength[60]) > 5.0 * max(strength[30], strength[50])


def test_csf_ghosts_less_than_vessels_where_echoes_are_late():
    for seed in range(10):
        for name in ("sagittal_t2", "axial_t2_fs"):
            rng = np.random.default_rng(seed)
            drawn = draw_pulsation(protocol(name), 1, STRONG, rng)
            low, high = SHIPPED.scanner.pulsation_csf_share
            assert low <= drawn.csf_amplitude / drawn.vessel_amplitude <= high < 0.3


def test_more_is_sampled_than_shown_along_the_spine_alone():
    rng = np.random.default_rng(1)
    sagittal, axial_fs = protocol("sagittal_t2"), protocol("axial_t2_fs")
    assert draw_pulsation(sagittal, 1, STRONG, rng).lines == 1.5 * sagittal.matrix
    assert draw_pulsation(sagittal, 2, STRONG, rng).lines == sagittal.matrix
    assert draw_pulsation(axial_fs, 2, STRONG, rng).lines == axial_fs.matrix


def test_without_amplitude_all_is_as_if_nothing_could_pulsate():
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    given = protocol("axial_t2_fs")
    still = draw_imperfections(given, SCENE, scanner=WITHOUT, rng=rng)
    beating = draw_imperfections(given, SCENE, scanner=STRONG, rng=same)
    assert still.pulsation is None
    assert beating.pulsation.vessel_amplitude == 0.5
    for one in fields(still):
        if one.name in ("pulsation", "saturation", "fat_failures"):
            continue
        assert getattr(still, one.name) == getattr(beating, one.name)
    assert rng.random() == same.random()


def test_ghosts_leave_noise_and_texture_as_they_are():
    noisy = replace(PERFECT, snr=30.0)
    faint = replace(QUARTER, vessel_amplitude=1e-9, csf_amplitude=1e-9)
    plain = scan(WHOLE, FLOW, noisy, SCENE)
    with_ghosts = scan(WHOLE, FLOW, replace(noisy, pulsation=faint), SCENE)
    np.testing.assert_allclose(with_ghosts, plain, atol=1e-3)

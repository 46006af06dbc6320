import numpy as np
import pytest

from facetgrade.anatomy import Lesion
from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.simulate.relaxation import RELAXATION
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.tissue import (
    draw_subject_tissue,
    physics_signals,
    random_contrast,
)
from facetgrade.study import Plane, Sequence


def protocol(tr_ms, te_ms, ti_ms=0.0, *, spectral=False, agent=False):
    suppression = FatSuppression.SPECTRAL if spectral else FatSuppression.NONE
    return Protocol(
        name="test",
        sequence=Sequence.T2,
        plane=Plane.AXIAL,
        field_t=1.5,
        tr_ms=tr_ms,
        te_ms=te_ms,
        ti_ms=ti_ms,
        echo_train_length=16,
        fat_suppression=FatSuppression.STIR if ti_ms else suppression,
        contrast_agent=agent,
        slice_thickness_mm=4.0,
        gap_mm=0.4,
        pixel_mm=0.7,
        matrix=64,
        slices=5,
    )


T1 = protocol(600.0, 12.0)
T2 = protocol(3500.0, 100.0)
STIR = protocol(4000.0, 55.0, 150.0)
T2_FS = protocol(4000.0, 70.0, spectral=True)
T1_FS_POST = protocol(600.0, 12.0, spectral=True, agent=True)


@pytest.fixture
def subject():
    return draw_subject_tissue(np.random.default_rng(1))


def total(signals, tissue):
    return abs(signals.water[tissue] + signals.fat[tissue])


def test_csf_follows_the_spin_echo_equation(subject):
    signals = physics_signals(T2, subject)
    t1_ms = 4200.0 * subject.t1_factor[Tissue.CSF]
    t2_ms = 2000.0 * subject.t2_factor[Tissue.CSF]
    density = subject.density_factor[Tissue.CSF]
    expected = density * (1.0 - np.exp(-3500.0 / t1_ms)) * np.exp(-100.0 / t2_ms)
    assert signals.water[Tissue.CSF] == pytest.approx(expected, rel=1e-5)


def test_every_tissue_has_relaxation_times():
    assert set(RELAXATION) == set(Tissue)


def test_fluid_is_dark_on_t1_and_bright_on_t2(subject):
    t1, t2 = physics_signals(T1, subject), physics_signals(T2, subject)
    assert total(t1, Tissue.CSF) < total(t1, Tissue.MUSCLE)
    assert total(t2, Tissue.CSF) > 5.0 * total(t2, Tissue.MUSCLE)


def test_fat_is_brighter_than_marrow_and_marrow_than_muscle_on_t1(subject):
    signals = physics_signals(T1, subject)
    fat = total(signals, Tissue.SUBCUTANEOUS_FAT)
    assert fat > total(signals, Tissue.MARROW) > total(signals, Tissue.MUSCLE)


def test_inversion_nulls_fat(subject):
    signals = physics_signals(STIR, subject)
    fat = abs(signals.fat[Tissue.SUBCUTANEOUS_FAT])
    assert fat < 0.05 * total(signals, Tissue.CSF)


def test_edema_outshines_its_hosts_only_with_fat_suppression(subject):
    edema = Lesion.SOFT_TISSUE_EDEMA
    suppressed = physics_signals(T2_FS, subject)
    plain = physics_signals(T2, subject)
    assert suppressed.lesions[edema].water > 2.0 * suppressed.water[Tissue.MUSCLE]
    assert plain.lesions[edema].water < total(plain, Tissue.FORAMINAL_FAT)


def test_marrow_edema_is_bright_on_stir_and_dark_on_t1(subject):
    stir, t1 = physics_signals(STIR, subject), physics_signals(T1, subject)
    marrow = Lesion.MARROW_EDEMA
    assert abs(stir.lesions[marrow].water) > 1.5 * total(stir, Tissue.MARROW)
    assert t1.lesions[marrow].water < total(t1, Tissue.MARROW)


def test_gadolinium_brightens_the_rim_of_an_effusion_more_than_its_inside(subject):
    effusion = physics_signals(T1_FS_POST, subject).lesions[Lesion.EFFUSION]
    before = physics_signals(T1, subject).lesions[Lesion.EFFUSION]
    assert effusion.rim > effusion.water > before.water


def test_random_contrast_keeps_air_dark_and_covers_every_tissue():
    signals = random_contrast(np.random.default_rng(2))
    assert signals.water.shape == (len(Tissue),)
    assert signals.water[Tissue.AIR] < 0.05
    assert set(signals.lesions) == set(Lesion)


def test_the_same_generator_state_gives_the_same_contrast():
    first = random_contrast(np.random.default_rng(3)).water
    np.testing.assert_array_equal(
        first, random_contrast(np.random.default_rng(3)).water
    )


def test_a_wider_spread_scales_how_far_tissues_stray_from_the_table():
    usual, wide = (
        draw_subject_tissue(np.random.default_rng(2), spread=spread)
        for spread in (1.0, 3.0)
    )

    np.testing.assert_allclose(
        np.log(wide.t2_factor), 3.0 * np.log(usual.t2_factor), rtol=1e-9
    )
    # Three standard deviations of 8 % at most.
    assert np.abs(np.log(usual.t2_factor)).max() <= 0.24


def test_marrow_with_more_fat_holds_less_water(subject):
    signals = physics_signals(protocol(600.0, 10.0), subject)
    share = subject.fat_fraction[Tissue.MARROW]

    # What fat gains, water loses: f (1 + e) + (1 - f)(1 - e f / (1 - f)) = 1.
    fat = share * (1.0 + signals.texture[Tissue.MARROW])
    water = (1.0 - share) * (1.0 + signals.water_texture[Tissue.MARROW])
    assert fat + water == pytest.approx(1.0, abs=1e-6)
    assert signals.water_texture[Tissue.MUSCLE] == signals.texture[Tissue.MUSCLE]

"""Any field strength: relaxation, inversion time and headers."""

from dataclasses import replace

import numpy as np
import pydantic
import pydicom
import pytest

from facetgrade.anatomy import Lesion
from facetgrade.config import read_shipped
from facetgrade.simulate.protocols import (
    FatSuppression,
    draw_protocol,
    stir_ti_range_ms,
)
from facetgrade.simulate.relaxation import FAT, RELAXATION, at_field
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.settings import ScannerSettings, SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue, physics_signals
from facetgrade.simulate.vendors import AcquiredSeries, Habit, new_uid
from tests.simulate.acquired import IMPERFECTIONS, PROTOCOL
from tests.simulate.test_vendors import block, write

CONFIG = read_shipped("configs/simulate.toml", SimulateSettings)
KNOWN = {1.5: 0, 3.0: 1}  # fields of the tables


def stir_at(field_t, seed=3):
    return draw_protocol(
        "sagittal_stir",
        CONFIG.protocols["sagittal_stir"].model_copy(
            update={"fat_suppression": (FatSuppression.STIR,)}
        ),
        field_t=field_t,
        scanner=CONFIG.scanner,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("field_t", KNOWN)
def test_at_the_fields_of_the_tables_values_are_theirs(field_t):
    for material in RELAXATION.values():
        assert at_field(material.t1_ms, field_t) == material.t1_ms[KNOWN[field_t]]
        assert at_field(material.t2_ms, field_t) == material.t2_ms[KNOWN[field_t]]


@pytest.mark.parametrize("field_t", KNOWN)
def test_signals_at_known_fields_use_the_tables_exactly(field_t):
    subject = draw_subject_tissue(np.random.default_rng(1))
    protocol = replace(PROTOCOL, field_t=field_t)
    signals = physics_signals(protocol, subject)
    table = [RELAXATION[tissue] for tissue in Tissue]
    number = KNOWN[field_t]
    t1_ms = np.array([one.t1_ms[number] for one in table]) * subject.t1_factor
    t2_ms = np.array([one.t2_ms[number] for one in table]) * subject.t2_factor
    density = np.array([one.proton_density for one in table]) * subject.density_factor
    decay = (1.0 - np.exp(-protocol.tr_ms / t1_ms)) * np.exp(-protocol.te_ms / t2_ms)
    water = density * (1.0 - subject.fat_fraction) * decay
    water[Tissue.VESSEL] *= subject.vessel_flow
    np.testing.assert_array_equal(signals.water, water.astype(np.float32))


def test_between_and_beyond_t1_rises_and_t2_falls_with_field():
    fields_t = [0.55, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0]
    t1_ms = [at_field(RELAXATION[Tissue.MUSCLE].t1_ms, t) for t in fields_t]
    t2_ms = [at_field(RELAXATION[Tissue.MUSCLE].t2_ms, t) for t in fields_t]
    assert (np.diff(t1_ms) > 0).all()
    assert (np.diff(t2_ms) < 0).all()
    # Twice the field multiplies by the same factor wherever it starts.
    assert t1_ms[5] / t1_ms[3] == pytest.approx(at_field((1010, 1400), 6.0) / 1400)
    assert t1_ms[1] == pytest.approx(1010 * (1010 / 1400) ** 0.585, rel=1e-3)


@pytest.mark.parametrize("field_t", [1.0, 1.2, 1.5, 3.0])
def test_stir_nulls_fat_at_every_field(field_t):
    subject = draw_subject_tissue(np.random.default_rng(1))
    signals = physics_signals(stir_at(field_t), subject)
    none = FatSuppression.NONE
    plain = physics_signals(
        replace(stir_at(field_t), ti_ms=0.0, fat_suppression=none), subject
    )
    fat = Tissue.SUBCUTANEOUS_FAT
    assert abs(signals.fat[fat]) < 0.06 * plain.fat[fat]
    assert abs(signals.lesions[Lesion.EFFUSION].water) > 5.0 * abs(signals.fat[fat])


def test_the_inversion_time_scales_as_the_t1_of_fat_does():
    assert stir_ti_range_ms(CONFIG.scanner, 1.5) == (140, 165)
    assert stir_ti_range_ms(CONFIG.scanner, 3.0) == (200, 230)
    low, high = stir_ti_range_ms(CONFIG.scanner, 1.0)
    assert (low, high) == pytest.approx((113.6, 135.9), abs=0.1)
    null_ms = np.log(2.0) * at_field(FAT.t1_ms, 1.0)
    assert 0.65 * null_ms < low < high < 0.95 * null_ms
    assert low <= stir_at(1.0).ti_ms <= high


def test_a_listed_field_goes_before_the_power_law():
    listed = CONFIG.scanner.stir_ti_ms | {"1T": (120.0, 130.0)}
    own = CONFIG.scanner.model_copy(update={"stir_ti_ms": listed})
    assert stir_ti_range_ms(own, 1.0) == (120.0, 130.0)


def test_a_scanner_whose_inversion_time_is_unknown_is_refused():
    values = CONFIG.scanner.model_dump()
    only = values | {"stir_ti_ms": {"1.5T": [140, 165]}}
    assert ScannerSettings(**only | {"field_t": [1.5]}).field_t == (1.5,)
    with pytest.raises(pydantic.ValidationError, match="stir_ti_ms lacks 1T"):
        ScannerSettings(**only | {"field_t": [1.5, 1.0]})


@pytest.mark.parametrize("habit", [h for h in Habit if h is not Habit.STRIPPED])
def test_headers_tell_the_field(tmp_path, habit):
    rng = np.random.default_rng(5)
    series = AcquiredSeries(
        number=6,
        uid=new_uid(rng),
        protocol=replace(PROTOCOL, field_t=1.2),
        imperfections=IMPERFECTIONS,
        volumes=(block(0.0, (-40.0, 12.0, 7.0), 3),),
    )
    dataset = pydicom.dcmread(write(tmp_path, series, habit)[0])
    assert dataset.MagneticFieldStrength == 1.2
    if habit is Habit.ENHANCED:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        frequency = shared.MRImagingModifierSequence[0].TransmitterFrequency
    else:
        frequency = dataset.ImagingFrequency
    assert float(frequency) == pytest.approx(42.577 * 1.2, abs=0.01)

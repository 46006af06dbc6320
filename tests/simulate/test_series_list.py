"""Which series a study holds; what is drawn aside changes nothing else."""

import numpy as np
import pydantic
import pytest

from facetgrade.config import read_shipped
from facetgrade.simulate.fixed_protocol import one_protocol
from facetgrade.simulate.protocols import FatSuppression, csf_null_ms, draw_protocol
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.series_list import name_at_field, study_series, view_series
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue, physics_signals
from facetgrade.simulate.vendors import Habit
from facetgrade.simulate.vendors.texts import series_texts
from facetgrade.study import Sequence

CONFIG = read_shipped("configs/simulate.toml", SimulateSettings)
ADDED = ("axial_t1", "sagittal_t1_fs_post")
FLAIR = "sagittal_t1_flair"


def config(*, share=1.0, instead=0.0, **sometimes):
    """Return the shipped settings with other shares."""
    study = CONFIG.study.model_copy(
        update={
            "sometimes": dict.fromkeys(CONFIG.study.sometimes, share) | sometimes,
        }
    )
    flair = CONFIG.protocols[FLAIR].model_copy(update={"instead_share": instead})
    return CONFIG.model_copy(
        update={"study": study, "protocols": CONFIG.protocols | {FLAIR: flair}}
    )


def names(settings, field_t=3.0, seed=1):
    listed = study_series(settings, field_t, np.random.default_rng(seed))
    return [name for name, _ in listed]


def drawn(name, field_t=3.0, seed=4):
    return draw_protocol(
        name,
        CONFIG.protocols[name],
        field_t=field_t,
        scanner=CONFIG.scanner,
        rng=np.random.default_rng(seed),
    )


def test_a_study_may_have_every_series_and_native_ones_come_before_the_agent():
    assert names(config()) == [
        *CONFIG.study.always,
        "axial_t2",
        "axial_t1",
        "axial_t1_fs_post",
        "sagittal_t1_fs_post",
    ]


def test_shares_hold():
    counts = [names(CONFIG, 1.5, seed) for seed in range(300)]
    for name in ("axial_t2", *ADDED):
        share = np.mean([name in listed for listed in counts])
        assert share == pytest.approx(CONFIG.study.sometimes[name], abs=0.08)


def test_what_is_drawn_aside_leaves_the_other_series_as_they_are():
    with_added, without = np.random.default_rng(5), np.random.default_rng(5)
    first = study_series(config(), 1.5, with_added)
    known = {"axial_t2": 1.0, "axial_t1_fs_post": 1.0}
    study = CONFIG.study.model_copy(update={"sometimes": known})
    second = study_series(CONFIG.model_copy(update={"study": study}), 1.5, without)
    assert [name for name, _ in first if name not in ADDED] == [n for n, _ in second]
    for name, stream in first:
        if name in ADDED:
            assert stream is not with_added
            stream.random(1000)
    assert with_added.random() == without.random()


def test_flair_takes_the_place_of_sagittal_t1_at_high_field_only():
    assert names(config(instead=1.0))[0] == FLAIR
    assert "sagittal_t1" not in names(config(instead=1.0))
    assert names(config(instead=1.0), field_t=1.5)[0] == "sagittal_t1"
    shares = [names(CONFIG, 3.0, seed)[0] == FLAIR for seed in range(300)]
    asked = CONFIG.protocols[FLAIR].instead_share
    assert np.mean(shares) == pytest.approx(asked, abs=0.08)


def test_after_flair_a_study_goes_on_as_after_sagittal_t1():
    streams = [np.random.default_rng(6) for _ in range(2)]
    for name, stream in zip(("sagittal_t1", FLAIR), streams, strict=True):
        protocol = draw_protocol(
            name,
            CONFIG.protocols[name],
            field_t=3.0,
            scanner=CONFIG.scanner,
            rng=stream,
        )
        assert protocol.slices > 0
    assert streams[0].random() == streams[1].random()


def test_views_hold_all_protocols_that_a_scanner_has():
    for field_t, missing in ((1.5, FLAIR), (3.0, "sagittal_t1")):
        settings = config(instead=1.0)
        listed = view_series(settings, field_t, np.random.default_rng(2))
        assert {name for name, _ in listed} == settings.protocols.keys() - {missing}


def test_a_protocol_is_replaced_where_the_field_is_too_low():
    assert name_at_field(CONFIG, FLAIR, 1.5) == "sagittal_t1"
    assert name_at_field(CONFIG, FLAIR, 3.0) == FLAIR
    assert name_at_field(CONFIG, "axial_t1", 1.5) == "axial_t1"


def test_two_scans_of_one_operator_have_the_same_series():
    for seed in range(8):
        fixed = one_protocol(CONFIG, np.random.default_rng(seed))
        field_t = fixed.scanner.field_t[0]
        assert len({tuple(names(fixed, field_t, again)) for again in range(6)}) == 1


def test_flair_darkens_csf_and_keeps_fat_bright():
    subject = draw_subject_tissue(np.random.default_rng(1))
    flair, t1 = (
        physics_signals(drawn(name), subject) for name in (FLAIR, "sagittal_t1")
    )
    assert drawn(FLAIR).fat_suppression is FatSuppression.NONE
    assert 700 < drawn(FLAIR).ti_ms < 1100

    def over_fat(signals, tissue):
        fat = signals.water[Tissue.SUBCUTANEOUS_FAT]
        fat += signals.fat[Tissue.SUBCUTANEOUS_FAT]
        return abs(signals.water[tissue]) / fat

    assert over_fat(flair, Tissue.CSF) < 0.6 * over_fat(t1, Tissue.CSF)
    assert over_fat(flair, Tissue.CSF) < 0.12


def test_csf_gives_no_signal_after_its_null():
    for field_t, tr_ms in ((3.0, 2000.0), (3.0, 2500.0), (1.5, 2200.0)):
        ti_ms, t1_ms = csf_null_ms(tr_ms, field_t), {1.5: 4200.0, 3.0: 4300.0}[field_t]
        left = 1.0 - 2.0 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms)
        assert left == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("habit", "name", "expected"),
    [
        (Habit.SIEMENS, FLAIR, "t1_tirm_sag_dark-fluid"),
        (Habit.GE, FLAIR, "Sag T1 FLAIR"),
        (Habit.PHILIPS, FLAIR, "T1W_FLAIR SAG"),
        (Habit.STRIPPED, FLAIR, "T1"),
        (Habit.SIEMENS, "axial_t1", "t1_tse_tra"),
        (Habit.GE, "axial_t1", "Ax T1 FSE"),
        (Habit.PHILIPS, "axial_t1", "T1W_TSE TRA"),
    ],
)
def test_new_series_are_named_as_vendors_do(habit, name, expected):
    assert series_texts(drawn(name), habit).description == expected
    assert ("IR" in series_texts(drawn(name), habit).scanning_sequence) == (
        name == FLAIR and habit is not Habit.STRIPPED
    )


def test_a_protocol_that_is_named_must_be_there():
    values = CONFIG.model_dump()
    values["protocols"][FLAIR]["instead"] = "sagittal_pd"
    with pytest.raises(pydantic.ValidationError, match="no such protocol: sagittal_pd"):
        SimulateSettings.model_validate(values)


def test_each_class_is_that_of_the_images():
    assert CONFIG.protocols["axial_t1"].sequence is Sequence.T1
    assert CONFIG.protocols["sagittal_t1_fs_post"].sequence is Sequence.T1_FS_POST
    assert CONFIG.protocols["sagittal_t1_fs_post"].contrast_agent

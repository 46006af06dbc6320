from pathlib import Path

import pytest

from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.evaluate.held_out import draw_patients
from facetgrade.evaluate.settings import EvaluateSettings, GroupSettings
from facetgrade.train.cases import read_scanner_settings
from facetgrade.train.settings import TrainSettings

SHIPPED = read_settings(shipped_path("configs/evaluate.toml"), EvaluateSettings)
HERE = str(Path(__file__).parent)  # patients are drawn, not simulated: any folder does


def benchmark(**changes):
    return SHIPPED.benchmark.model_copy(update={"data_folder": HERE, **changes})


def test_patients_take_turns_through_the_groups():
    patients = draw_patients(benchmark())
    groups = [group.name for group in SHIPPED.benchmark.groups]

    assert [p.group for p in patients[: len(groups) + 1]] == [*groups, groups[0]]


def test_pairs_halve_the_number_of_patients():
    assert len(draw_patients(benchmark(studies=7, pairs=True))) == 4
    assert len(draw_patients(benchmark(studies=7, pairs=False))) == 7


def test_fewer_studies_are_the_first_of_more():
    few = draw_patients(benchmark(studies=4))
    many = draw_patients(benchmark(studies=20))

    assert [p.fingerprint() for p in few] == [p.fingerprint() for p in many[:2]]


def test_overrides_change_only_what_they_name():
    group = GroupSettings(
        name="noisy", anatomy="parametric", overrides={"scanner": {"snr": [5, 6]}}
    )
    noisy, usual = (
        draw_patients(benchmark(groups=(chosen,)))[0].settings
        for chosen in (group, group.model_copy(update={"overrides": {}}))
    )

    assert noisy.scanner.snr == (5, 6)
    assert noisy.scanner.field_t == usual.scanner.field_t
    assert noisy.pathology == usual.pathology


def test_an_override_of_an_unknown_key_is_refused():
    group = GroupSettings(
        name="typo", anatomy="parametric", overrides={"scanner": {"snrr": [5, 6]}}
    )

    with pytest.raises(ConfigError, match=r"unknown key scanner\.snrr"):
        draw_patients(benchmark(groups=(group,)))


def test_other_models_change_the_fingerprint():
    patient = draw_patients(benchmark())[0]

    assert patient.fingerprint({"localizer": "a"}) != patient.fingerprint(
        {"localizer": "b"}
    )


def test_no_group_of_the_benchmark_is_drawn_like_training():
    names = {group.anatomy for group in SHIPPED.benchmark.groups}

    assert "mean-shape" not in names
    assert "label-map" not in names
    assert all(
        group.overrides.get("anatomy")
        for group in SHIPPED.benchmark.groups
        if group.anatomy == "parametric"
    )


def group_settings(name):
    """Return the simulator of one group of the benchmark, and that of training."""
    train = read_settings(shipped_path("configs/train_segmenter.toml"), TrainSettings)
    own = next(p.settings for p in draw_patients(benchmark()) if p.group == name)
    return own, read_scanner_settings(train.cases)


def apart(first, second):
    """Tell whether two ranges share no value."""
    return first[0] > second[1] or first[1] < second[0]


def test_other_protocols_are_beyond_those_of_training():
    own, trained = group_settings("Visible Human, other protocols")

    assert own.scanner.field_t == (1.0,)
    assert not set(own.scanner.field_t) & set(trained.scanner.field_t)
    assert apart(own.scanner.snr, trained.scanner.snr)
    for name, protocol in own.protocols.items():
        if protocol.sequence.shows_edema:
            usual = trained.protocols[name].slice_thickness_mm
            assert apart(protocol.slice_thickness_mm, usual), name
    for name in ("sagittal_stir", "axial_t2_fs"):
        assert apart(own.protocols[name].fov_mm, trained.protocols[name].fov_mm)


def test_other_physics_is_beyond_that_of_training():
    own, trained = group_settings("Visible Human, other physics")

    assert apart(own.scanner.chemical_shift_px, trained.scanner.chemical_shift_px)
    assert not set(own.scanner.windows) & set(trained.scanner.windows)
    assert not set(own.scanner.coil_elements) & set(trained.scanner.coil_elements)
    assert trained.scanner.phase_swapped == 0.0 < own.scanner.phase_swapped


def test_follow_up_of_the_benchmark_keeps_all_grades_equally_frequent():
    for patient in draw_patients(benchmark()):
        table = patient.settings.pathology.followup_transitions
        assert [sum(column) for column in zip(*table, strict=True)] == pytest.approx(
            [1.0] * 5
        )


def test_a_missing_data_folder_is_named_before_anything_is_simulated():
    with pytest.raises(ConfigError, match="data folder nowhere is missing"):
        draw_patients(benchmark(data_folder="nowhere"))


@pytest.mark.parametrize(
    ("group", "planes"),
    [
        ("Visible Human, sagittal series only", {"sagittal"}),
        ("Visible Human, axial fat suppression only", {"axial"}),
    ],
)
def test_groups_that_miss_a_plane_never_draw_it(group, planes):
    patients = draw_patients(benchmark())
    settings = next(p.settings for p in patients if p.group == group)

    names = set(settings.study.always)
    names |= {name for name, share in settings.study.sometimes.items() if share > 0.0}
    showing = [settings.protocols[name] for name in names]
    assert {p.plane for p in showing if p.sequence.shows_edema} == planes

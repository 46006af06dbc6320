from pathlib import Path

import pytest

from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.evaluate.held_out import draw_patients
from facetgrade.evaluate.settings import EvaluateSettings, GroupSettings

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

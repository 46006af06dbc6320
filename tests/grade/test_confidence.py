import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetgrade.anatomy import ExtensionSite
from facetgrade.findings import Interval
from facetgrade.grade.confidence import (
    CalibrationRecord,
    fit_confidence,
    format_confidence,
    grade_probabilities,
    grade_set,
    replace_confidence,
)
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import ConfidenceSettings, GradeSettings
from facetgrade.study import Sequence


def of_grade(build_extents, grade, **changes):
    """Extents far from every threshold of their grade."""
    values = {"effusion_width_mm": 0.3 if grade == 0 else 2.5}
    if grade >= 2:
        values |= {"soft_tissue_edema_mm3": 800.0, "perimeter_fraction": 0.2}
    if grade >= 3:
        values["perimeter_fraction"] = 0.85
    if grade == 4:
        values["extension_mm3"] = {ExtensionSite.FORAMEN: 400.0}
    return build_extents(**(values | changes))


@pytest.mark.parametrize("grade", range(5))
def test_clear_extents_give_their_grade_nearly_all_probability(
    build_extents, shipped, grade
):
    probabilities = grade_probabilities(of_grade(build_extents, grade), shipped)
    assert probabilities[grade] > 0.9
    assert grade_set(probabilities, 0.9) == (grade,)


def test_half_of_the_perimeter_divides_between_grades_2_and_3(build_extents, shipped):
    extents = of_grade(build_extents, 3, perimeter_fraction=0.5)
    p = grade_probabilities(extents, shipped)
    assert p[2] == pytest.approx(p[3], abs=0.02)
    assert grade_set(p, 0.9) == (2, 3)


def test_liberal_charter_gives_extension_without_majority_to_grade_4(
    build_extents, change_settings
):
    extents = of_grade(build_extents, 4, perimeter_fraction=0.2)
    strict = change_settings(rules__extension_without_majority="strict")
    liberal = change_settings(rules__extension_without_majority="liberal")
    assert np.argmax(grade_probabilities(extents, strict)) == 2
    assert np.argmax(grade_probabilities(extents, liberal)) == 4


def test_a_wide_interval_makes_the_grade_less_sure(build_extents, shipped):
    narrow = of_grade(build_extents, 3, perimeter_fraction=Interval(0.6, 0.58, 0.62))
    wide = of_grade(build_extents, 3, perimeter_fraction=Interval(0.6, 0.2, 0.9))
    assert (
        grade_probabilities(narrow, shipped)[3] > grade_probabilities(wide, shipped)[3]
    )


@given(
    width=st.floats(0.0, 6.0),
    edema=st.floats(0.0, 9000.0),
    fraction=st.floats(0.0, 1.0),
    foramen=st.floats(0.0, 2000.0),
)
def test_probabilities_are_a_distribution(
    build_extents, shipped, width, edema, fraction, foramen
):
    extents = build_extents(
        effusion_width_mm=width,
        soft_tissue_edema_mm3=edema,
        perimeter_fraction=fraction,
        extension_mm3={ExtensionSite.FORAMEN: foramen},
    )
    probabilities = grade_probabilities(extents, shipped)
    assert min(probabilities) > 0.0
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-9)


def test_prediction_set_adds_grades_until_it_exceeds_the_probability():
    probabilities = (0.05, 0.15, 0.5, 0.25, 0.05)
    assert grade_set(probabilities, 0.4) == (2,)
    assert grade_set(probabilities, 0.5) == (2, 3)
    assert grade_set(probabilities, 0.8) == (1, 2, 3)
    assert grade_set(probabilities, 1.0) == (0, 1, 2, 3, 4)


def simulated_records(build_extents, shipped, *, seed, patients, width_factor):
    """True extents give the grade; the measured width is too large by a factor."""
    rng = np.random.default_rng(seed)
    records = []
    for patient in range(patients):
        for _ in range(4):
            true = of_grade(
                build_extents,
                int(rng.integers(5)),
                effusion_width_mm=float(rng.uniform(0.2, 2.0)),
                perimeter_fraction=float(rng.uniform(0.05, 0.95)),
            )
            grade = apply_rules(true, Sequence.T2_FS, shipped).grade
            width = true.effusion_width_mm.value * width_factor
            measured = build_extents(
                effusion_width_mm=float(width * rng.lognormal(0.0, 0.2)),
                soft_tissue_edema_mm3=true.soft_tissue_edema_mm3,
                perimeter_fraction=float(
                    np.clip(true.perimeter_fraction.value + rng.normal(0, 0.08), 0, 1)
                ),
                extension_mm3=true.extension_mm3,
            )
            records.append(
                CalibrationRecord(
                    extents=measured, true_grade=grade, patient=f"p{patient}"
                )
            )
    return records


def test_fit_finds_a_systematic_error_of_the_width(build_extents, shipped):
    records = simulated_records(
        build_extents, shipped, seed=1, patients=60, width_factor=1.5
    )
    fitted = fit_confidence(records, shipped)
    # log(1.5) = 0.405, pulled a little toward 0 by the prior.
    assert fitted.effusion.offset == pytest.approx(0.405, abs=0.12)


def test_prediction_sets_reach_the_stated_coverage_on_new_patients(
    build_extents, shipped
):
    records = simulated_records(
        build_extents, shipped, seed=2, patients=60, width_factor=1.2
    )
    fresh = simulated_records(
        build_extents, shipped, seed=3, patients=60, width_factor=1.2
    )
    settings = shipped.model_copy(
        update={"confidence": fit_confidence(records, shipped)}
    )
    covered = [
        record.true_grade
        in grade_set(
            grade_probabilities(record.extents, settings),
            settings.confidence.set_probability,
        )
        for record in fresh
    ]
    # 240 joints: the standard error of 0.90 is 0.019.
    assert np.mean(covered) > 0.90 - 2 * 0.019


def test_fit_refuses_fewer_patients_than_folds(build_extents, shipped):
    records = simulated_records(
        build_extents, shipped, seed=1, patients=4, width_factor=1.0
    )
    with pytest.raises(ValueError, match="records must hold 5 patients, got 4"):
        fit_confidence(records, shipped)


def test_formatted_confidence_reads_back(shipped):
    text = format_confidence(shipped.confidence)
    values = tomllib.loads(text)["confidence"]
    assert ConfidenceSettings.model_validate(values) == shipped.confidence


def test_fitted_confidence_goes_into_the_shipped_file(shipped):
    shipped_toml = Path(__file__).parents[2] / "configs" / "grade.toml"
    fitted = shipped.confidence.model_copy(update={"background": 0.0625})
    text = replace_confidence(shipped_toml.read_text("utf-8"), fitted)
    changed = GradeSettings.model_validate(tomllib.loads(text))
    assert changed.confidence == fitted
    assert changed.rules == shipped.rules
    assert text.startswith("# How masks become extents")


def test_sections_around_the_confidence_are_kept(shipped):
    own = format_confidence(shipped.confidence)
    before, after = "[rules]\na = 1\n\n", "[later]\nb = 2\n"

    text = replace_confidence(
        f"{before}{own}\n{after}", shipped.confidence, comment="from 40 studies"
    )
    again = replace_confidence(text, shipped.confidence, comment="from 40 studies")

    values = tomllib.loads(text)
    assert (values["rules"], values["later"]) == ({"a": 1}, {"b": 2})
    assert ConfidenceSettings.model_validate(values["confidence"]) == shipped.confidence
    assert text.count("# from 40 studies") == 1
    assert again == text


def test_a_file_without_confidence_is_refused(shipped):
    with pytest.raises(ValueError, match=r"must hold a \[confidence\] section"):
        replace_confidence("[rules]\n", shipped.confidence)

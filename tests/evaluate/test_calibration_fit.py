import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.evaluate.calibration_page import calibration_page
from facetgrade.evaluate.fitting import accepted_joints, fit_settings
from facetgrade.evaluate.held_out import draw_patients
from facetgrade.evaluate.judging import calibration_result
from facetgrade.evaluate.observations import (
    ObservedJoint,
    ObservedNumbering,
    ObservedStudy,
    study_from_json,
    study_to_json,
)
from facetgrade.evaluate.settings import CalibrateSettings, EvaluateSettings
from facetgrade.evaluate.tuned_files import put_fitted
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import GradeSettings
from facetgrade.study import Sequence
from tests.evaluate.test_benchmark_results import joint
from tests.grade.conftest import build_extents

CONFIG = shipped_path("configs/calibrate.toml")
SHIPPED = read_settings(CONFIG, CalibrateSettings)
QUICK = SHIPPED.model_copy(
    update={"intervals": SHIPPED.intervals.model_copy(update={"resamples": 20})}
)
PIPELINE = read_config()
RULES = PIPELINE.grade


def observed_joint(rng, patient, number):
    """A joint whose width is measured 40 % too large."""
    width_mm = float(rng.uniform(0.3, 2.5))
    true = build_extents(effusion_width_mm=width_mm)
    measured = build_extents(
        effusion_width_mm=1.4 * width_mm * float(rng.lognormal(0.0, 0.1))
    )
    truth = {
        "effusion_mm3": 80.0,
        "effusion_width_mm": width_mm,
        "soft_tissue_edema_mm3": 0.0,
        "marrow_edema_mm3": 0.0,
        "perimeter_fraction": 0.0,
    }
    row = joint(
        patient,
        truth=apply_rules(true, Sequence.T2_FS, PIPELINE.grade).grade,
        grade=apply_rules(measured, Sequence.T2_FS, PIPELINE.grade).grade,
    )
    row = replace(row, truth=truth, level="L4-L5" if number else "L3-L4")
    return ObservedJoint(row=row, typicality=rng.uniform(0.6, 0.9), extents=measured)


def observed_studies(count, *, seed=1, wrong=()):
    """Studies of two joints; the numbering of `wrong` ones is off by one."""
    rng = np.random.default_rng(seed)
    return [
        ObservedStudy(
            name=f"p{n:02d}_1",
            patient=f"p{n:02d}",
            numbering=ObservedNumbering(
                totals={"S1": 10.0 if n in wrong else 30.0, "L5": 0.0},
                sacrum_vote=0.9,
                true_lowest="L5" if n in wrong else "S1",
            ),
            cut=ObservedNumbering(
                totals={"S1": 9.0, "L5": 0.0}, sacrum_vote=0.1, true_lowest="L5"
            ),
            joints=tuple(observed_joint(rng, f"p{n:02d}", k) for k in range(2)),
        )
        for n in range(count)
    ]


def test_calibration_uses_anatomy_sources_of_training_only():
    assert {group.anatomy for group in SHIPPED.studies.groups} == {
        "parametric",
        "mean-shape",
    }
    values = SHIPPED.model_dump()
    values["studies"]["groups"][0]["anatomy"] = "visible-human"
    with pytest.raises(ValueError, match=r"parametric.*mean-shape"):
        CalibrateSettings.model_validate(values)


def test_seeds_of_calibration_and_benchmark_never_meet(tmp_path):
    path = shipped_path("configs/evaluate.toml")
    benchmark = read_settings(path, EvaluateSettings).benchmark
    many = {"studies": 5000, "data_folder": str(tmp_path)}
    seeds = [
        {patient.seed for patient in draw_patients(one.model_copy(update=many))}
        for one in (benchmark, SHIPPED.studies)
    ]
    assert seeds[0].isdisjoint(seeds[1])
    # Seeds of training are (1 or 2, split, number), and numpy pads with zeros.
    assert min(seeds[0] | seeds[1]) > 2


def test_calibration_is_checked_on_new_patients_drawn_alike(tmp_path):
    path = shipped_path("configs/check_calibration.toml")
    check = read_settings(path, EvaluateSettings)
    assert check.definitions == SHIPPED.definitions
    many = {"studies": 5000, "data_folder": str(tmp_path)}
    drawn = [
        draw_patients(one.model_copy(update=many))
        for one in (check.benchmark, SHIPPED.studies, SHIPPED.numbering)
    ]
    for ours, theirs in zip(drawn[0], drawn[1], strict=True):
        assert ours.settings == theirs.settings
        assert (ours.group, ours.visits) == (theirs.group, theirs.visits)
    seeds = [{patient.seed for patient in patients} for patients in drawn]
    assert seeds[0].isdisjoint(seeds[1] | seeds[2])


def test_grades_and_header_habits_are_equally_frequent(tmp_path):
    folder = {"data_folder": str(tmp_path)}
    for patient in draw_patients(SHIPPED.studies.model_copy(update=folder)):
        assert len(set(patient.settings.study.habits.values())) == 1
        assert set(patient.settings.pathology.grade_probabilities) == {0.2}


def test_observations_survive_json():
    (study,) = observed_studies(1)
    text = json.dumps(study_to_json(study))

    again = study_from_json(json.loads(text))

    assert json.dumps(study_to_json(again)) == text
    assert again.numbering == study.numbering
    assert again.joints[0].extents.effusion_width_mm == (
        study.joints[0].extents.effusion_width_mm
    )


def test_a_measurement_that_is_too_large_is_found():
    fitted = fit_settings(observed_studies(40), SHIPPED, RULES)
    curve = fitted.confidence.correction.effusion_width_mm
    # Of 1.4 mm measured 1 is true; that leaves the decision no error of its own.
    assert np.interp(1.4, curve.measured, curve.true) == pytest.approx(1.0, abs=0.08)
    assert fitted.confidence.effusion.offset == pytest.approx(0.0, abs=0.06)


def test_sets_hold_the_stated_probability_even_if_all_grades_are_right():
    fitted = fit_settings(observed_studies(40), SHIPPED, RULES).confidence
    assert fitted.set_probability >= fitted.coverage


def test_a_wrong_numbering_is_not_decided():
    studies = observed_studies(20, wrong=(3,))
    fitted = fit_settings(studies, SHIPPED, RULES)
    result = calibration_result(studies, fitted, QUICK, RULES)

    figures = result["numbering"]["fitted"]
    assert (figures["right"], figures["decided"]) == (19, 19)
    assert (figures["right_of_decided"], figures["decided_cut"]) == (19, 0)
    # halfway between 0.1 without and 0.9 with the sacrum
    assert fitted.numbering.min_sacrum_vote == pytest.approx(0.5)
    assert result["numbering"]["wrong"][0]["study"] == "p03_1"
    assert "p03" not in {
        found.row.patient for found in accepted_joints(studies, fitted)
    }


def test_studies_that_are_all_right_never_make_the_numbering_surer():
    fitted = fit_settings(observed_studies(40), SHIPPED, RULES).numbering

    assert fitted.vote_temperature >= SHIPPED.start.vote_temperature
    assert fitted.min_numbering_probability >= SHIPPED.start.min_numbering_probability
    assert fitted.min_sacrum_vote >= SHIPPED.start.min_sacrum_vote


def test_fitted_probabilities_are_better_on_patients_held_out():
    studies = observed_studies(40)
    fitted = fit_settings(studies, SHIPPED, RULES)
    result = calibration_result(studies, fitted, QUICK, RULES)

    loss = {
        name: section["calibration"]["log_loss"]["value"]
        for name, section in result["confidence"].items()
    }
    assert loss["fitted"] <= loss["held_out"] < loss["start"]
    held = result["intervals"]["held_out"]["effusion_width_mm"]
    assert held["joints"] == 80
    assert (
        held["coverage"] > result["intervals"]["start"]["effusion_width_mm"]["coverage"]
    )
    page = calibration_page(result, [("date", "today")])
    assert page.count("held out") > 2


def test_few_patients_are_judged_without_holding_out():
    studies = observed_studies(8)
    fitted = fit_settings(studies, SHIPPED, RULES)
    result = calibration_result(studies, fitted, QUICK, RULES)
    assert set(result["confidence"]) == {"start", "fitted"}


def test_fitted_values_go_into_the_shipped_files():
    fitted = fit_settings(observed_studies(20), SHIPPED, RULES)
    texts = [
        shipped_path(f"configs/{name}.toml").read_text("utf-8")
        for name in ("grade", "pipeline")
    ]

    changed = put_fitted(fitted, *texts, source="from 20 studies")

    grade, pipeline = (tomllib.loads(text) for text in changed)
    read = GradeSettings.model_validate(grade)
    assert read.acceptance.flagged_typicality == pytest.approx(
        fitted.flagged_typicality, abs=1e-3
    )
    assert read.confidence.effusion.offset == pytest.approx(
        fitted.confidence.effusion.offset, abs=1e-4
    )
    assert read.rules == PIPELINE.grade.rules
    assert pipeline["localize"]["min_sacrum_vote"] == pytest.approx(0.5)
    assert put_fitted(fitted, *changed, source="from 20 studies") == changed


def test_too_few_patients_are_refused():
    with pytest.raises(ValueError, match="records must hold 5 patients, got 3"):
        fit_settings(observed_studies(3), SHIPPED, RULES)


def test_an_unknown_key_of_the_configuration_is_named(tmp_path):
    path = tmp_path / "calibrate.toml"
    path.write_text(CONFIG.read_text("utf-8").replace("chance =", "chanse ="))
    with pytest.raises(ConfigError, match="chan"):
        read_settings(path, CalibrateSettings)

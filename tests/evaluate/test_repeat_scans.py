"""What repeat scans say of measurement error; scans themselves are never made here."""

import dataclasses
import math

import numpy as np
import pytest

from facetgrade.compare.changes import Extent
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import read_config, read_shipped
from facetgrade.evaluate.repeatability import (
    Repeatability,
    measure_patients,
    smallest_detectable_change,
    summarize,
)
from facetgrade.pipeline import Request
from facetgrade.simulate.settings import SimulateSettings


def row(patient, change, *, grades=(1, 1), mm=0.2, problem=""):
    extents = dict.fromkeys([extent.value for extent in Extent], 10.0)
    later = {name: value + change for name, value in extents.items()}
    registration = {"registered_mm": mm, "registered_deg": 0.5}
    registration |= {"estimated_mm": 0.1, "similarity": 0.9, "problem": problem}
    both = {"first": extents, "second": later, "grades": list(grades)}
    return {"patient": patient, "joint": "L4-L5 left", **both, **registration}


def result(*rows):
    return {"patient": rows[0]["patient"], "joints": list(rows), "spines": {}}


def test_the_smallest_detectable_change_is_196_root_2_sem():
    # SEM = sqrt((9 + 16) / 2 / 2) = 2.5; 1.96 * sqrt(2) * 2.5
    found = smallest_detectable_change(np.array([3.0, -4.0]))
    assert found == pytest.approx(1.96 * math.sqrt(2.0) * 2.5)


def test_joints_without_a_grade_are_counted_apart():
    results = [result(row("a", 3.0), row("a", 9.0, grades=(None, 1)))]
    found = summarize(results, seed=1, resamples=20)
    assert (found["scans"], found["joints"], found["joints_without_grade"]) == (2, 1, 1)


def test_only_trusted_registrations_count():
    results = [result(row("a", 1.0)), result(row("b", 2.0, mm=9.0, problem="far"))]
    found = summarize(results, seed=1, resamples=20)["registration"]
    assert (found["joints"], found["trusted"]) == (2, 1)
    assert found["registered_mm_median"] == pytest.approx(0.2)


def test_scans_without_any_grade_are_refused():
    with pytest.raises(ValueError, match="graded twice, got none"):
        summarize([result(row("a", 1.0, grades=(None, None)))], seed=1, resamples=20)


@pytest.fixture
def work():
    return Repeatability(
        compare=read_shipped("configs/compare.toml", CompareSettings),
        simulator=read_shipped("configs/simulate.toml", SimulateSettings),
        pipeline=read_config(),
        models=None,
        request=Request(),
        seed=1,
    )


def test_measured_patients_are_kept_until_settings_change(work, tmp_path):
    asked = []

    def measure(number, work):
        asked.append((number, work.seed))
        return {"patient": f"r{number}", "joints": [], "spines": {}}

    measure_patients(2, work, tmp_path, measure=measure)
    measure_patients(3, work, tmp_path, measure=measure)
    assert asked == [(1, 1), (2, 1), (3, 1)]
    other = dataclasses.replace(work, seed=2)
    found = measure_patients(1, other, tmp_path, measure=measure)
    assert asked[3:] == [(1, 2)]
    assert found[0]["patient"] == "r1"

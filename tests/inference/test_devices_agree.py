"""Grades on a GPU against those on the CPU; skipped where there is no CUDA device."""

import numpy as np
import pytest
import torch

from facetgrade.config import read_config, shipped_path
from facetgrade.doctor.self_test import differences
from facetgrade.findings import Graded
from facetgrade.inference import load_models
from facetgrade.ingest import read_studies
from facetgrade.pipeline import grade_study

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
SAMPLES = shipped_path("data_samples")


def outcomes(study, models):
    return {o.joint: o for o in grade_study(study, models).outcomes}


@pytest.fixture(scope="module")
def studies():
    return list(read_studies(SAMPLES))


def test_cuda_gives_the_grades_of_the_cpu(studies):
    config = read_config()
    on_gpu = load_models(config, torch.device("cuda:0"))
    on_cpu = on_gpu.on_cpu()
    found = [
        problem
        for study in studies
        for problem in differences(outcomes(study, on_gpu), outcomes(study, on_cpu))
    ]
    assert found == []


def test_all_joints_are_graded_on_cuda(studies):
    models = load_models(read_config(), torch.device("cuda:0"))
    graded = [
        isinstance(outcome, Graded)
        for study in studies
        for outcome in outcomes(study, models).values()
    ]
    assert graded == [True] * (4 * len(studies))


def test_answers_of_cuda_come_back_in_float32():
    models = load_models(read_config(), torch.device("cuda:0"))
    answer = models.localizer(np.zeros((1, 2, 32, 64, 64), np.float32))
    assert answer.dtype == np.float32
    assert np.isfinite(answer).all()

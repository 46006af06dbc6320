"""The parts of scripts/benchmark_simulator.py."""

import importlib.util
import pickle
import sys
from pathlib import Path

import pydicom
import pytest

from facetgrade.config import read_shipped
from facetgrade.simulate.settings import SimulateSettings
from tests.simulate.toy_scene import toy_scene

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_simulator.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_simulator", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_studies_are_judged_by_the_median_of_each(benchmark):
    taken = [benchmark.Taken(clock_s, clock_s / 2) for clock_s in (20.0, 29.0, 90.0)]

    found = benchmark.summarize_studies(taken, 75.0, 2)

    assert found["median_s"] == 29.0
    assert found["slowest_s"] == 90.0
    assert found["processor_median_s"] == 14.5
    assert found["clock_s_per_study"] == 25.0
    assert found["met_by_median"]
    assert found["met_by_clock"]
    slower = benchmark.summarize_studies([benchmark.Taken(31.0, 1.0)] * 2, 40.0, 2)
    assert not slower["met_by_median"]
    assert slower["met_by_clock"]
    assert not benchmark.summarize_studies(taken, 100.0, 1)["met_by_clock"]


def test_cases_of_all_processes_count_until_the_last_is_done(benchmark):
    quick = (benchmark.Taken(3.0, 3.0), 7.0)
    slow = (benchmark.Taken(4.0, 3.5), 8.0)

    found = benchmark.summarize_cases(10, [quick, slow])

    assert found["cases"] == 20
    assert found["cases_per_s"] == 5.0
    assert found["met"]
    assert found["stacks_per_case"] == 7.5
    assert found["processor_s_per_case"] == 0.325
    assert not benchmark.summarize_cases(9, [quick, slow])["met"]


def test_views_of_a_cached_scene_are_timed_in_all_contrasts(benchmark, tmp_path):
    cached = tmp_path / "scene.pickle"
    cached.write_bytes(pickle.dumps(toy_scene(edema=1.0)))

    taken, stacks = benchmark.time_views(cached, 2, (1, 0))

    assert 6 <= stacks <= 8  # a stack may miss a joint
    assert taken.clock_s > 0.0
    assert taken.processor_s > 0.0


@pytest.mark.slow
def test_a_study_is_written_while_it_is_timed(benchmark, tmp_path):
    shipped = read_shipped("configs/simulate.toml", SimulateSettings)
    coarse = shipped.anatomy.model_copy(
        update={"body_spacing_mm": 4.0, "column_spacing_mm": 1.5}
    )
    protocols = {
        name: ranges.model_copy(update={"matrix": (64,), "slices": (9, 9)})
        for name, ranges in shipped.protocols.items()
    }
    study = shipped.study.model_copy(
        update={"always": ("sagittal_stir",), "sometimes": {}, "habits": {"ge": 1.0}}
    )
    small = shipped.model_copy(
        update={"anatomy": coarse, "protocols": protocols, "study": study}
    )

    taken = benchmark.time_study(tmp_path, small, 1, 7)

    images = [p for p in (tmp_path / "sim-0007/dicom").rglob("*") if p.is_file()]
    assert len(images) == 9
    assert pydicom.dcmread(images[0]).PatientID == "SIM-0007"
    assert taken.processor_s > 0.1


def test_changes_to_the_simulator_are_read_over_the_shipped_settings(
    benchmark, tmp_path
):
    changes = tmp_path / "changes.toml"
    changes.write_text("[scanner]\nfield_t = [1.0]\n")

    assert benchmark.read_simulator(changes).scanner.field_t == (1.0,)
    assert benchmark.read_simulator(None).scanner.field_t == (1.5, 3.0)

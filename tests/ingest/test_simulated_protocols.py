"""The real ingest tells every simulated series apart, whoever made the scanner."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from facetgrade.config import read_config, read_shipped
from facetgrade.evaluate.reading import read_folder
from facetgrade.simulate import simulate_study
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.vendors import Habit, draw_patient, write_series, written_uid
from tests.simulate.toy_scene import toy_scene

TOLD = [habit for habit in Habit if habit is not Habit.STRIPPED]


@pytest.fixture(scope="module")
def made():
    """One study with all series, on small matrices."""
    shipped = read_shipped("configs/simulate.toml", SimulateSettings)
    protocols = {
        name: ranges.model_copy(
            update={"matrix": (96,), "slices": (12, 12), "instead_share": 1.0}
        )
        for name, ranges in shipped.protocols.items()
    }
    study = shipped.study.model_copy(
        update={
            "sometimes": dict.fromkeys(shipped.study.sometimes, 1.0),
            "transfer_syntaxes": ("explicit",),
        }
    )
    scanner = shipped.scanner.model_copy(
        update={"field_t": (3.0,), "motion_probability": 0.0}
    )
    rng = np.random.default_rng(2)
    return simulate_study(
        toy_scene(edema=1.0),
        draw_patient(1, rng),
        draw_subject_tissue(rng),
        study_date=date(2021, 1, 5),
        config=shipped.model_copy(
            update={"protocols": protocols, "study": study, "scanner": scanner}
        ),
        rng=rng,
    )


@pytest.mark.parametrize("habit", TOLD)
def test_contrast_and_plane_of_every_series_are_identified(tmp_path, made, habit):
    examination = replace(made.examination, habit=habit)
    rng = np.random.default_rng(3)
    for series in made.series:
        write_series(tmp_path, series, examination, rng)

    study = read_folder(tmp_path, read_config().ingest)

    found = {one.uid: (one.sequence, one.plane) for one in study.series}
    expected = {
        written_uid(one.uid, habit): (one.protocol.sequence, one.protocol.plane)
        for one in made.series
    }
    assert len(expected) == 8
    assert found == expected

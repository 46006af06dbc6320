from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from facetgrade.config_files import read_shipped, shipped_path
from facetgrade.grade.settings import GradeSettings
from facetgrade.ingest import read_studies
from facetgrade.simulate import simulate_study, write_study
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.vendors import Habit, draw_patient
from facetgrade.simulate.vendors.texts import series_texts
from tests.simulate.acquired import PROTOCOL
from tests.simulate.toy_scene import toy_scene

SCOUTED = read_shipped(
    "configs/simulate.toml", SimulateSettings, shipped_path("configs/scout.toml")
)


def test_studies_have_no_scout_unless_asked_for():
    shipped = read_shipped("configs/simulate.toml", SimulateSettings)

    assert "scout" not in shipped.protocols
    assert SCOUTED.study.always == (*shipped.study.always, "scout")


@pytest.mark.parametrize(
    ("habit", "description"),
    [
        (Habit.SIEMENS, "localizer sag"),
        (Habit.GE, "Sag Loc"),
        (Habit.PHILIPS, "SURVEY SAG"),
    ],
)
def test_vendors_call_a_scout_a_localizer(habit, description):
    texts = series_texts(replace(PROTOCOL, name="scout"), habit)

    assert texts.description == description
    assert texts.image_type[-1] == "LOCALIZER"


@pytest.mark.parametrize(
    ("habit", "evidence"),
    [("ge", "localizer (ImageType)"), ("enhanced", "localizer (description)")],
)
def test_a_simulated_scout_is_read_back_as_scout(tmp_path, habit, evidence):
    fine = SCOUTED.protocols["sagittal_stir"]
    small = {
        "sagittal_stir": fine.model_copy(update={"matrix": (64,), "slices": (9, 9)}),
        "scout": SCOUTED.protocols["scout"].model_copy(update={"matrix": (64,)}),
    }
    study = SCOUTED.study.model_copy(
        update={
            "always": ("sagittal_stir", "scout"),
            "sometimes": {},
            "habits": {habit: 1.0},
            "transfer_syntaxes": ("explicit",),
        }
    )
    config = SCOUTED.model_copy(update={"protocols": small, "study": study})
    rng = np.random.default_rng(2)
    patient, subject = draw_patient(1, rng), draw_subject_tissue(rng)
    simulated = simulate_study(
        toy_scene(),
        patient,
        subject,
        study_date=date(2021, 1, 5),
        config=config,
        rng=rng,
    )
    grade = read_shipped("configs/grade.toml", GradeSettings)
    write_study(tmp_path, simulated, grade=grade, rng=rng)

    (read,) = read_studies(tmp_path / "dicom")

    (scout,) = read.scouts
    assert scout.evidence[0] == evidence
    assert len(read.series) == 1
    low_mm, high_mm = 380.0, 450.0
    grid = scout.stacks[0].volume.geometry
    assert low_mm <= grid.shape[1] * grid.spacing_mm[1] <= high_mm
    assert 8.0 <= grid.spacing_mm[0] <= 14.0

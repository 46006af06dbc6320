import json

import pytest

from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.evaluate.held_out import draw_patients
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.studies import (
    MARK,
    StudyFolder,
    simulate_all,
    simulated_patients,
    simulator_sha256,
)

RULES = read_config().grade
SETTINGS = read_settings(shipped_path("configs/calibrate.toml"), CalibrateSettings)


@pytest.fixture
def patients(tmp_path):
    changes = {"studies": 2, "data_folder": str(tmp_path)}
    return draw_patients(SETTINGS.studies.model_copy(update=changes))


@pytest.fixture
def make_folder(tmp_path, patients):
    """Return a function that makes a folder in which all patients are simulated."""

    def make(*, keep):
        folder = StudyFolder(path=tmp_path / "kept", rules=RULES, workers=1, keep=keep)
        for patient in patients:
            place = folder.of(patient)
            (place / "sim-0001").mkdir(parents=True)
            mark = {"studies": ["sim-0001"], "simulator": simulator_sha256()}
            (place / MARK).write_text(json.dumps(mark))
        return folder

    return make


def test_patients_on_disk_are_not_simulated_again(patients, make_folder):
    folder = make_folder(keep=True)

    found = list(simulated_patients(patients, folder))

    assert [patient.name for patient, _ in found] == ["p0001", "p0002"]
    assert [studies for _, studies in found] == [
        [folder.of(patient) / "sim-0001"] for patient in patients
    ]
    assert all(folder.find(patient) for patient in patients)


def test_studies_that_are_not_kept_go_once_they_were_used(patients, make_folder):
    folder = make_folder(keep=False)
    for patient, (study,) in simulated_patients(patients, folder):
        assert study.is_dir()
        assert folder.find(patient)
    assert list(folder.path.iterdir()) == []


def test_a_half_written_patient_is_not_found_and_is_removed(patients, make_folder):
    folder = make_folder(keep=True)
    half = folder.path / "p0001-0123.77.partial"
    half.mkdir()
    (folder.of(patients[0]) / MARK).rename(half / MARK)

    assert folder.find(patients[0]) is None
    list(simulated_patients(patients[1:], folder))
    assert not half.exists()


def test_other_rules_or_simulator_settings_make_other_studies(patients, make_folder):
    folder = make_folder(keep=True)
    rules = RULES.rules.model_copy(update={"majority": 0.4})
    other = StudyFolder(
        path=folder.path,
        rules=RULES.model_copy(update={"rules": rules}),
        workers=1,
        keep=True,
    )
    assert other.find(patients[0]) is None
    assert folder.of(patients[0]) != folder.of(patients[1])


def test_the_confidence_section_does_not_change_the_studies(patients, make_folder):
    folder = make_folder(keep=True)
    confidence = RULES.confidence.model_copy(update={"background": 0.2})
    other = StudyFolder(
        path=folder.path,
        rules=RULES.model_copy(update={"confidence": confidence}),
        workers=1,
        keep=True,
    )
    assert other.find(patients[0]) is not None


def test_progress_tells_of_every_patient(patients, make_folder):
    lines = []
    simulate_all(patients, make_folder(keep=True), lambda *line: lines.append(line))
    assert [line[:2] for line in lines] == [(1, 2), (2, 2)]
    assert lines[0][2] == "p0001 (parametric): 1 studies"

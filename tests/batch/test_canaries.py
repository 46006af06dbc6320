"""Patient attributes of the headers reach no output but SEG and SR for the archive."""

import pydicom
import pytest

from facetgrade.batch.masking import Masking
from facetgrade.config_files import read_settings, shipped_path
from facetgrade.exchange.settings import ExchangeSettings
from tests.batch.builders import run
from tests.batch.test_runner import every_text
from tests.deidentify.test_deidentify import capture, plant

WORDS = {
    "SeriesDescription": "sag_t2_fs",
    "StudyDescription": "MRI",
}


@pytest.fixture
def planted(tmp_path):
    folder = plant(tmp_path / "visit", **WORDS)
    capture(folder)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{number}.dcm")
    return folder


def test_no_output_of_grade_holds_a_canary(make_job, planted, caplog):
    job = make_job(inputs=(planted,), masking=Masking(sources=True, dates=True))
    with caplog.at_level("DEBUG"):
        summary, events = run(job)
    assert summary.bugs == 0
    for text in (
        every_text(job.out),
        caplog.text.encode(),
        repr(events.lines).encode(),
    ):
        assert b"CANARY" not in text
        assert b"1903" not in text


def test_only_seg_and_sr_carry_the_patient(make_job, planted):
    settings = read_settings(shipped_path("configs/exchange.toml"), ExchangeSettings)
    job = make_job(inputs=(planted,), dicom=settings.dicom)
    run(job)
    holding = {p.name for p in job.out.rglob("*") if p.is_file() and leaks(p)}
    assert holding == {"sr.dcm"}
    (path,) = job.out.rglob("sr.dcm")
    report = pydicom.dcmread(path)
    assert report.PatientName == "CANARY01^NAME"
    assert report.PatientID == "CANARY02"
    assert "OperatorsName" not in report
    assert "InstitutionName" not in report


def leaks(path):
    return b"CANARY" in path.read_bytes()

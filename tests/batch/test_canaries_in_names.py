"""Names of folders, files and people of any input reach no masked output."""

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from facetgrade.batch.masking import Masking
from facetgrade.cli import app
from tests.batch.builders import run
from tests.batch.test_runner import every_text
from tests.deidentify.test_deidentify import capture, plant
from tests.ingest.test_nifti import write

MASKED = Masking(sources=True, dates=True)
PERSON = {
    "PatientName": "CANARY30^NAME",
    "PatientID": "CANARY31",
    "PatientBirthDate": "1903-11-03",
    "InstitutionName": "CANARY32",
    "OperatorsName": "CANARY33",
    "SeriesDescription": "sag t2 fs",
    "ImageComments": "CANARY34",
}
HARMLESS = {"SeriesDescription": "sag_t2_fs", "StudyDescription": "MRI"}


def plant_dicom(folder):
    """Write a study with a screenshot, a cut file and values that break rules."""
    visit = plant(folder / "CANARY40 Jane", **HARMLESS, PatientAge="CANARY41")
    capture(visit)
    first = sorted(visit.iterdir())[0]
    (visit / "CANARY42.dcm").write_bytes(first.read_bytes()[:700])
    (visit / "CANARY43.txt").write_text("CANARY44")
    other = plant(folder / "CANARY45", **HARMLESS, StudyInstanceUID="1.2.3.4")
    for path in sorted(other.iterdir())[1:]:
        path.unlink()
    return folder


def plant_nifti(folder):
    """Write a BIDS-like pair, a damaged volume and a label map, named after people."""
    write(folder / "CANARY50_T2w.nii.gz", sidecar=PERSON)
    write(folder / "CANARY50_T1w.nii.gz")
    write(folder / "CANARY51" / "CANARY52_dseg.nii.gz")
    damaged = gzip.compress(np.arange(99).tobytes())
    (folder / "CANARY51" / "CANARY53_T2w.nii.gz").write_bytes(damaged)
    (folder / "CANARY54.json").write_text(json.dumps(PERSON))
    return folder


def outputs(job, events, log):
    """Return everything that a run and its exports leave behind."""
    result = CliRunner().invoke(
        app, ["export", str(job.out), "-o", str(job.out / "export"), "--bids"]
    )
    assert result.exit_code == 0, result.output
    printed = result.output.replace(str(job.out), "")
    return every_text(job.out) + f"{printed}{log}{events.lines}".encode()


@pytest.mark.parametrize("planted", [plant_dicom, plant_nifti])
def test_no_masked_output_holds_a_canary(make_job, tmp_path, caplog, planted):
    job = make_job(inputs=(planted(tmp_path / "CANARY60"),), masking=MASKED)
    with caplog.at_level("DEBUG"):
        summary, events = run(job)
    assert summary.bugs == 0
    assert summary.entries
    text = outputs(job, events, caplog.text)
    place = text.find(b"CANARY")
    assert place < 0, text[max(place - 200, 0) : place + 60]
    assert b"1903" not in text
    assert b"CANARY" not in b"".join(
        bytes(path.relative_to(job.out)) for path in job.out.rglob("*")
    )

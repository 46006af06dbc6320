"""The way of a study: archive, pull, grade, push, archive, read-sr."""

import csv
import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.builders import job_of, run
from tests.batch.test_canaries import WORDS
from tests.batch.test_canaries_in_names import MASKED
from tests.deidentify.test_deidentify import capture, plant
from tests.exchange.builders import settings as dicom_labels
from tests.pacs.conftest import leaks, node_file, text_but_dicom
from tests.pacs.proxies import answering, grumpy_server
from tests.test_cli import command, home  # noqa: F401

LIBRARIES = (
    "pynetdicom",
    "dicomweb_client",
    "urllib3",
    "requests",
    "keyring",
    "pydicom",
)
SAMPLE = Path(__file__).parents[2] / "data_samples" / "sim-0001_baseline" / "dicom"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "secret.key"
    path.write_bytes(b"0123456789abcdef")
    return path


@pytest.fixture(autouse=True)
def loggers():
    """Give the libraries their voice back, which the commands take."""
    ours = [logging.getLogger(name) for name in LIBRARIES]
    before = [(one.handlers, one.propagate) for one in ours]
    yield
    for one, (handlers, propagate) in zip(ours, before, strict=True):
        one.handlers, one.propagate = handlers, propagate


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_no_line_log_or_name_holds_a_canary(
    protocol,
    command,  # noqa: F811
    orthanc,
    nodes,
    key,
    tmp_path,
):
    orthanc.put(plant(tmp_path / "planted"))
    patients = tmp_path / "patients.txt"
    patients.write_text("CANARY02\nCANARY99\n")
    out = tmp_path / "out"
    lists = ("--patients", patients, "--nodes", nodes, "--key", key)
    code, *shown = command("pull", protocol, "-o", out, *lists)
    assert code == 3
    assert "1 study complete, 4 images" in shown[0]
    assert "nothing found for entry 2 of the list of patients" in shown[0]
    assert leaks("".join(shown).encode() + text_but_dicom(out)) == []


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_no_line_log_or_url_of_push_holds_a_canary(
    protocol,
    command,  # noqa: F811
    orthanc,
    nodes,
    tmp_path,
):
    planted, out = plant(tmp_path / "CANARY40 Jane", **WORDS), tmp_path / "out"
    capture(planted)
    run(job_of(planted, out, masking=MASKED, dicom=dicom_labels()))
    orthanc.put(planted)
    push, shown = ("push", out, "--nodes", nodes, "--to"), []
    with grumpy_server(orthanc.url, status=503, times=1) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        code, *lines = command(*push, protocol)
        assert (code, "1 objects sent" in lines[0]) == (0, True), lines
    shown += [*lines, *server.asked]
    (out / "transfers.sqlite").unlink()
    with answering(400, b"CANARY01^NAME is not known here") as port:
        nodes.write_text(node_file(orthanc, http=port))
        code, *lines = command(*push, "web")
        assert (code, "refuses the request (HTTP 400)" in lines[0]) == (2, True), lines
    assert leaks("".join([*shown, *lines]).encode() + text_but_dicom(out)) == []
    # SR files with the study of the patient.
    (patient,) = (
        one["ID"]
        for one in orthanc.get("/patients?expand")
        if one["MainDicomTags"]["PatientID"] == "CANARY02"
    )
    assert len(orthanc.get(f"/patients/{patient}/studies")) == 1
    series = orthanc.get(f"/patients/{patient}/series")
    assert {one["MainDicomTags"]["Modality"] for one in series} == {"MR", "SR"}


@pytest.mark.slow
def test_a_study_is_pulled_graded_pushed_and_read_back(
    command,  # noqa: F811
    orthanc,
    nodes,
    key,
    tmp_path,
):
    orthanc.put(SAMPLE)
    common = ("--nodes", nodes, "--key", key)
    for protocol in ("web", "get"):
        out = tmp_path / protocol
        code, text, _ = command(
            "pull", protocol, "-o", out, "--description", "*", *common
        )
        complete = f"1 study complete, {len(list(SAMPLE.iterdir()))} images"
        assert (code, complete in text) == (0, True), text
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.dcm")}
        for folder in (tmp_path / "web", tmp_path / "get")
    ]
    assert set(contents[0]) == set(contents[1])

    graded = tmp_path / "graded"
    code, text, _ = command(
        "grade", tmp_path / "web", "-o", graded, "--dicom", "--key", key
    )
    assert code == 0, text
    for protocol in ("web", "get"):
        code, text, _ = command("push", graded, "--to", protocol, "--nodes", nodes)
        sent = f"{len(list(graded.rglob('*.dcm')))} objects sent"
        assert (code, sent in text) == (0, True), text
    modalities = orthanc.modalities()
    assert (modalities.count("SEG"), modalities.count("SR")) == (1, 1)

    back = tmp_path / "back"
    results = ("--modality", "SR", "--modality", "SEG", "--from", "1990-01-01")
    code, text, _ = command("pull", "get", "-o", back, *results, *common)
    assert code == 0, text
    code, text, _ = command("read-sr", back)
    with (graded / "joints.csv").open(newline="") as file:
        before = {(r["level"], r["side"]): r["grade"] for r in csv.DictReader(file)}
    after = {
        (r["level"], r["side"]): r["grade"] for r in csv.DictReader(io.StringIO(text))
    }
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "this would fetch a whole archive"),
        (["--from", "3.4.2020"], "3.4.2020 is not a day such as 2021-05-04"),
        (["--patients", "none.txt"], "none.txt: cannot be read"),
        (["--nodes", "none.toml"], "none.toml: there is no such file"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(
    arguments,
    message,
    command,  # noqa: F811
    nodes,
    tmp_path,
):
    base = ("pull", "web", "-o", tmp_path / "out", "--nodes", nodes)
    code, _, text = command(*base, *arguments)
    assert code == 2
    (line,) = text.splitlines()
    assert message in line


def test_an_unreachable_archive_is_one_line_and_code_2(
    command,  # noqa: F811
    nodes,
    orthanc,
    tmp_path,
    key,
):
    nodes.write_text(nodes.read_text().replace(str(orthanc.http), "9"))
    base = ("pull", "web", "-o", tmp_path / "out", "--nodes", nodes, "--key", key)
    code, _, text = command(*base, "--from", "2020-01-01")
    assert code == 2
    assert "error: web cannot be reached" in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_the_service_ends_with_sigterm(home, nodes, tmp_path):  # noqa: F811
    settings = ("--nodes", nodes, "--config", home / "tiny.toml", "--device", "cpu")
    program = [sys.executable, "-m", "facetgrade", "listen", "-o", tmp_path / "out"]
    environment = {**os.environ, "HOME": str(home), "COLUMNS": "200"}
    with subprocess.Popen(
        [*program, *settings],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        first = service.stdout.readline()
        assert "listening as FACETGRADE on 127.0.0.1:" in first
        service.send_signal(signal.SIGTERM)
        rest, errors = service.communicate(timeout=300)
    assert (service.returncode, errors) == (0, "")
    assert "stopped" in rest

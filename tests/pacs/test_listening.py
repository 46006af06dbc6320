import errno
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from facetgrade.batch.anchors import Anchors
from facetgrade.batch.job import BatchJob
from facetgrade.config import config_values, read_config
from facetgrade.exchange.read_back import read_back
from facetgrade.ingest import find_studies, shipped_settings
from facetgrade.pacs import arrivals, open_archive, read_pacs
from facetgrade.pacs.ledger import State, TransferLedger
from facetgrade.pacs.listen import ListenJob, listen
from facetgrade.report import ReportContext
from facetgrade.request import Request
from tests.batch.test_canaries import WORDS
from tests.batch.test_runner import nothing_found
from tests.deidentify.test_deidentify import capture, plant
from tests.exchange.builders import report_on, write_phantom
from tests.exchange.builders import settings as dicom_labels
from tests.ingest.builders import gradient_volume, write_series
from tests.pacs.conftest import (
    IMPATIENT,
    PRIVACY,
    dicom_files,
    leaks,
    node_file,
    text_but_dicom,
)
from tests.pacs.proxies import cutting, grumpy_server

# Not the scripts of pynetdicom with the same names.
STORESCU, ECHOSCU = "/usr/bin/storescu", "/usr/bin/echoscu"
PATIENCE_S = 300.0
pytestmark = pytest.mark.skipif(
    shutil.which(STORESCU) is None, reason="the Debian package dcmtk is missing"
)


class Grader:
    """Finds no joint, which is quickly reported; counts how often it was asked."""

    def __init__(self):
        self.graded = []

    def grade(self, study, request, watch):
        self.graded.append(study.uid)
        return nothing_found(study, request, watch)


def grade_phantom(study, _request, watch):
    with watch.stage("grade"):
        return replace(report_on(study), source=study.source)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Three studies of five tiny images."""
    folder = tmp_path_factory.mktemp("studies")
    for number in (1, 2, 3):
        write_series(
            folder / f"study{number}",
            gradient_volume(),
            study=f"study {number}",
            series=f"{number} sag T2",
            PatientID=f"patient-{number}",
        )
    return folder


@pytest.fixture(scope="module")
def pipeline():
    return read_config()


@pytest.fixture
def grader():
    return Grader()


@pytest.fixture
def make_job(nodes, tmp_path, pipeline, grader):
    def make(destination="web", **listening):
        shipped = read_pacs(nodes)
        quick = {"quiet_s": 0.3, "broken_s": 0.3, "attempts": 2, "resend_s": 0.2}
        quick |= listening
        changed = shipped.model_copy(
            update={"listen": shipped.listen.model_copy(update=quick)}
        )
        return ListenJob(
            settings=changed,
            batch=BatchJob(
                inputs=(),
                out=tmp_path / "out",
                config=pipeline,
                context=ReportContext(
                    version="0.1",
                    config=config_values(pipeline),
                    model_sha256={"m": "00"},
                    device="cpu",
                ),
                request=Request(),
                anchors=Anchors(),
                privacy=PRIVACY,
                dicom=dicom_labels(),
            ),
            grade=grader.grade,
            destination=open_archive(destination, shipped) if destination else None,
            patience=IMPATIENT,
        )

    return make


@contextmanager
def listening(job):
    """Listen in the background; what failed there fails here."""
    told, stop, raised = [], threading.Event(), []

    def run():
        try:
            listen(job, stop=stop, tell=told.append)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_for(lambda: told or raised)
        yield told
    finally:
        stop.set()
        thread.join(PATIENCE_S)
    assert raised == []
    assert not thread.is_alive()


def wait_for(ready):
    end_s = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end_s, "nothing happened"
        time.sleep(0.02)


def send(job, *paths, syntax="-xe", port=None):
    local = job.settings.local
    where = ["-aec", "ANY", local.host, str(port or local.port)]
    command = [STORESCU, "-q", "+sd", "+r", "-R", syntax, *where]
    return subprocess.run([*command, *paths], check=False, capture_output=True)


def states(job):
    with TransferLedger(job.batch.out) as ledger:
        return [study.state for study in ledger.studies(*State)]


def sent(told):
    return [line for line in told if "objects sent to" in line]


def test_a_study_is_graded_and_results_come_back(make_job, orthanc, tmp_path, caplog):
    job = replace(make_job(), grade=grade_phantom)
    with caplog.at_level("INFO", "facetgrade"), listening(job) as told:
        local = job.settings.local
        echo = [ECHOSCU, "-aec", "ANY", local.host, str(local.port)]
        assert subprocess.run(echo, check=False).returncode == 0
        assert send(job, write_phantom(tmp_path / "in")).returncode == 0
        wait_for(lambda: sent(told))
    assert orthanc.modalities() == ["SEG", "SR"]
    assert states(job) == [State.DONE]
    assert read_back([job.batch.out / "studies"]).problems == []
    shown = "\n".join([*told, caplog.text, *map(str, job.batch.out.rglob("*"))])
    assert "SIM" not in shown


def test_no_line_log_url_or_name_holds_a_canary(
    make_job, nodes, orthanc, tmp_path, caplog
):
    folder = plant(tmp_path / "CANARY40 Jane", **WORDS)
    capture(folder)
    with grumpy_server(orthanc.url, status=503, times=3) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        job = make_job()
        with caplog.at_level("DEBUG", "facetgrade"), listening(job) as told:
            assert send(job, folder).returncode == 0
            wait_for(lambda: sent(told))
    assert any(line.startswith("failed") for line in told)
    assert len(dicom_files(job.batch.out / "received")) == 5
    shown = "\n".join([*told, caplog.text, *server.asked]).encode()
    assert leaks(shown + text_but_dicom(job.batch.out)) == []


def test_studies_sent_at_the_same_time_are_all_graded_once(
    make_job, orthanc, studies, grader
):
    job = make_job()
    folders = [studies / f"study{number}" for number in (1, 2, 3)]
    with listening(job) as told:
        # The first study comes over two connections at once.
        senders = [
            threading.Thread(target=send, args=(job, folder))
            for folder in (*folders, folders[0])
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(PATIENCE_S)
        wait_for(lambda: len(sent(told)) == 3)
    assert len(grader.graded) == len(set(grader.graded)) == 3
    assert len(orthanc.get("/studies")) == 3
    received = find_studies(job.batch.out / "received", settings=shipped_settings())
    images = sum(1 for path in studies.rglob("*") if path.is_file())
    assert sum(len(study.files) for study in received) == images


def test_a_study_that_comes_again_is_not_graded_again(make_job, studies, grader):
    job = make_job(destination="")
    # Little endian, explicit and then implicit: the same images in another encoding.
    for syntax in ("-xe", "-xe", "-xi"):
        with listening(job):
            assert send(job, studies / "study1", syntax=syntax).returncode == 0
            wait_for(lambda: states(job) == [State.DONE])
            time.sleep(0.6)
    assert len(grader.graded) == 1


def test_late_images_are_graded_with_the_rest(make_job, studies, grader):
    job = make_job(destination="")
    first, *rest = sorted((studies / "study1").glob("*.dcm"))
    with listening(job):
        send(job, *rest)
        wait_for(lambda: states(job) == [State.DONE])
        send(job, first)
        wait_for(lambda: len(grader.graded) == 2)
        wait_for(lambda: states(job) == [State.DONE])


def test_a_connection_that_breaks_off_is_waited_for(make_job, studies, grader):
    job = make_job(destination="", broken_s=600.0)
    with listening(job):
        # 225 bytes of handshake, then 170 for each image.
        with cutting(job.settings.local.port, cuts=1, after_bytes=600) as proxy:
            cut_off = send(job, studies / "study1", port=proxy.port)
            assert (cut_off.returncode != 0, proxy.cut) == (True, 1)
        assert 0 < len(dicom_files(job.batch.out / "received")) < 5
        time.sleep(0.8)
        assert states(job) == [State.ARRIVING]
        assert grader.graded == []
        assert send(job, studies / "study1").returncode == 0
        wait_for(lambda: states(job) == [State.DONE])
    assert len(grader.graded) == 1
    assert len(dicom_files(job.batch.out / "received")) == 5


def test_a_sender_who_stays_away_does_not_hold_up_what_came(make_job, studies, grader):
    job = make_job(destination="")
    with listening(job):
        with cutting(job.settings.local.port, cuts=1, after_bytes=600) as proxy:
            send(job, studies / "study1", port=proxy.port)
        wait_for(lambda: states(job) == [State.DONE])
    assert len(grader.graded) == 1


def test_a_restart_goes_on_with_what_was_unfinished(make_job, orthanc, studies, grader):
    slow = make_job(quiet_s=600.0)
    with listening(slow):
        send(slow, studies / "study1")
    assert states(slow) == [State.ARRIVING]
    with listening(make_job()) as told:
        wait_for(lambda: sent(told))
    assert len(grader.graded) == 1
    assert orthanc.modalities() == ["SR"]


def test_results_wait_for_an_archive_that_is_down(
    make_job, nodes, orthanc, studies, grader
):
    with grumpy_server(orthanc.url, status=503, times=3) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        job = make_job()
        with listening(job) as told:
            send(job, studies / "study1")
            wait_for(lambda: sent(told))
    failed = [line for line in told if line.startswith("failed")]
    assert len(failed) == 1
    assert failed[0].endswith("web answers HTTP 503; sent again later")
    assert len(grader.graded) == 1


def test_a_full_disk_refuses_images_until_there_is_room(
    make_job, studies, monkeypatch, caplog
):
    write, full = arrivals.write_durable, threading.Event()
    full.set()

    def write_or_fail(path, content, *, top):
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content, top=top)

    monkeypatch.setattr(arrivals, "write_durable", write_or_fail)
    job = make_job(destination="")
    with listening(job):
        # storescu ends with an error status, so that the sender knows.
        assert send(job, studies / "study1").returncode != 0
        full.clear()
        assert send(job, studies / "study1").returncode == 0
        wait_for(lambda: states(job) == [State.DONE])
    complaints = [r for r in caplog.records if "cannot be kept" in r.getMessage()]
    assert len(complaints) == 1
    assert len(dicom_files(job.batch.out / "received")) == 5


def test_an_image_is_acknowledged_when_it_is_on_the_disk(
    make_job, studies, monkeypatch
):
    sync, failing = os.fsync, threading.Event()
    failing.set()

    def sync_or_fail(opened):
        if failing.is_set():
            raise OSError(errno.EIO, "Input/output error")
        sync(opened)

    job = make_job(destination="")
    with listening(job):
        monkeypatch.setattr(os, "fsync", sync_or_fail)
        assert send(job, studies / "study1").returncode != 0
        assert dicom_files(job.batch.out) == []
        failing.clear()
        assert send(job, studies / "study1").returncode == 0
        wait_for(lambda: states(job) == [State.DONE])
    assert len(dicom_files(job.batch.out / "received")) == 5


def test_a_study_that_cannot_be_graded_is_given_up(make_job, cohort):
    job = make_job(destination="", quiet_s=0.1)
    job = replace(job, grade=None)
    with listening(job) as told:
        send(job, cohort / "study1")
        wait_for(lambda: states(job) == [State.FAILED])
    failed = [line for line in told if line.startswith("failed")]
    assert [line.rsplit("; ", 1)[1] for line in failed] == [
        "tried again later",
        "given up until the next start",
    ]

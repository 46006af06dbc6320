import logging
import shutil

import pytest

from facetgrade.errors import OutputError
from facetgrade.exchange.read_back import read_back
from facetgrade.pacs import (
    StudyQuery,
    open_archive,
    pull_studies,
    push_results,
    read_pacs,
)
from tests.pacs.conftest import IMPATIENT, node_file
from tests.pacs.proxies import cutting, grumpy_server

RESULTS = StudyQuery(dates="19000101-", modalities=("SEG", "SR"))


@pytest.fixture
def results(written, tmp_path):
    """An output folder of grade with SEG and SR of one study."""
    folder, *_ = written()
    shutil.copytree(folder / "out", tmp_path / "out" / "studies" / "one")
    return tmp_path / "out"


@pytest.fixture
def push(nodes, results):
    def run(node="web"):
        told = []
        archive = open_archive(node, read_pacs(nodes))
        return push_results(
            archive, results, patience=IMPATIENT, tell=told.append
        ), told

    return run


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_results_come_back_from_the_archive(
    protocol, push, orthanc, written, make_pull, tmp_path, caplog
):
    folder, *_ = written()
    orthanc.put(folder / "in")
    with caplog.at_level(logging.INFO, "facetgrade"):
        summary, told = push(protocol)
    assert summary.exit_code == 0, told
    # One sagittal and two axial stacks were drawn on; they file with the study.
    assert len(orthanc.get("/studies")) == 1
    assert orthanc.modalities() == ["MR", "MR", "SEG", "SR"]
    pull_studies(make_pull(protocol, RESULTS), told.append)
    found = read_back([tmp_path / "pulled"])
    sent = read_back([folder / "out"])
    assert found.problems == []
    assert [j.row for j in found.joints] == [j.row for j in sent.joints]
    assert len(found.segments) == len(sent.segments) > 0
    assert "SIM" not in caplog.text + "".join(told)


def test_nothing_is_sent_twice(push, orthanc):
    first, _ = push()
    with grumpy_server(orthanc.url, status=500, times=99):
        second, told = push()
    assert first.fetched > 0
    assert (second.exit_code, second.fetched) == (0, 0)
    assert told == ["[1/1] one: no new objects sent"]


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_a_duplicate_is_no_failure(protocol, push, orthanc, results):
    push(protocol)
    before = len(orthanc.get("/instances"))
    (results / "transfers.sqlite").unlink()
    summary, told = push(protocol)
    assert summary.exit_code == 0, told
    assert len(orthanc.get("/instances")) == before


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_a_lost_connection_is_taken_up_again(protocol, push, nodes, orthanc, results):
    port = orthanc.http if protocol == "web" else orthanc.dimse
    with cutting(port, cuts=2, after_bytes=300) as proxy:
        which = {"http" if protocol == "web" else "dimse": proxy.port}
        nodes.write_text(node_file(orthanc, **which))
        summary, told = push(protocol)
        assert proxy.cut == 2
    assert summary.exit_code == 0, told
    objects = len(list((results / "studies/one/dicom").iterdir()))
    assert len(orthanc.get("/instances")) == objects


def test_server_errors_pass(push, nodes, orthanc):
    with grumpy_server(orthanc.url, status=503, times=2) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        summary, told = push()
    assert summary.exit_code == 0, told


def test_an_archive_that_is_down_leaves_all_for_later(push, nodes, orthanc, caplog):
    with grumpy_server(orthanc.url, status=503, times=99) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        summary, told = push()
    assert summary.exit_code == 2
    assert told == ["failed: [1/1] one: web answers HTTP 503"]
    waits = [r.getMessage() for r in caplog.records if r.name.startswith("facetgrade")]
    assert [line.split(" in ")[0] for line in waits] == [
        "web answers HTTP 503; attempt 2 of 3",
        "web answers HTTP 503; attempt 3 of 3",
    ]
    nodes.write_text(node_file(orthanc))
    summary, _ = push()
    assert summary.exit_code == 0


def test_half_an_object_is_not_sent(push, orthanc, results):
    path = results / "studies/one/dicom/sr.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    summary, told = push()
    assert summary.exit_code == 2
    assert "sr.dcm: an instance is cut off" in told[0]
    assert orthanc.get("/instances") == []


def test_a_folder_without_objects_says_what_is_missing(push, results):
    shutil.rmtree(results / "studies")
    with pytest.raises(OutputError, match="make them with facetgrade grade --dicom"):
        push()

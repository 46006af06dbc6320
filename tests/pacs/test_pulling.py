import errno
import logging

import pydicom
import pytest

from facetgrade.errors import ConfigError, TransferError
from facetgrade.ingest import find_studies, shipped_settings
from facetgrade.pacs import StudyQuery, pull, pull_studies, read_list
from tests.pacs.conftest import node_file
from tests.pacs.proxies import cutting, grumpy_server

ALL = StudyQuery(dates="19000101-", modalities=("MR",))
PROTOCOLS = ("web", "get", "move")
pytestmark = pytest.mark.usefixtures("filled")


def run(job):
    told = []
    return pull_studies(job, told.append), told


def identities(folder):
    """Instance UIDs and pixels of a folder."""
    datasets = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    return {dataset.SOPInstanceUID: dataset.PixelData for dataset in datasets}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cohort_arrives_bit_by_bit_as_it_was(
    protocol, cohort, make_pull, tmp_path, caplog
):
    with caplog.at_level(logging.INFO, "facetgrade"):
        summary, told = run(make_pull(protocol, ALL))
    assert (summary.exit_code, summary.complete) == (0, 2), told
    pulled = tmp_path / "pulled"
    assert identities(pulled) == identities(cohort)
    assert len(find_studies(pulled, settings=shipped_settings())) == 2
    shown = "\n".join([*told, caplog.text, *map(str, pulled.rglob("*"))])
    for secret in ("patient-", "Secret", "ACC-", "LSPINE", "2020"):
        assert secret not in shown.replace(str(tmp_path), "")


@pytest.mark.parametrize("protocol", ["web", "get"])
@pytest.mark.parametrize(
    ("criteria", "studies"),
    [
        ({"dates": "20200301-20200301"}, 1),
        ({"dates": "-20200301"}, 1),
        ({"description": "LSPINE*"}, 1),
        ({"description": "LSPINE native"}, 1),
        ({"description": "KNEE*"}, 0),
        ({"accession_numbers": ("ACC-2",)}, 1),
        ({"patient_ids": ("patient-1", "patient-2")}, 2),
        ({"dates": "20200301-20200301", "patient_ids": ("patient-2",)}, 0),
        ({"dates": "20200101-", "modalities": ("CT",)}, 0),
    ],
)
def test_studies_are_chosen_by(protocol, criteria, studies, make_pull):
    job = make_pull(protocol, StudyQuery(**criteria))
    fitting = [s for s in job.archive.find_studies(job.query) if job.query.fits(s)]
    assert len(fitting) == studies


def test_identifiers_stay_out_of_urls_unless_allowed():
    query = StudyQuery(dates="2020-", accession_numbers=("ACC-1", "ACC-2"))
    assert list(query.requests(identifiers=False)) == [{"StudyDate": "2020-"}]
    allowed = list(query.requests(identifiers=True))
    assert [keys["AccessionNumber"] for keys in allowed] == ["ACC-1", "ACC-2"]


def test_what_is_complete_is_not_fetched_again(make_pull):
    run(make_pull("web", ALL))
    job = make_pull("web", ALL)
    job.archive.fetch = None
    summary, told = run(job)
    assert (summary.exit_code, summary.fetched) == (0, 0)
    assert told[-1].endswith("4 images were there")


def test_a_deleted_image_comes_back(make_pull, tmp_path):
    run(make_pull("get", ALL))
    before = sorted((tmp_path / "pulled").rglob("*.dcm"))
    before[0].unlink()
    summary, _ = run(make_pull("get", ALL))
    assert summary.fetched == 1
    assert sorted((tmp_path / "pulled").rglob("*.dcm")) == before


def test_entries_without_a_study_are_named_by_their_place(make_pull):
    query = StudyQuery(accession_numbers=("ACC-1", "ACC-9"))
    summary, told = run(make_pull("get", query))
    assert (summary.exit_code, summary.complete) == (3, 1)
    assert "nothing found for entry 2 of the list of accession numbers" in told


@pytest.mark.parametrize("protocol", ["web", "get"])
def test_a_lost_connection_loses_no_image(
    protocol, make_pull, nodes, orthanc, cohort, tmp_path, caplog
):
    port = orthanc.http if protocol == "web" else orthanc.dimse
    # An image has about 1,000 bytes, so that the cut falls into a transfer.
    with cutting(port, cuts=4, after_bytes=2600) as proxy:
        which = {"http" if protocol == "web" else "dimse": proxy.port}
        nodes.write_text(node_file(orthanc, **which))
        summary, told = run(make_pull(protocol, ALL))
        assert proxy.cut == 4
    assert summary.exit_code == 0, told
    assert identities(tmp_path / "pulled") == identities(cohort)
    lost = [r.getMessage() for r in caplog.records if "lost" in r.getMessage()]
    assert lost
    assert all("\n" not in line for line in lost)


def test_an_archive_that_stays_away_is_given_up(make_pull, nodes, orthanc):
    with cutting(orthanc.dimse, cuts=10**6, after_bytes=0) as proxy:
        nodes.write_text(node_file(orthanc, dimse=proxy.port))
        with pytest.raises(TransferError, match="get cannot be reached"):
            run(make_pull("get", ALL))
    nodes.write_text(node_file(orthanc))
    summary, _ = run(make_pull("get", ALL))
    assert summary.exit_code == 0


@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_pass(status, make_pull, nodes, orthanc):
    with grumpy_server(
        orthanc.url, status=status, times=2, path="/instances/"
    ) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        summary, told = run(make_pull("web", ALL))
        assert server.left == [0]
    assert summary.exit_code == 0, told


def test_a_study_that_fails_does_not_stop_the_next(make_pull, nodes, orthanc, tmp_path):
    with grumpy_server(orthanc.url, status=503, times=3, path="/instances/") as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        summary, _ = run(make_pull("web", ALL))
    assert (summary.exit_code, summary.complete) == (3, 1)
    (failure,) = summary.failures
    assert failure.endswith("web answers HTTP 503")
    # Ingest does not see a part of a study.
    assert len(find_studies(tmp_path / "pulled", settings=shipped_settings())) == 1
    nodes.write_text(node_file(orthanc))
    summary, _ = run(make_pull("web", ALL))
    assert (summary.exit_code, summary.complete) == (0, 2)


def test_a_refused_login_is_not_tried_again(make_pull, nodes, orthanc):
    with grumpy_server(orthanc.url, status=401, times=9) as server:
        nodes.write_text(node_file(orthanc, http=server.server_address[1]))
        with pytest.raises(TransferError, match=r"refuses the login \(HTTP 401\)"):
            run(make_pull("web", ALL))
        assert server.left == [8]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_full_disk_stops_with_one_line(protocol, make_pull, monkeypatch):
    write, count = pull.write_durable, []

    def full(path, content, *, top):
        count.append(path)
        if len(count) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content, top=top)

    monkeypatch.setattr(pull, "write_durable", full)
    summary, told = run(make_pull(protocol, ALL))
    assert summary.exit_code == 2
    (failure,) = summary.failures
    assert "cannot be written (No space left on device)" in failure
    assert told[-1] == "stopped; with room on the disk the same command goes on"
    summary, _ = run(make_pull(protocol, ALL))
    assert (summary.exit_code, summary.complete) == (0, 2)
    assert summary.fetched < 8


@pytest.mark.parametrize("line", ["A*", "A?", "A\\B", "*"])
def test_lists_hold_no_patterns(line, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"# numbers\n\nACC-1\n{line}\n")
    with pytest.raises(ConfigError, match=r"list\.txt: line 4 is not one identifier"):
        read_list(path)


def test_lists_are_read_without_comments_and_doubles(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\ufeff# numbers\n ACC-1 \n\nACC-2\nACC-1\n")
    assert read_list(path) == ("ACC-1", "ACC-2")

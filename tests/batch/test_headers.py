import pytest

from facetgrade.batch.headers import RememberedHeaders
from facetgrade.batch.ledger import Ledger
from facetgrade.ingest import IngestSettings, scan_inputs, shipped_settings
from facetgrade.ingest.archive import SourceFile
from tests.ingest.builders import gradient_volume, write_series

SECRET = b"s" * 32


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "out") as opened:
        yield opened


@pytest.fixture
def files(studies):
    return [SourceFile(path) for path in sorted(studies.rglob("*.dcm"))]


def read(ledger, files, secret=SECRET):
    headers = RememberedHeaders(ledger, secret)
    return dict(headers.read(files)), headers.read_now


def test_a_second_search_reads_no_file_and_finds_the_same(ledger, files):
    first, count = read(ledger, files)
    assert count == len(files) > 0
    assert read(ledger, files) == (first, 0)


def test_a_changed_file_is_read_again(ledger, files, studies):
    read(ledger, files)
    before = read(ledger, files)[0][files[0]]
    write_series(studies / "anna", gradient_volume(), study="other", series="anna T2")
    after, count = read(ledger, files)
    assert count > 0
    assert after[files[0]].study_uid != before.study_uid


def test_another_secret_finds_nothing(ledger, files):
    read(ledger, files)
    assert read(ledger, files, b"t" * 32)[1] == len(files)


def test_the_ledger_shows_no_patient_and_no_place(ledger, files, tmp_path):
    read(ledger, files)
    content = (tmp_path / "out" / "ledger.sqlite").read_bytes()
    for secret in (b"patient-7", b"anna", b".dcm"):
        assert secret not in content


def test_studies_found_by_memory_are_those_of_a_fresh_search(ledger, studies):
    settings: IngestSettings = shipped_settings()
    fresh = scan_inputs([studies], settings)
    for _ in range(2):
        remembered = RememberedHeaders(ledger, SECRET)
        assert scan_inputs([studies], settings, remembered.read) == fresh
    assert remembered.read_now == 0

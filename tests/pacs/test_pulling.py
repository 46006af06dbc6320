import pydicom
import pytest

from facetgrade.ingest import find_studies, shipped_settings
from facetgrade.pacs import StudyQuery, pull_studies
from tests.pacs.conftest import dicom_files

ALL = StudyQuery(dates="19000101-", modalities=("MR",))
PROTOCOLS = ("web", "get", "move")


def lines(job):
    told = []
    return pull_studies(job, told.append), told


def identities(folder):
    """Instance UIDs and pixels of a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".sqlite":
            dataset = pydicom.dcmread(path)
            found[dataset.SOPInstanceUID] = dataset.PixelData
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cohort_arrives_bit_by_bit_as_it_was(
    protocol, filled, phantoms, make_pull, tmp_path
):
    summary, told = lines(make_pull(protocol, ALL))
    assert summary.exit_code == 0, told
    assert summary.complete == 2
    pulled = tmp_path / "pulled"
    assert identities(pulled) == identities(phantoms)
    found = find_studies(pulled, settings=shipped_settings())
    assert len(found) == 2
    assert all("SIM" not in line for line in told)

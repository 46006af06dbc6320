"""The date of a study from its headers, without loading it."""

from __future__ import annotations

from io import BytesIO

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import read_files
from facetgrade.ingest.dicom import read_header
from facetgrade.ingest.elements import quiet
from facetgrade.ingest.files import FileKind, StudyFiles
from facetgrade.ingest.images import header_date


def study_date(files: StudyFiles) -> str:
    """Read the date of a DICOM study from the first file that names one.

    Returns
    -------
    str
        YYYY-MM-DD, empty when unknown or not DICOM.
    """
    if files.kind is not FileKind.DICOM:
        return ""
    with quiet():
        for _, content in read_files(files.files):
            if isinstance(content, str):
                continue
            try:
                found = header_date(read_header(BytesIO(content)))
            except IngestError:
                continue
            if found:
                return found
    return ""

"""Any input to studies: series of geometric stacks in patient space."""

from facetgrade.ingest.files import Scan, StudyFiles
from facetgrade.ingest.load import (
    content_sha256,
    load_study,
    read_studies,
    shipped_settings,
)
from facetgrade.ingest.privacy import Privacy, read_key, user_key
from facetgrade.ingest.scan import find_studies, scan_inputs
from facetgrade.ingest.settings import IngestSettings, SeriesRules

__all__ = [
    "IngestSettings",
    "Privacy",
    "Scan",
    "SeriesRules",
    "StudyFiles",
    "content_sha256",
    "find_studies",
    "load_study",
    "read_key",
    "read_studies",
    "scan_inputs",
    "shipped_settings",
    "user_key",
]

"""Read a simulated study from its files, as a user would."""

from __future__ import annotations

import logging
from pathlib import Path

from facetgrade.ingest import Privacy, find_studies, load_study
from facetgrade.ingest.settings import IngestSettings
from facetgrade.study import Study

# Nobody's name is behind a simulated study.
_PRIVACY = Privacy(key=bytes(32), keep_patient_id=False, mask_uids=False)

log = logging.getLogger(__name__)


def read_folder(folder: Path, settings: IngestSettings) -> Study:
    """Read the one study in a folder.

    Parameters
    ----------
    folder : Path
        DICOM files of one study; of several the one with most series is taken.
    settings : IngestSettings
        As for `facetgrade grade`.

    Raises
    ------
    IngestError
        If no study can be read.
    """
    found = find_studies(folder, settings=settings)
    if len(found) != 1:
        log.warning("%s was read as %d studies", folder.parent.name, len(found))
    largest = max(found, key=lambda files: len(files.series))
    return load_study(largest, settings, _PRIVACY)

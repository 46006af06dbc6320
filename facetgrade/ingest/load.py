"""Load one study: read its files, build its series, keep the best candidates."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from facetgrade.config_files import check_settings, read_toml, shipped_path
from facetgrade.errors import IngestError
from facetgrade.ingest.archive import read_files
from facetgrade.ingest.assemble import Assembled
from facetgrade.ingest.choose import choose_series
from facetgrade.ingest.fat import tell_fat_apart
from facetgrade.ingest.files import FileKind, StudyFiles
from facetgrade.ingest.images import read_dicom_series
from facetgrade.ingest.nifti import read_nifti_series
from facetgrade.ingest.privacy import Privacy, user_key
from facetgrade.ingest.scan import find_studies
from facetgrade.ingest.scouts import choose_scouts
from facetgrade.ingest.settings import IngestSettings
from facetgrade.ingest.spaces import keep_one_space
from facetgrade.study import RejectedSeries, Study

_log = logging.getLogger(__name__)
_REASONS_SHOWN = 3


def read_studies(*paths: Path) -> Iterator[Study]:
    """Find and load every study in the given places, with the shipped settings.

    Parameters
    ----------
    *paths : Path
        Folders, archives, DICOMDIR, DICOM or NIfTI files.

    Yields
    ------
    Study
        One at a time; a study that cannot be used is logged and left out.

    Raises
    ------
    IngestError
        If nothing usable is found.
    """
    settings = shipped_settings()
    privacy = Privacy(key=user_key(), keep_patient_id=False, mask_uids=False)
    reasons: list[str] = []
    usable = 0
    for files in find_studies(*paths, settings=settings):
        try:
            study = load_study(files, settings, privacy)
        except IngestError as error:
            reasons.append(str(error))
            _log.warning("%s", error)
            continue
        usable += 1
        yield study
    if not usable:
        raise IngestError(reasons[0])


def shipped_settings() -> IngestSettings:
    """Read the settings that come with facetgrade.

    Raises
    ------
    ConfigError
        If the installation is damaged.
    """
    pipeline = shipped_path("configs/pipeline.toml")
    rules = read_toml(shipped_path("configs/series_rules.toml"))
    values = {**read_toml(pipeline)["ingest"], "series_rules": rules}
    return check_settings(values, IngestSettings, pipeline)


def load_study(files: StudyFiles, settings: IngestSettings, privacy: Privacy) -> Study:
    """Read one study into patient space.

    Parameters
    ----------
    files : StudyFiles
        From `find_studies`.
    settings : IngestSettings
        Tolerances and series rules.
    privacy : Privacy
        How patient and UIDs are named.

    Raises
    ------
    IngestError
        If no series of the study can be used; the message says why.
    """
    start_s = time.perf_counter()
    if files.kind is FileKind.DICOM:
        found = read_dicom_series(files.files, settings, privacy)
    else:
        found = read_nifti_series(files.files, settings)
    kept, apart, space_notes = keep_one_space(found.series, settings.space)
    rules = settings.series_rules
    kept = tell_fat_apart(kept, found.untold, rules.pixels)
    chosen, losers = choose_series(kept, rules.choice)
    scouts, unfit = choose_scouts(found.scouts, chosen, settings.scout)
    rejected = (*found.rejected, *apart, *losers, *unfit)
    if not chosen:
        raise IngestError(_nothing_usable(files, found, rejected))
    study = Study(
        uid=privacy.uid(files.study_uid),
        source=files.source,
        subject=privacy.subject(files.patient_id),
        date=found.date,
        series=tuple(chosen),
        rejected=rejected,
        notes=(*files.problems, *found.notes, *space_notes),
        content_sha256=_combined(found.digests),
        scouts=tuple(scouts),
    )
    _log.info(
        "ingest: study %s, %d files, %d series used, %d scouts, %d rejected, %.1f s",
        study.uid,
        len(files.files),
        len(chosen),
        len(scouts),
        len(rejected),
        time.perf_counter() - start_s,
    )
    return study


def content_sha256(files: StudyFiles) -> str:
    """Hash the content of a study without loading it, as `Study.content_sha256`.

    File names, order and exact copies do not matter.
    """
    contents = (content for _, content in read_files(files.files))
    return _combined(
        [sha256(content).digest() for content in contents if isinstance(content, bytes)]
    )


def _combined(digests: list[bytes]) -> str:
    """Hash the hashes of files in a fixed order."""
    return sha256(b"".join(sorted(set(digests)))).hexdigest()


def _nothing_usable(
    files: StudyFiles, found: Assembled, rejected: tuple[RejectedSeries, ...]
) -> str:
    """Say in one sentence why a study cannot be used."""
    reasons = [f"{one.description or 'a series'}: {one.reason}" for one in rejected]
    reasons = list(dict.fromkeys([*reasons, *found.notes, *files.problems]))
    shown = "; ".join(reasons[:_REASONS_SHOWN]) or "it holds no images"
    more = len(reasons) - _REASONS_SHOWN
    rest = f" (and {more} more)" if more > 0 else ""
    return f"study {files.source} has no usable MR series: {shown}{rest}"

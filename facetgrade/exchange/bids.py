"""Results as a BIDS derivatives dataset."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from facetgrade.errors import OutputError
from facetgrade.exchange import bids_tables as tables
from facetgrade.exchange.bids_maps import BidsFile, json_bytes, study_files
from facetgrade.exchange.bids_names import Visit, visits
from facetgrade.report.atomic import write_bytes
from facetgrade.report.probabilities import KEY as PROBABILITIES
from facetgrade.report.read_study import read_study_record
from facetgrade.report.words import RESEARCH_USE

FOLDER = "bids"
DESCRIPTION = "dataset_description.json"
BIDS_VERSION = "1.10.0"
_NAME = "facetgrade"
_README = f"""# Facet joints graded by facetgrade

{RESEARCH_USE}

Czervionke-Fenton grades of facet joint synovitis on lumbar MRI, with the masks behind
them.

- `*_desc-joints_dseg.tsv`: one row per joint and study, grade and measurements; the
  columns are explained in `desc-joints_dseg.json`.
- `*_acq-*_desc-{{structures,lesions,joints}}_dseg.nii.gz`: label maps on the grid of a
  series; a series of several blocks has one file for each (`chunk-`).
- `*_space-*_dseg.nii.gz` and `*_space-*_label-*_probseg.nii.gz`: label maps and
  probabilities on the fine grid of one joint. All positions are those of the scanner.
- `desc-structures_dseg.tsv`, `desc-lesions_dseg.tsv`: what each number means.
- `sub-*_sessions.tsv`: days since the first study of a participant.
"""


@dataclass(frozen=True, slots=True)
class BidsSummary:
    """What a dataset holds.

    Attributes
    ----------
    participants, studies : int
        Counts.
    without_probabilities : int
        Studies with masks from a version that kept no probabilities.
    """

    participants: int
    studies: int
    without_probabilities: int


def write_bids(results: Path, out: Path) -> BidsSummary:
    """Write the results of `facetgrade grade` as a BIDS derivatives dataset.

    An earlier dataset of facetgrade in the same place is replaced as a whole.

    Parameters
    ----------
    results : Path
        Output folder of ``facetgrade grade``.
    out : Path
        Folder of the dataset.

    Raises
    ------
    OutputError
        If there are no finished studies, a mask is missing, or `out` holds anything
        else than such a dataset.

    References
    ----------
    .. [1] BIDS specification 1.10, Derivatives: Imaging data types.
    """
    folders = _study_folders(results)
    records = [read_study_record(folder) for folder in folders]
    named = visits(records)
    _check_replaceable(out)
    draft = out.with_name(f".{out.name}.{secrets.token_hex(8)}.part")
    try:
        for file in _dataset_files(records, named):
            write_bytes(draft / file.name, file.content)
        for folder, record, visit in zip(folders, records, named, strict=True):
            for file in study_files(folder, record, visit):
                write_bytes(draft / file.name, file.content)
        shutil.rmtree(out, ignore_errors=True)
        draft.rename(out)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); is the disk full, or does "
            "another run write there?"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return BidsSummary(
        participants=len({visit.participant for visit in named}),
        studies=len(named),
        without_probabilities=sum(_lacks_probabilities(record) for record in records),
    )


def _study_folders(results: Path) -> list[Path]:
    """List the folders of finished studies.

    Raises
    ------
    OutputError
        If there are none.
    """
    found = sorted(
        path.parent
        for path in results.glob("studies/*/study.json")
        if not path.parent.name.endswith(".partial")
    )
    if not found:
        raise OutputError(
            f"{results}: holds no finished study; give the output folder of "
            "facetgrade grade"
        )
    return found


def _check_replaceable(out: Path) -> None:
    """Refuse to replace what facetgrade did not write."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        made = json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))
        ours = made["GeneratedBy"][0]["Name"] == _NAME
    except (OSError, ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise OutputError(
            f"{out}: holds something else than a BIDS dataset of facetgrade; choose "
            "another folder"
        )


def _dataset_files(
    records: Sequence[Mapping[str, Any]], named: Sequence[Visit]
) -> Iterator[BidsFile]:
    """Yield what describes the dataset as a whole."""
    versions = sorted({record["facetgrade_version"] for record in records})
    description = {
        "Name": "Facet joint synovitis graded by facetgrade",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": _NAME, "Version": version, "Description": RESEARCH_USE}
            for version in versions
        ],
    }
    yield BidsFile(DESCRIPTION, json_bytes(description))
    yield BidsFile("README.md", _README.encode())
    texts = {
        "participants.tsv": tables.participants_table(named),
        "desc-structures_dseg.tsv": tables.structures_table(),
        "desc-lesions_dseg.tsv": tables.lesions_table(),
    }
    for name, text in texts.items():
        yield BidsFile(name, text.encode())
    dictionaries = {
        "participants.json": tables.participants_dictionary(),
        "desc-structures_dseg.json": tables.labels_dictionary("structure"),
        "desc-lesions_dseg.json": tables.labels_dictionary("lesion"),
        "desc-joints_dseg.json": tables.joints_dictionary(),
    }
    for name, values in dictionaries.items():
        yield BidsFile(name, json_bytes(values))
    yield from _sessions(named)


def _sessions(named: Sequence[Visit]) -> Iterator[BidsFile]:
    """Yield a table of sessions for each participant who has any."""
    ordered = sorted(named, key=lambda visit: (visit.participant, visit.session))
    any_session = False
    for participant, group in groupby(ordered, key=lambda visit: visit.participant):
        members = [visit for visit in group if visit.session]
        if members:
            any_session = True
            name = f"sub-{participant}/sub-{participant}_sessions.tsv"
            yield BidsFile(name, tables.sessions_table(members).encode())
    if any_session:
        yield BidsFile("sessions.json", json_bytes(tables.sessions_dictionary()))


def _lacks_probabilities(record: Mapping[str, Any]) -> bool:
    files = record["files"]
    return "joints" in files and PROBABILITIES not in files

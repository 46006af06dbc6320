"""Which cases a folder holds that `facetgrade grade` or `facetgrade compare` wrote."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.compare.graded import GradedStudy, graded_studies
from facetgrade.compare.inputs import GRADED
from facetgrade.compare.pairing import pair_by_date
from facetgrade.report.read_study import read_study_record
from facetgrade.review.charter import Charter
from facetgrade.review.errors import ReviewError
from facetgrade.review.records import AiGrade, Case, StudyRef, Visit

COMPARE_FILE = "compare.json"

Pair = tuple[GradedStudy, GradedStudy]


@dataclass(frozen=True, slots=True)
class FoundCases:
    """Cases of a folder.

    Attributes
    ----------
    cases : tuple of Case
        To be read, by patient.
    left_out : tuple of str
        One sentence for each study that is not read.
    models : mapping of str to str
        SHA-256 of the models that graded them.
    """

    cases: tuple[Case, ...]
    left_out: tuple[str, ...]
    models: Mapping[str, str]


def find_cases(out: Path, charter: Charter) -> FoundCases:
    """Find what is to be read.

    Parameters
    ----------
    out : Path
        Folder of `facetgrade grade`, whose studies are paired by subject and date, or
        of `facetgrade compare`, which says what belongs together.
    charter : Charter
        Paired or single reading, and the levels.

    Raises
    ------
    ReviewError
        If there is nothing to read.
    OutputError
        If a study is damaged or none is there.
    """
    studies = graded_studies(out / GRADED if (out / GRADED).is_dir() else out)
    records = {str(one.folder): read_study_record(one.folder) for one in studies}
    if charter.reading == "single":
        groups: list[tuple[GradedStudy, ...]] = [(one,) for one in studies]
        left_out: list[str] = []
    else:
        pairs, left_out = _pairs(out, studies)
        groups = list(pairs)
    cases = [_case(out, group, records, charter) for group in groups]
    cases = [case for case in cases if case.joints]
    if not cases:
        why = "no study has a joint of these levels"
        if not groups:
            why = left_out[0] if left_out else "no pair is listed"
        raise ReviewError(f"{out}: nothing to read: {why}")
    models = {
        name: str(value)
        for record in records.values()
        for name, value in (record.get("model_sha256") or {}).items()
    }
    ordered = sorted(cases, key=lambda case: (case.patient, case.studies[0].source))
    return FoundCases(tuple(ordered), tuple(left_out), models)


def _pairs(out: Path, studies: Sequence[GradedStudy]) -> tuple[list[Pair], list[str]]:
    """Pair studies as `facetgrade compare` did, else by subject and date."""
    path = out / COMPARE_FILE
    if path.is_file():
        return _compared_pairs(path, studies)
    pairing = pair_by_date([one.examination for one in studies])
    by_key = {str(one.folder): one for one in studies}
    pairs = [
        (by_key[one.baseline.key], by_key[one.followup.key]) for one in pairing.pairs
    ]
    left_out = [
        f"{', '.join(one.sources)} is not paired: {one.obstacle.explanation}"
        for one in pairing.unpaired
    ]
    return pairs, left_out


def _compared_pairs(
    path: Path, studies: Sequence[GradedStudy]
) -> tuple[list[Pair], list[str]]:
    """Return the pairs of compare.json that were not refused."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["pairs"]
        named = [
            (
                str(one["pair"]),
                str(one["baseline_source"]),
                str(one["followup_source"]),
                one["explanation"] if one["refused"] else "",
            )
            for one in listed
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"{path}: damaged ({error!r})") from error
    pairs: list[Pair] = []
    left_out = []
    for name, baseline, followup, refusal in named:
        found = [
            [one for one in studies if one.source == source]
            for source in (baseline, followup)
        ]
        if refusal:
            left_out.append(f"pair {name} was refused: {refusal}")
        elif any(len(own) != 1 for own in found):
            left_out.append(f"pair {name}: its studies are not in {path.parent}")
        else:
            pairs.append((found[0][0], found[1][0]))
    return pairs, left_out


def _case(
    out: Path,
    studies: Sequence[GradedStudy],
    records: Mapping[str, Mapping[str, Any]],
    charter: Charter,
) -> Case:
    """Describe one case: its studies, the joints that all of them have, AI grades."""
    visits = (Visit.BASELINE, Visit.FOLLOWUP) if len(studies) == 2 else (Visit.ONLY,)
    graded = [_ai_grades(records[str(one.folder)]["joints"]) for one in studies]
    joints = tuple(
        FacetJoint(level, side)
        for level in sorted(charter.levels)
        for side in Side
        if all(FacetJoint(level, side) in own for own in graded)
    )
    return Case(
        case_id=secrets.token_hex(12),
        patient=studies[0].subject or studies[0].source,
        studies=tuple(
            _study_ref(out, one, visit)
            for one, visit in zip(studies, visits, strict=True)
        ),
        joints=joints,
        ai=tuple(
            AiGrade(visit=visit, joint=joint, grade=own[joint][0], reason=own[joint][1])
            for own, visit in zip(graded, visits, strict=True)
            for joint in joints
        ),
    )


def _study_ref(out: Path, study: GradedStudy, visit: Visit) -> StudyRef:
    """Name the study of a case."""
    return StudyRef(
        visit=visit,
        folder=study.folder.relative_to(out).as_posix(),
        study_uid=study.study_uid,
        source=study.source,
        subject=study.subject,
        date=study.date,
    )


def _ai_grades(
    joints: Iterable[Mapping[str, Any]],
) -> dict[FacetJoint, tuple[int | None, str]]:
    """Return grade and reason of each joint of study.json."""
    return {
        FacetJoint(Level(one["level"]), Side(one["side"])): (
            one["grade"] if one["status"] == "graded" else None,
            one["reason"] or "",
        )
        for one in joints
        if one["level"]
    }

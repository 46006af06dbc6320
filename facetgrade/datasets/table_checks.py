"""Checks that need nothing but the manifest and the names of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from facetgrade.datasets.findings import Finding, FindingKind
from facetgrade.train.manifest import ManifestRow

LARGEST_GRADE_DIFFERENCE = 1


def check_table(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """Find duplicate rows, subjects in two splits, missing files, differing grades."""
    yield from _missing_files(rows)
    yield from _duplicate_rows(rows)
    yield from _subjects_in_two_splits(rows)
    yield from _differing_grades(rows)


def _missing_files(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """Find files that are not there."""
    for row in rows:
        for path in (*row.sources, *row.masks):
            if not path.exists():
                yield Finding(
                    kind=FindingKind.MISSING_FILE,
                    rows=(row.number,),
                    sentence=f"{path} does not exist.",
                )


def _duplicate_rows(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """Find rows of one joint by one reader."""
    first: dict[tuple[object, ...], ManifestRow] = {}
    for row in rows:
        key = (row.case, row.reader)
        if key in first:
            reader = row.reader or "an unnamed reader"
            yield Finding(
                kind=FindingKind.DUPLICATE_ROW,
                rows=(first[key].number, row.number),
                sentence=f"{row.study}, {row.joint} by {reader} is listed twice.",
            )
        first.setdefault(key, row)


def _subjects_in_two_splits(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """Find people who would be trained on and tested on."""
    splits: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.split:
            splits.setdefault(row.subject, {}).setdefault(row.split, row.number)
    for subject, numbers in splits.items():
        if len(numbers) > 1:
            yield Finding(
                kind=FindingKind.SUBJECT_IN_TWO_SPLITS,
                rows=tuple(sorted(numbers.values())),
                sentence=f"Subject {subject} is in {' and in '.join(sorted(numbers))}.",
            )


def _differing_grades(rows: Sequence[ManifestRow]) -> Iterator[Finding]:
    """Find joints whose readers are more than a grade apart."""
    cases: dict[tuple[object, ...], list[ManifestRow]] = {}
    for row in rows:
        if row.grade is not None:
            cases.setdefault(row.case, []).append(row)
    for readers in cases.values():
        for one, other in combinations(readers, 2):
            apart = abs((one.grade or 0) - (other.grade or 0))
            if one.reader != other.reader and apart > LARGEST_GRADE_DIFFERENCE:
                yield Finding(
                    kind=FindingKind.READERS_DISAGREE,
                    rows=(one.number, other.number),
                    sentence=f"{one.study}, {one.joint}: grade {one.grade} by "
                    f"{one.reader}, {other.grade} by {other.reader}.",
                )

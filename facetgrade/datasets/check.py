"""Check a manifest, its studies and its masks, one study in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facetgrade.config import config_values
from facetgrade.datasets.findings import Finding, FindingKind
from facetgrade.datasets.image_checks import (
    check_duplicates,
    check_images,
    check_resolution,
    slice_hashes,
)
from facetgrade.datasets.mask_checks import (
    check_center,
    check_mask,
    check_place,
    check_readers,
    outlined_points,
)
from facetgrade.datasets.page import findings_page
from facetgrade.datasets.pictures import draw_case
from facetgrade.datasets.table_checks import check_table
from facetgrade.errors import FacetGradeError
from facetgrade.evaluate.provenance import made_by
from facetgrade.findings import Localization
from facetgrade.report.atomic import write_json, write_text
from facetgrade.study import Study
from facetgrade.train.annotated import StudyReader, by_study, frame_of
from facetgrade.train.manifest import Manifest, ManifestRow, read_manifest
from facetgrade.train.masks import (
    Annotation,
    MaskError,
    is_nifti_mask,
    read_annotation,
    read_label_grid,
    unknown_values,
)

Progress = Callable[[int, int, str], None]


@dataclass(eq=False, slots=True)
class _Seen:
    """What is kept of all studies."""

    findings: list[Finding] = field(default_factory=list)
    hashes: dict[str, frozenset[bytes]] = field(default_factory=dict)
    rows: dict[str, ManifestRow] = field(default_factory=dict)


def check_dataset(
    path: Path, out: Path | None = None, progress: Progress | None = None
) -> tuple[Finding, ...]:
    """Look for what would spoil a training or a comparison.

    Parameters
    ----------
    path : Path
        Manifest of annotated cases.
    out : Path or None
        Receives findings.json and findings.html with pictures; None writes nothing.
    progress : callable or None
        Called with studies done, studies in all, and a line of text.

    Returns
    -------
    tuple of Finding
        By row; empty for a clean set.

    Raises
    ------
    ManifestError
        If the manifest itself cannot be read.
    """
    manifest = read_manifest(path)
    seen = _Seen(findings=list(check_table(manifest.rows)))
    reader = StudyReader()
    studies = list(by_study(manifest.rows))
    for number, rows in enumerate(studies, start=1):
        _check_study(reader, rows, seen)
        if progress:
            progress(number, len(studies), rows[0].study)
    splits = {row.subject: row.split for row in manifest.rows}
    seen.findings += check_duplicates(seen.hashes, seen.rows, splits)
    findings = tuple(sorted(seen.findings, key=lambda f: (f.rows, f.kind)))
    if out is not None:
        _write(out, manifest, findings, reader)
    return findings


def _check_study(reader: StudyReader, rows: Sequence[ManifestRow], seen: _Seen) -> None:
    """Check one study with all its rows."""
    annotations = {}
    for row in rows:
        annotation, problem = _read_mask(row)
        annotations[row.number] = annotation
        seen.findings += [problem] if problem else []
    if not all(path.exists() for path in rows[0].sources):
        return
    try:
        study = reader.read(rows[0])
    except FacetGradeError as error:
        numbers = tuple(row.number for row in rows)
        sentence = f"{rows[0].study}: {error}"
        unreadable = FindingKind.UNREADABLE
        seen.findings.append(Finding(kind=unreadable, rows=numbers, sentence=sentence))
        return
    found = reader.locate(study)
    name = rows[0].study
    seen.hashes[name] = slice_hashes(study)
    seen.rows[name] = rows[0]
    for row in rows:
        seen.findings += _check_row(row, annotations[row.number], study, found)
    seen.findings += _check_series(rows, annotations, study, found)
    seen.findings += _compare_readers(rows, annotations)


def _read_mask(row: ManifestRow) -> tuple[Annotation | None, Finding | None]:
    """Read the masks of a row, or say what is wrong with them."""
    for path, scheme in zip(row.masks, row.schemes, strict=True):
        if not path.exists():
            return None, None
        if is_nifti_mask(path):
            try:
                unknown = unknown_values(read_label_grid(path), scheme)
            except MaskError:
                continue
            if unknown:
                values = ", ".join(map(str, unknown[:5]))
                sentence = f"{path.name} has {values}, not defined by {scheme!r}."
                return None, _finding(FindingKind.UNKNOWN_LABEL, row, sentence)
    try:
        return read_annotation(row), None
    except MaskError as error:
        return None, _finding(FindingKind.UNREADABLE, row, f"{error}.")


def _check_row(
    row: ManifestRow, annotation: Annotation | None, study: Study, found: Localization
) -> Iterator[Finding]:
    """Check one mask, or the center of a row without one."""
    problems = list(check_center(row, found))
    if annotation is not None:
        own = [
            *check_mask(annotation, row),
            *check_place(annotation, row, study, found),
        ]
        kinds = {kind for kind, _ in own}
        if FindingKind.MIRRORED_SIDE in kinds:
            # the order of the processes is judged by the side, which is wrong
            own = [p for p in own if p[0] is not FindingKind.SWAPPED_LABELS]
        problems = [*own, *(p for p in problems if p[0] not in kinds)]
    picture = draw_case(study, row, annotation, found) if problems else ""
    for kind, sentence in problems:
        text = f"{row.study}, {row.joint}: {sentence}."
        yield replace(_finding(kind, row, text), picture=picture)


def _check_series(
    rows: Sequence[ManifestRow],
    annotations: dict[int, Annotation | None],
    study: Study,
    found: Localization,
) -> Iterator[Finding]:
    """Check contrast and resolution around the joints of a study."""
    try:
        center = frame_of(rows[0], annotations[rows[0].number], found).center_lps_mm
    except FacetGradeError:
        grids = [series.stacks[0].volume.geometry for series in study.series]
        center = np.mean([grid.center_lps_mm for grid in grids], axis=0)
    numbers = tuple(row.number for row in rows)
    for kind, sentences in (
        (FindingKind.UNUSUAL_CONTRAST, check_images(study, center)),
        (FindingKind.UNUSUAL_RESOLUTION, check_resolution(study)),
    ):
        for sentence in sentences:
            yield Finding(
                kind=kind,
                rows=numbers,
                sentence=f"{rows[0].study}: {sentence}.",
                picture=draw_case(study, rows[0], annotations[rows[0].number], found),
            )


def _compare_readers(
    rows: Sequence[ManifestRow], annotations: dict[int, Annotation | None]
) -> Iterator[Finding]:
    """Compare the outlines of the readers of each joint."""
    cases: dict[object, list[tuple[ManifestRow, Annotation]]] = {}
    for row in rows:
        annotation = annotations[row.number]
        if annotation is not None and len(outlined_points(annotation)):
            cases.setdefault(row.joint, []).append((row, annotation))
    for joint, read in cases.items():
        for numbers, sentence in check_readers(read):
            yield Finding(
                kind=FindingKind.READERS_DISAGREE,
                rows=numbers,
                sentence=f"{rows[0].study}, {joint}: {sentence}.",
            )


def _finding(kind: FindingKind, row: ManifestRow, sentence: str) -> Finding:
    """Make a finding of one row."""
    return Finding(kind=kind, rows=(row.number,), sentence=sentence)


def _write(
    out: Path, manifest: Manifest, findings: Sequence[Finding], reader: StudyReader
) -> None:
    """Write the findings as JSON and as a page."""
    made = made_by(manifest.path.name, reader.config.localize, {})
    values = {
        "manifest": manifest.path.name,
        "manifest_sha256": manifest.sha256,
        "version": made["version"],
        "rows": len(manifest.rows),
        "localize": config_values(reader.config.localize),
        "findings": [
            {
                "kind": one.kind.value,
                "rows": list(one.rows),
                "sentence": one.sentence,
                "advice": one.advice,
            }
            for one in findings
        ],
    }
    write_json(out / "findings.json", values)
    write_text(out / "findings.html", findings_page(manifest, findings, made))

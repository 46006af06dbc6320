"""Annotated joints of real studies as cached views, like the simulated ones."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.config import PipelineConfig, read_config
from facetgrade.errors import FacetGradeError, IngestError
from facetgrade.findings import JointFrame, Localization
from facetgrade.inference.device import choose_device
from facetgrade.inference.predictor import choose_precision, make_predictor
from facetgrade.inference.weights import load_weights
from facetgrade.ingest import Privacy, find_studies, load_study
from facetgrade.localize import locate_joints
from facetgrade.localize.joints import joint_frame
from facetgrade.report.atomic import write_text
from facetgrade.segment.patches import contrast_index, joint_grid, sample_series
from facetgrade.study import Study
from facetgrade.train.manifest import Manifest, ManifestRow
from facetgrade.train.masks import (
    Annotation,
    read_annotation,
    sample_covered,
    sample_lesions,
    sample_structures,
)
from facetgrade.train.segmenter_cases import disturbed_frame

NO_GRADE = -1
NEAR_MM = 20.0  # half the distance of two joints of one side
DONE = "done.json"
_PRIVACY = Privacy(key=bytes(32), keep_patient_id=False, mask_uids=True)

log = logging.getLogger(__name__)


class CaseError(FacetGradeError):
    """An annotated case cannot be used."""

    def __init__(self, row: ManifestRow, problem: str) -> None:
        self.row = row.number
        super().__init__(f"row {row.number} ({row.study}, {row.joint}): {problem}")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AnnotatedView:
    """One joint of one study on the segmenter's grid, with what each reader said.

    Attributes
    ----------
    stacks, contrasts : ndarray
        As in `JointView`.
    structures : (N, H, R, C) uint8 ndarray
        `Structure` labels of N readers.
    lesions : (N, 4, H, R, C) uint8 ndarray
        Fractions times 255.
    covered : (N, H, R, C) bool ndarray
        Where the reader's grids reach.
    known_structures, known_lesions : (N, 13) and (N, 4) bool ndarray
        What the reader looked for.
    grades : (N,) int8 ndarray
        Grade, or `NO_GRADE`.
    """

    stacks: NDArray[np.float16]
    contrasts: NDArray[np.uint8]
    structures: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    covered: NDArray[np.bool_]
    known_structures: NDArray[np.bool_]
    known_lesions: NDArray[np.bool_]
    grades: NDArray[np.int8]

    @property
    def size_mb(self) -> float:
        """Memory that the arrays take."""
        return float(sum(getattr(self, f.name).nbytes for f in fields(self))) / 1e6


def write_annotated(view: AnnotatedView, path: Path) -> None:
    """Write one view, uncompressed for fast reading."""
    arrays = {field.name: getattr(view, field.name) for field in fields(view)}
    np.savez(path, allow_pickle=False, **arrays)


def read_annotated(path: Path) -> AnnotatedView:
    """Read what `write_annotated` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        return AnnotatedView(**{f.name: kept[f.name] for f in fields(AnnotatedView)})


def prepare_annotated(
    manifest: Manifest,
    splits: Mapping[str, str],
    folder: Path,
    *,
    views: int,
    seed: int,
) -> dict[str, list[Path]]:
    """Cut the joints of a manifest out of their studies once and keep them.

    Parameters
    ----------
    manifest : Manifest
        The annotated cases.
    splits : mapping of str to str
        Split of each subject; studies of split ``test`` are not opened.
    folder : Path
        Receives a folder per study, named by all that decides its content.
    views : int
        Views of each joint, each with another error of its position.
    seed : int
        Seed of those errors.

    Returns
    -------
    dict of str to list of Path
        View files of ``train`` and ``validation``.

    Raises
    ------
    FacetGradeError
        If a study, a mask or a joint cannot be used; check-dataset says more.
    """
    paths: dict[str, list[Path]] = {"train": [], "validation": []}
    cutter: StudyReader | None = None
    for rows in by_study(manifest.rows):
        split = splits[rows[0].subject]
        if split not in paths:
            continue
        place = folder / _fingerprint(rows, views=views, seed=seed)
        if not (place / DONE).exists():
            cutter = cutter or StudyReader()
            place.mkdir(parents=True, exist_ok=True)
            names = _cut_study(cutter, rows, place, views=views, seed=seed)
            write_text(place / DONE, json.dumps(names))
            print(f"cut {rows[0].study}: {len(names)} views", flush=True)  # noqa: T201
        names = json.loads((place / DONE).read_text())
        paths[split] += [place / name for name in names]
    return paths


def by_study(rows: Sequence[ManifestRow]) -> Iterator[list[ManifestRow]]:
    """Yield the rows of each study."""
    studies: dict[tuple[str, tuple[Path, ...]], list[ManifestRow]] = {}
    for row in rows:
        studies.setdefault((row.study, row.sources), []).append(row)
    yield from studies.values()


class StudyReader:
    """Reads studies and locates their joints with the shipped localizer."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        self.config = config or read_config()
        device = choose_device("auto")
        network = load_weights(self.config.localize.weights, device)
        precision = choose_precision(self.config.inference.precision, device)
        self.localizer = make_predictor(network, precision)

    def read(self, row: ManifestRow) -> Study:
        """Read the study of a row.

        Raises
        ------
        CaseError
            If nothing, or more than one study, can be read.
        """
        missing = [path for path in row.sources if not path.exists()]
        if missing:
            raise CaseError(row, f"{missing[0]} does not exist")
        try:
            found = find_studies(*row.sources, settings=self.config.ingest)
            if len(found) != 1:
                raise CaseError(row, f"source holds {len(found)} studies, expected one")
            return load_study(found[0], self.config.ingest, _PRIVACY)
        except IngestError as error:
            raise CaseError(row, str(error)) from error

    def locate(self, study: Study) -> Localization:
        """Locate vertebrae and joints."""
        return locate_joints(study, self.localizer, self.config.localize)


def frame_of(
    row: ManifestRow, annotation: Annotation | None, found: Localization
) -> JointFrame:
    """Place a joint where its row, its mask or the localizer says.

    Raises
    ------
    CaseError
        If none of them says where it is.
    """
    center = annotation.center_lps_mm if annotation else None
    if row.center_lps_mm is not None:
        center = np.array(row.center_lps_mm)
    if center is None:
        for joint in found.joints:
            if (joint.level, joint.side) == (row.joint.level, row.joint.side):
                return joint.frame
        raise CaseError(row, "was not located; give x_mm, y_mm, z_mm")
    near = [
        (float(np.linalg.norm(joint.frame.center_lps_mm - center)), joint.frame.cranial)
        for joint in found.joints
    ]
    distance_mm, cranial = min(near, default=(np.inf, None), key=lambda pair: pair[0])
    if cranial is None or distance_mm > NEAR_MM:
        cranial = np.array([0.0, 0.0, 1.0])
    return joint_frame(center, cranial, row.joint.side)


def _fingerprint(rows: Sequence[ManifestRow], *, views: int, seed: int) -> str:
    """Hash what decides the views of a study; of images their names and sizes."""
    digest = hashlib.sha256(f"{views} {seed}".encode())
    for row in rows:
        digest.update(repr((row.joint, row.reader, row.grade, row.schemes)).encode())
        digest.update(repr((row.center_lps_mm, sorted(row.annotated))).encode())
        for mask in row.masks:
            digest.update(mask.read_bytes() if mask.exists() else b"missing")
    for source in rows[0].sources:
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            digest.update(f"{file.name} {file.stat().st_size}".encode())
    return digest.hexdigest()[:16]


def _number(row: ManifestRow) -> int:
    """Return a number for a joint of a study, wherever it stands in the manifest."""
    name = f"{row.study}\0{row.joint}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "big")


def _cut_study(
    cutter: StudyReader,
    rows: Sequence[ManifestRow],
    place: Path,
    *,
    views: int,
    seed: int,
) -> list[str]:
    """Write the views of all joints of a study."""
    study = cutter.read(rows[0])
    found = cutter.locate(study)
    joints: dict[FacetJoint, list[ManifestRow]] = {}
    for row in rows:
        joints.setdefault(row.joint, []).append(row)
    names = []
    for number, readers in enumerate(joints.values()):
        annotations = [read_annotation(row) for row in readers]
        frame = frame_of(readers[0], annotations[0], found)
        for view in range(views):
            rng = np.random.default_rng([seed, _number(readers[0]), view])
            moved = disturbed_frame(frame, rng) if view else frame
            name = f"joint{number}-view{view}.npz"
            cut = cut_view(study, moved, readers, annotations)
            write_annotated(cut, place / name)
            names.append(name)
    return names


def cut_view(
    study: Study,
    frame: JointFrame,
    rows: Sequence[ManifestRow],
    annotations: Sequence[Annotation | None],
) -> AnnotatedView:
    """Sample the series of a study and the masks of its readers on a joint's grid.

    Raises
    ------
    CaseError
        If no series reaches the joint.
    """
    grid = joint_grid(frame)
    stacks, contrasts = [], []
    for series in study.series:
        sampled = sample_series([stack.volume for stack in series.stacks], grid)
        if sampled is not None:
            stacks.append(sampled.astype(np.float16))
            contrasts.append(contrast_index(series.sequence))
    if not stacks:
        raise CaseError(rows[0], "no series reaches this joint")
    empty = Annotation(masks={}, geometries=(), known=frozenset())
    read = [annotation or empty for annotation in annotations]
    grades = [NO_GRADE if row.grade is None else row.grade for row in rows]
    return AnnotatedView(
        stacks=np.stack(stacks),
        contrasts=np.array(contrasts, np.uint8),
        structures=np.stack([sample_structures(one, grid) for one in read]),
        lesions=np.stack([sample_lesions(one, grid) for one in read]),
        covered=np.stack(
            [
                sample_covered(one, grid)
                if one.geometries
                else np.zeros(grid.shape, bool)
                for one in read
            ]
        ),
        known_structures=np.array(
            [[k in one.known for k in Structure] for one in read]
        ),
        known_lesions=np.array([[k in one.known for k in Lesion] for one in read]),
        grades=np.array(grades, np.int8),
    )

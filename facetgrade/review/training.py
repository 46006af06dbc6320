"""Edited masks as training data: NIfTI files and the manifest that `train` takes."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Lesion
from facetgrade.errors import OutputError
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.atomic import write_bytes
from facetgrade.report.nifti import lps_geometry
from facetgrade.review.errors import ReviewError
from facetgrade.review.records import Case, MaskRecord, ReadRecord, StudyRef
from facetgrade.review.store import Store

MANIFEST = "manifest.csv"
SCHEME = "lesions"
COLUMNS = (
    "subject",
    "study",
    "source",
    "level",
    "side",
    "mask",
    "labels",
    "annotated",
    "reader",
    "grade",
    "x_mm",
    "y_mm",
    "z_mm",
    "split",
)
_EDITED = (Lesion.EFFUSION, Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA)


def write_training_set(store: Store, out: Path, images: Sequence[Path]) -> Path:
    """Write the edited masks of locked reads, each reader's last one of a joint.

    Parameters
    ----------
    store : Store
        The review.
    out : Path
        Folder of ``manifest.csv`` and ``masks``.
    images : sequence of Path
        Folders from which the sources of the studies count.

    Returns
    -------
    Path
        The manifest. `split` is empty, so that `train` draws it by patient.

    Raises
    ------
    ReviewError
        If no mask was edited, or the images of a study are not found.
    """
    reads = store.current_reads()
    cases = {case.case_id: case for case in store.cases()}
    rows = []
    for mask in _last_masks(store.masks(), reads):
        path = out / "masks" / f"{mask.mask_id}.nii.gz"
        write_bytes(path, mask.nifti)
        rows.append(_row(mask, cases[mask.case_id], reads, path, out, images))
    if not rows:
        raise ReviewError("no locked read has an edited mask; nothing to export")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(out / MANIFEST, text.getvalue().encode())
    return out / MANIFEST


def decode_mask(nifti: bytes) -> tuple[NDArray[np.uint8], VolumeGeometry]:
    """Return codes (H, R, C) and grid of a stored mask."""
    import nibabel

    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(nifti))
    voxels = np.asarray(image.dataobj, np.uint8).transpose(2, 1, 0)
    return voxels, lps_geometry(np.asarray(image.affine, np.float64), voxels.shape)


def _last_masks(
    masks: Iterable[MaskRecord], reads: Iterable[ReadRecord]
) -> list[MaskRecord]:
    """Keep the last mask of each joint, slot and item, if its read is locked."""
    locked = {(read.submission.item_id, read.joint) for read in reads}
    last = {
        (mask.item_id, mask.joint, mask.slot): mask
        for mask in masks
        if (mask.item_id, mask.joint) in locked
    }
    return list(last.values())


def _row(
    mask: MaskRecord,
    case: Case,
    reads: Iterable[ReadRecord],
    path: Path,
    out: Path,
    images: Sequence[Path],
) -> dict[str, str]:
    """Write the row of one mask."""
    voxels, geometry = decode_mask(mask.nifti)
    study = next(one for one in case.studies if one.visit is mask.visit)
    x_mm, y_mm, z_mm = geometry.center_lps_mm
    looked_for = [lesion.value for lesion in _EDITED]
    if (voxels == 1 + list(Lesion).index(Lesion.CYST)).any():
        looked_for.append(Lesion.CYST.value)
    return {
        "subject": case.patient,
        "study": study.source,
        "source": _source(study, out, images),
        "level": mask.joint.level.value,
        "side": mask.joint.side.value,
        "mask": path.relative_to(out).as_posix(),
        "labels": SCHEME,
        "annotated": ";".join(looked_for),
        "reader": mask.reader,
        "grade": _grade(mask, reads),
        "x_mm": f"{x_mm:.3f}",
        "y_mm": f"{y_mm:.3f}",
        "z_mm": f"{z_mm:.3f}",
        "split": "",
    }


def _source(study: StudyRef, out: Path, images: Sequence[Path]) -> str:
    """Return where the images of a study are, counted from the manifest."""
    for root in images:
        for place in (root / study.source, root):
            if place.exists() and (place != root or root.name == study.source):
                return _relative(place, out)
    places = ", ".join(str(root) for root in images) or "nowhere"
    raise ReviewError(
        f"{study.source}: its images are not found (looked in {places}); name with "
        "--images the folder that was graded"
    )


def _relative(place: Path, out: Path) -> str:
    """Write a path as the manifest wants it; ; separates images there."""
    path = Path(os.path.relpath(place.resolve(), out.resolve())).as_posix()
    if ";" in path:
        raise OutputError(f"{place}: a manifest cannot name a path with a semicolon")
    return path


def _grade(mask: MaskRecord, reads: Iterable[ReadRecord]) -> str:
    """Return the grade that the reader of a mask gave the joint at that visit."""
    for read in reads:
        if read.submission.item_id == mask.item_id and read.joint == mask.joint:
            grade = read.finding_at(mask.visit).grade
            return "" if grade is None else str(grade)
    return ""

"""First annotations: images and proposed masks for 3D Slicer and ITK-SNAP."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.errors import IngestError
from facetgrade.findings import Outcome
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.report.atomic import write_bytes, write_text
from facetgrade.report.nifti import (
    LabelMap,
    lesion_label,
    lesion_map,
    nifti_bytes,
    structure_label,
    structure_map,
)
from facetgrade.study import Plane, Series, Study
from facetgrade.train.manifest import COLUMNS

MANIFEST, LABELS = "cases.csv", "labels.tsv"
ITKSNAP, SLICER = "itksnap_labels.txt", "slicer_colors.ctbl"
_COLORS: dict[Structure | Lesion, tuple[int, int, int]] = {
    Structure.SUPERIOR_ARTICULAR_PROCESS: (240, 180, 41),
    Structure.INFERIOR_ARTICULAR_PROCESS: (222, 145, 29),
    Structure.JOINT_SPACE: (43, 176, 237),
    Structure.CAPSULE: (101, 214, 173),
    Structure.LIGAMENTUM_FLAVUM: (247, 208, 112),
    Structure.FORAMEN: (130, 154, 177),
    Structure.PEDICLE: (203, 110, 23),
    Structure.TRANSVERSE_PROCESS: (180, 77, 18),
    Structure.VERTEBRAL_BODY: (141, 43, 11),
    Structure.LAMINA: (250, 219, 95),
    Structure.CANAL: (64, 195, 247),
    Structure.DISC: (87, 74, 226),
    Lesion.EFFUSION: (0, 229, 255),
    Lesion.SOFT_TISSUE_EDEMA: (225, 45, 57),
    Lesion.MARROW_EDEMA: (218, 18, 125),
    Lesion.CYST: (124, 58, 237),
}
_ITKSNAP_HEAD = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
"""


def export_annotation(
    study: Study,
    outcomes: Sequence[Outcome],
    folder: Path,
    *,
    source: Path,
    reader: str,
) -> list[Path]:
    """Write images, proposed masks, label tables and the manifest that reads them back.

    The masks lie on one fat-suppressed series, the axial one if there is one; the
    other images lie in the same patient space and can be shown beside it.

    Parameters
    ----------
    study : Study
        The images.
    outcomes : sequence of Graded or Ungradable
        Proposed outlines; joints without any are left out.
    folder : Path
        Receives the files.
    source : Path
        Where the study was read from, for the manifest.
    reader : str
        Who will correct the proposals.

    Returns
    -------
    list of Path
        The files; the last one is the manifest.

    Raises
    ------
    IngestError
        If the study has no fat-suppressed series, or no joint was outlined.
    """
    chosen = choose_series(study)
    drawn = [outcome for outcome in outcomes if outcome.masks is not None]
    if chosen is None or not drawn:
        what = "fat-suppressed series" if chosen is None else "joint that was outlined"
        raise IngestError(f"{study.source}: has no {what}, so nothing can be proposed")
    written = [
        _write_image(folder, number, k, series, stack.volume)
        for number, series in enumerate(study.series, start=1)
        for k, stack in enumerate(series.stacks, start=1)
    ]
    masks: list[Path] = []
    number = 1 + list(study.series).index(chosen)
    for k, stack in enumerate(chosen.stacks, start=1):
        masks += _write_masks(
            folder, _stem(number, k, chosen), stack.volume.geometry, drawn
        )
    joints = [outcome.joint for outcome in drawn]
    tables = {
        LABELS: label_table(joints),
        ITKSNAP: itksnap_labels(joints),
        SLICER: slicer_colors(joints),
        MANIFEST: _manifest(study, joints, masks, source, reader),
    }
    for name, text in tables.items():
        write_text(folder / name, text)
    return [*written, *masks, *(folder / name for name in tables)]


def choose_series(study: Study) -> Series | None:
    """Choose the series to draw on: fat-suppressed, axial before sagittal."""
    able = [one for one in study.series if one.sequence.shows_edema]
    return min(able, key=lambda one: one.plane is not Plane.AXIAL, default=None)


def named_labels(
    joints: Iterable[FacetJoint],
) -> list[tuple[int, FacetJoint, Structure | Lesion]]:
    """Return number, joint and kind of every label, by number."""
    labels: list[tuple[int, FacetJoint, Structure | Lesion]] = []
    for joint in sorted(joints):
        for structure in Structure:
            if structure is not Structure.SOFT_TISSUE:
                labels.append((structure_label(joint, structure), joint, structure))
        labels += [(lesion_label(joint, lesion), joint, lesion) for lesion in Lesion]
    return labels


def label_table(joints: Iterable[FacetJoint]) -> str:
    """Write what each number means, tab separated."""
    lines = ["label\tlevel\tside\tkind\tname"]
    for label, joint, kind in named_labels(joints):
        group = "structure" if isinstance(kind, Structure) else "lesion"
        place = f"{joint.level.value}\t{joint.side.value}"
        lines.append(f"{label}\t{place}\t{group}\t{_name(kind)}")
    return "\n".join(lines) + "\n"


def itksnap_labels(joints: Iterable[FacetJoint]) -> str:
    """Write a label description file of ITK-SNAP."""
    lines = ['    0     0    0    0        0  0  0    "Clear Label"']
    for label, joint, kind in named_labels(joints):
        red, green, blue = _COLORS[kind]
        lines.append(
            f"{label:5d} {red:5d}{green:5d}{blue:5d}        1  1  1    "
            f'"{joint} {_name(kind)}"'
        )
    return _ITKSNAP_HEAD + "\n".join(lines) + "\n"


def slicer_colors(joints: Iterable[FacetJoint]) -> str:
    """Write a color table of 3D Slicer, which names the segments of a label map."""
    lines = ["# Color table of 3D Slicer: number name red green blue opacity"]
    lines.append("0 background 0 0 0 0")
    for label, joint, kind in named_labels(joints):
        red, green, blue = _COLORS[kind]
        name = f"{joint.level}_{joint.side}_{_name(kind)}"
        lines.append(f"{label} {name} {red} {green} {blue} 255")
    return "\n".join(lines) + "\n"


def _name(kind: Structure | Lesion) -> str:
    """Return the name of a kind in label tables."""
    return kind.name.lower() if isinstance(kind, Structure) else kind.value


def _stem(number: int, k: int, series: Series) -> str:
    """Return the beginning of the file names of a stack."""
    stem = f"{number:02d}_{series.sequence.value}_{series.plane.value}"
    return f"{stem}_stack{k}" if len(series.stacks) > 1 else stem


def _write_image(
    folder: Path, number: int, k: int, series: Series, volume: Volume
) -> Path:
    """Write the images of one stack."""
    path = folder / f"{_stem(number, k, series)}.nii.gz"
    voxels = cast(Any, np.asarray(volume.voxels, np.float32))
    write_bytes(path, nifti_bytes(LabelMap(geometry=volume.geometry, voxels=voxels)))
    return path


def _write_masks(
    folder: Path, stem: str, geometry: VolumeGeometry, outcomes: Sequence[Outcome]
) -> list[Path]:
    """Write structures and lesions of all joints on the grid of a stack."""
    paths = []
    for kind, draw in (("structures", structure_map), ("lesions", lesion_map)):
        drawn = draw(geometry, outcomes)
        empty = np.zeros(geometry.shape, np.uint8)
        label_map = drawn or LabelMap(geometry=geometry, voxels=empty)
        paths.append(folder / f"{stem}_{kind}_seg.nii.gz")
        write_bytes(paths[-1], nifti_bytes(label_map))
    return paths


def _manifest(
    study: Study,
    joints: Iterable[FacetJoint],
    masks: Sequence[Path],
    source: Path,
    reader: str,
) -> str:
    """Write the manifest: one row for each joint."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for joint in sorted(joints):
        writer.writerow(
            {
                "subject": study.subject or study.uid,
                "study": study.uid,
                "source": str(source.absolute()),
                "level": joint.level.value,
                "side": joint.side.value,
                "mask": ";".join(path.name for path in masks),
                "labels": "study",
                "reader": reader,
            }
        )
    return stream.getvalue()

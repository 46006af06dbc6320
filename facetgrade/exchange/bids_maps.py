"""Maps of one graded study under the names that BIDS gives them."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side
from facetgrade.errors import OutputError
from facetgrade.exchange.bids_names import Visit, label
from facetgrade.exchange.bids_tables import joint_index, joints_table
from facetgrade.report.nifti import (
    LABELS_PER_JOINT,
    LabelMap,
    lps_geometry,
    nifti_bytes,
)
from facetgrade.report.probabilities import KEY as PROBABILITIES

Record = Mapping[str, Any]

_STACK = re.compile(r"_stack(\d+)_")
_JOINT_FILE = re.compile(
    r"joint_(?P<level>L\d-[LS]\d)_(?P<side>left|right)_"
    r"(?:(?P<kind>structures|lesions)|(?P<lesion>\w+)_probability)_seg\.nii\.gz$"
)


@dataclass(frozen=True, slots=True)
class BidsFile:
    """One file of the dataset.

    Attributes
    ----------
    name : str
        Relative to the dataset.
    content : bytes
        All of it.
    """

    name: str
    content: bytes


def study_files(folder: Path, record: Record, visit: Visit) -> Iterator[BidsFile]:
    """Yield the maps and the table of joints of one study.

    Parameters
    ----------
    folder : Path
        Folder of the study, holding study.json.
    record : mapping
        Content of study.json.
    visit : Visit
        Names of participant and session.

    Raises
    ------
    OutputError
        If a mask that study.json names is missing or damaged.
    """
    yield from _series_files(folder, record, visit)
    yield from _joint_files(folder, record, visit)
    name = f"{visit.folder}/{visit.stem}_desc-joints_dseg.tsv"
    yield BidsFile(name, joints_table(record["table"]).encode())


def json_bytes(value: Any) -> bytes:
    """Encode a JSON file."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _series_files(folder: Path, record: Record, visit: Visit) -> Iterator[BidsFile]:
    """Yield the maps on the grids of the series."""
    kinds = Counter(_acquisition(series) for series in record["series_used"])
    counted: Counter[str] = Counter()
    for series in record["series_used"]:
        acquisition = _acquisition(series)
        counted[acquisition] += 1
        stem = f"{visit.folder}/{visit.stem}_acq-{acquisition}"
        if kinds[acquisition] > 1:
            stem += f"_run-{counted[acquisition]}"
        maps = _stack_maps(folder, record["files"].get(series["uid"], ()))
        for chunk, contents in maps.items():
            start = f"{stem}_chunk-{chunk}" if chunk else stem
            about = {"SourceSeries": series["uid"], "SpatialReference": "orig"}
            yield from _described_maps(start, contents, about)


def _stack_maps(folder: Path, names: list[str]) -> dict[str, dict[str, bytes]]:
    """Read the maps of a series by number of the stack and kind."""
    maps: dict[str, dict[str, bytes]] = {}
    for name in names:
        found = _STACK.search(name)
        kind = "structures" if "_structures_" in name else "lesions"
        maps.setdefault(found[1] if found else "", {})[kind] = _read(folder / name)
    return {chunk: one | {"joints": _joint_map(one)} for chunk, one in maps.items()}


def _described_maps(
    start: str, contents: Mapping[str, bytes], about: Record
) -> Iterator[BidsFile]:
    """Yield label maps with their sidecars."""
    for kind, content in contents.items():
        stem = f"{start}_desc-{kind}_dseg"
        text = f"Facet joints: {kind}, numbers as in desc-{kind}_dseg.tsv"
        yield BidsFile(f"{stem}.nii.gz", content)
        sidecar = {"Description": text, "Manual": False, **about}
        yield BidsFile(f"{stem}.json", json_bytes(sidecar))


def _joint_map(maps: Mapping[str, bytes]) -> bytes:
    """Say for every voxel to which joint its structure or lesion belongs."""
    found: LabelMap | None = None
    for content in maps.values():
        one = _decoded(content)
        owner = -(-one.voxels.astype(np.int16) // LABELS_PER_JOINT)
        if found is not None:
            owner = np.where(found.voxels > 0, found.voxels, owner)
        found = LabelMap(geometry=one.geometry, voxels=owner.astype(np.uint8))
    if found is None:
        raise ValueError("a series without maps has no map of joints")
    return nifti_bytes(found)


def _decoded(content: bytes) -> LabelMap:
    """Decode a label map that facetgrade wrote."""
    import nibabel

    image: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    voxels = np.asarray(image.dataobj, np.uint8).transpose(2, 1, 0)
    geometry = lps_geometry(np.asarray(image.affine, float), voxels.shape)
    return LabelMap(geometry=geometry, voxels=voxels)


def _joint_files(folder: Path, record: Record, visit: Visit) -> Iterator[BidsFile]:
    """Yield the maps on the joints' own grids."""
    names = [
        *record["files"].get("joints", ()),
        *record["files"].get(PROBABILITIES, ()),
    ]
    for name in names:
        match = _JOINT_FILE.search(name)
        if match is None:
            continue
        joint = FacetJoint(Level(match["level"]), Side(match["side"]))
        start = f"{visit.stem}_space-{label(str(joint))}"
        reference = f"{visit.folder}/{start}_desc-structures_dseg.nii.gz"
        about = {
            "SpatialReference": f"bids::{reference}",
            "JointIndex": joint_index(joint),
        }
        content = _read(folder / name)
        if match["kind"]:
            place = f"{visit.folder}/{start}"
            yield from _described_maps(place, {match["kind"]: content}, about)
            continue
        lesion = Lesion(match["lesion"])
        stem = f"{visit.folder}/{start}_label-{_camel(lesion)}_probseg"
        text = f"Probability of {lesion.value.replace('_', ' ')} at {joint}"
        yield BidsFile(f"{stem}.nii.gz", content)
        sidecar = {"Description": text, "Manual": False, **about}
        yield BidsFile(f"{stem}.json", json_bytes(sidecar))


def _camel(lesion: Lesion) -> str:
    """Write the name of a lesion as a label."""
    first, *rest = lesion.value.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _acquisition(series: Record) -> str:
    """Name plane and contrast of a series as a label, such as ``sagittalT2fs``."""
    return label(series["plane"]) + label(series["sequence"])


def _read(path: Path) -> bytes:
    """Read a mask.

    Raises
    ------
    OutputError
        If it is not there.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be read ({error.strerror}); grade the study again"
        ) from error

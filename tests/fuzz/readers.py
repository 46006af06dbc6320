"""Readers of foreign bytes, each called with a few bytes in place of a file.

A reader may refuse what it is given with an error of facetgrade or a sentence; anything
else that leaves these functions is a bug.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from facetgrade.config import PipelineConfig, check_settings, merge, read_config
from facetgrade.config_files import read_toml
from facetgrade.errors import FacetGradeError
from facetgrade.inference import find_model
from facetgrade.ingest import IngestSettings, Privacy, load_study, scan_inputs
from facetgrade.ingest.archive import SourceFile, list_members, read_files
from facetgrade.ingest.dicom import (
    classic_frame,
    read_dataset,
    read_header,
    stored_pixels,
)
from facetgrade.ingest.elements import quiet
from facetgrade.ingest.enhanced import enhanced_frames, is_multi_frame
from facetgrade.train.manifest import read_manifest

Reader = Callable[[Path, bytes], None]

CONFIG = read_config()
VALUES = CONFIG.model_dump(mode="json")
PRIVACY = Privacy(key=b"k" * 32, keep_patient_id=False, mask_uids=False)
SMALL: IngestSettings = CONFIG.ingest.model_copy(
    update={
        "archive": CONFIG.ingest.archive.model_copy(
            update={"max_total_mb": 100.0, "max_entries": 1000}
        ),
        "nifti": CONFIG.ingest.nifti.model_copy(update={"max_unpacked_mb": 100.0}),
    }
)


def read_dicom(folder: Path, content: bytes) -> None:
    """Read one file beside two good slices that the folder may hold."""
    _read_studies(folder, "fuzzed.dcm", content)


def read_dicom_file(folder: Path, content: bytes) -> None:
    """Read header, frames and pixels of one file that never touches the disk."""
    source = SourceFile(path=folder / "fuzzed.dcm")
    with quiet():
        try:
            read_header(BytesIO(content))
            dataset = read_dataset(content)
            if is_multi_frame(dataset):
                enhanced_frames(dataset, source)
            else:
                classic_frame(dataset, source)
            stored_pixels(dataset)
        except FacetGradeError:
            return


def read_dicomdir(folder: Path, content: bytes) -> None:
    """Read a table of contents."""
    _read_studies(folder, "DICOMDIR", content, alone=True)


def read_zip(folder: Path, content: bytes) -> None:
    """List and read a zip archive."""
    _read_archive(folder / "fuzzed.zip", content)


def read_tar(folder: Path, content: bytes) -> None:
    """List and read a plain or compressed tar archive."""
    _read_archive(folder / "fuzzed.tar", content)


def read_nifti(folder: Path, content: bytes) -> None:
    """Read a NIfTI volume, compressed or not."""
    _read_studies(folder, "fuzzed.nii", content, alone=True)


def read_sidecar(folder: Path, content: bytes) -> None:
    """Read the JSON file beside a NIfTI volume that the folder holds."""
    _read_studies(folder, "volume.json", content)


def read_changed_config(folder: Path, content: bytes) -> None:
    """Read a user's configuration and merge it into the shipped one."""
    path = _put(folder, "fuzzed.toml", content)
    try:
        check_settings(merge(VALUES, read_toml(path)), PipelineConfig, path)
    except FacetGradeError:
        return


def read_model_manifest(folder: Path, content: bytes) -> None:
    """Look a model up in a manifest."""
    _put(folder, "manifest.toml", content)
    try:
        find_model(f"{folder}/tiny")
    except FacetGradeError:
        return


def read_csv_manifest(folder: Path, content: bytes) -> None:
    """Read a table of training cases."""
    _read_manifest(_put(folder, "fuzzed.csv", content))


def read_json_manifest(folder: Path, content: bytes) -> None:
    """Read training cases written as JSON."""
    _read_manifest(_put(folder, "fuzzed.json", content))


READERS: dict[str, Reader] = {
    "dicom": read_dicom,
    "dicom-file": read_dicom_file,
    "dicomdir": read_dicomdir,
    "zip": read_zip,
    "tar": read_tar,
    "nifti": read_nifti,
    "sidecar": read_sidecar,
    "config": read_changed_config,
    "model-manifest": read_model_manifest,
    "csv-manifest": read_csv_manifest,
    "json-manifest": read_json_manifest,
}


def _read_studies(
    folder: Path, name: str, content: bytes, *, alone: bool = False
) -> None:
    """Find and load whatever studies there are."""
    path = _put(folder, name, content)
    try:
        for files in scan_inputs([path if alone else folder], SMALL).studies:
            _load(files)
    except FacetGradeError:
        return


def _load(files: object) -> None:
    """Load a study, or be told why not."""
    try:
        load_study(files, SMALL, PRIVACY)
    except FacetGradeError:
        return


def _read_archive(path: Path, content: bytes) -> None:
    """List an archive and read its members."""
    path.write_bytes(content)
    try:
        files, _ = list_members(path, SMALL.archive)
    except FacetGradeError:
        return
    for _ in read_files(files):
        pass


def _read_manifest(path: Path) -> None:
    """Read a manifest, or be told why not."""
    try:
        read_manifest(path)
    except FacetGradeError:
        return


def _put(folder: Path, name: str, content: bytes) -> Path:
    """Write the bytes where the reader looks for them."""
    path = folder / name
    path.write_bytes(content)
    return path

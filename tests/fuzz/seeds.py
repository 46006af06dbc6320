"""Seeds of the fuzz tests: small good files, from a tiny simulated study."""

from __future__ import annotations

import gc
import gzip
import io
import json
import tarfile
import warnings
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import nibabel
import numpy as np
from pydicom.fileset import FileSet

from facetgrade.config_files import shipped_path
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    draw_patient,
    new_uid,
    write_series,
)
from tests.simulate.acquired import IMPERFECTIONS, PROTOCOL

SHAPE = (3, 32, 34)  # JPEG 2000 wants 32 or more
SYNTAXES = ("explicit", "rle", "jpeg-ls", "jpeg-2000")
ROW = {
    "subject": "p1",
    "source": "study",
    "level": "L3-L4",
    "side": "left",
    "grade": "2",
    "x_mm": "1.5",
}


def write_seeds(folder: Path, name: str) -> list[bytes]:
    """Make the seeds of one reader of `readers.READERS`.

    Parameters
    ----------
    folder : Path
        Empty; afterwards it holds what the reader finds beside the fuzzed file.
    name : str
        Name of the reader.
    """
    if name in ("dicom", "dicom-file", "dicomdir", "zip", "tar"):
        slices = _dicom_files(folder / "made")
        return _dicom_seeds(folder, name, slices)
    if name in ("nifti", "sidecar"):
        return _nifti_seeds(folder, name)
    if name in ("config", "model-manifest"):
        return _toml_seeds(name)
    return _manifest_seeds(name)


def _dicom_seeds(folder: Path, name: str, slices: list[Path]) -> list[bytes]:
    """Return files as they are, listed by a DICOMDIR, or packed."""
    contents = [path.read_bytes() for path in slices]
    if name in ("dicom", "dicom-file"):
        seeds = contents
    elif name == "dicomdir":
        seeds = [_dicomdir(folder / "medium", slices[:3])]
    elif name == "zip":
        seeds = [_zip(contents[:2], method) for method in (0, zipfile.ZIP_DEFLATED)]
    else:
        seeds = [_tar(contents[:2], mode) for mode in ("w", "w:gz", "w:bz2", "w:xz")]
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    if name == "dicom":
        for k, content in enumerate(contents[1:3]):
            (folder / f"good{k}.dcm").write_bytes(content)
    return seeds


def _dicomdir(folder: Path, slices: list[Path]) -> bytes:
    """List files in a DICOMDIR; pydicom leaves a temporary folder to the collector."""
    listed = FileSet()
    for path in slices:
        listed.add(path)
    listed.write(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del listed
        gc.collect()
    return (folder / "DICOMDIR").read_bytes()


def _dicom_files(folder: Path) -> list[Path]:
    """Write one tiny series for each vendor habit and transfer syntax."""
    rng = np.random.default_rng(1)
    series = _series(rng)
    paths: list[Path] = []
    for habit in Habit:
        for syntax in SYNTAXES if habit is Habit.SIEMENS else SYNTAXES[:1]:
            examination = Examination(
                patient=draw_patient(1, rng),
                study_uid="1.2.3",
                frame_of_reference_uid="1.2.4",
                study_date=date(2021, 5, 4),
                hour=9,
                habit=habit,
                transfer_syntax=syntax,
            )
            place = folder / f"{habit}-{syntax}"
            written = sorted(write_series(place, series, examination, rng))
            paths += written[: 3 if not paths else 1]
    return paths


def _series(rng: np.random.Generator) -> AcquiredSeries:
    """Acquire nothing but a ramp."""
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=(-40.0, 12.0, 7.0),
        axes=np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        spacing_mm=(4.4, 0.7, 0.7),
        shape=SHAPE,
    )
    ramp = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    protocol = replace(PROTOCOL, matrix=SHAPE[2], slices=SHAPE[0])
    return AcquiredSeries(
        number=6,
        uid=new_uid(rng),
        protocol=protocol,
        imperfections=IMPERFECTIONS,
        volumes=(Volume(geometry=geometry, voxels=ramp),),
    )


def _zip(contents: list[bytes], method: int) -> bytes:
    """Pack files into a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for k, content in enumerate(contents):
            archive.writestr(f"study/{k}.dcm", content)
    return packed.getvalue()


def _tar(contents: list[bytes], mode: str) -> bytes:
    """Pack files into a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for k, content in enumerate(contents):
            member = tarfile.TarInfo(f"study/{k}.dcm")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _nifti_seeds(folder: Path, name: str) -> list[bytes]:
    """Return volumes, or the JSON beside one."""
    ramp = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    affine = np.diag([4.0, 0.7, 0.7, 1.0])
    volume = nibabel.Nifti1Image(ramp, affine).to_bytes()
    if name == "nifti":
        scaled = nibabel.Nifti1Image(ramp.astype(np.float32), affine).to_bytes()
        return [volume, scaled, gzip.compress(volume)]
    (folder / "volume.nii").write_bytes(volume)
    sidecar = {
        "Modality": "MR",
        "RepetitionTime": 4.0,
        "EchoTime": 0.07,
        "SeriesDescription": "STIR",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientID": "p",
    }
    return [json.dumps(sidecar).encode()]


def _toml_seeds(name: str) -> list[bytes]:
    """Return shipped files in the form that users write."""
    if name == "config":
        return [
            shipped_path("configs/pipeline.toml").read_bytes(),
            b'[grade.measure.perimeter]\ncombine = "worst_plane"\n',
            b"[ingest.archive]\nmax_entries = 3\n",
        ]
    return [
        b'[tiny]\nfile = "tiny.safetensors"\nsha256 = "00"\nlicense = "Apache-2.0"\n'
        b'input = "x"\narchitecture = "spine-localizer"\nsizes = { ranks = 2 }\n',
        shipped_path("models/manifest.toml").read_bytes(),
    ]


def _manifest_seeds(name: str) -> list[bytes]:
    """Return a manifest of one case."""
    if name == "json-manifest":
        return [json.dumps([ROW]).encode()]
    return ["\n".join([",".join(ROW), ",".join(ROW.values())]).encode()]

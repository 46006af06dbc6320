"""Compare geometry and voxels of DICOM studies with dcm2niix, stack by stack.

    python scripts/compare_with_dcm2niix.py FOLDER... --out comparison.tsv

dcm2niix is called with ``-p n``: values by the rescale slope, as facetgrade has them.
It cannot decode compressed multi-frame images (it warns of fragments), so that pydicom
decompresses these for it.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from facetgrade.ingest import Privacy, find_studies, load_study, shipped_settings
from facetgrade.ingest.files import StudyFiles
from facetgrade.report.nifti import ras_affine
from facetgrade.study import Stack

COLUMNS = (
    "study",
    "maker",
    "series",
    "stack",
    "shape",
    "affine_mm",
    "voxels",
    "verdict",
)
AFFINE_LIMIT_MM = 1e-3
RELATIVE_LIMIT = 1e-6
_PRIVACY = Privacy(key=bytes(32), keep_patient_id=False, mask_uids=False)


def main() -> None:
    """Compare all studies of the folders and write one line for each stack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines = ["\t".join(COLUMNS)]
    settings = shipped_settings()
    for folder in options.folders:
        for files in find_studies(folder, settings=settings):
            for row in compare_study(files):
                lines.append("\t".join(map(str, row)))
                print(lines[-1], flush=True)
            options.out.write_text("\n".join(lines) + "\n")


def compare_study(files: StudyFiles) -> list[tuple[object, ...]]:
    """Compare every stack of one study; one row as in `COLUMNS` for each."""
    study = load_study(files, shipped_settings(), _PRIVACY)
    place = Path(files.files[0].path).parents
    folder = next(p for p in place if p.name == "dicom")
    name, rows = _short_name(folder), []
    with TemporaryDirectory() as out:
        images = convert(folder, Path(out))
        for number, series in enumerate(study.series, start=1):
            for k, stack in enumerate(series.stacks, start=1):
                affine_mm, voxels = differences(stack, images)
                good = affine_mm < AFFINE_LIMIT_MM and voxels <= RELATIVE_LIMIT
                what = f"{number} {series.plane.value} {series.sequence.value}"
                shape = "x".join(map(str, stack.volume.geometry.shape))
                row = (name, maker(folder), what, k, shape)
                numbers = (f"{affine_mm:.1e}", f"{voxels:.1e}")
                rows.append((*row, *numbers, "equal" if good else "different"))
    return rows


def maker(folder: Path) -> str:
    """Name the manufacturer of the first file and whether it is multi-frame."""
    from pydicom import dcmread

    first = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    header = dcmread(first, stop_before_pixels=True)
    enhanced = " enhanced" if "PerFrameFunctionalGroupsSequence" in header else ""
    return f"{header.get('Manufacturer', '') or 'stripped'}{enhanced}"


def convert(folder: Path, out: Path) -> list[Any]:
    """Convert every stack of a folder with dcm2niix."""
    plain = out / "plain"
    plain.mkdir(parents=True)
    compressed = _decompress_multi_frame(folder, plain)
    command = ["dcm2niix", "-p", "n", "-b", "n", "-z", "n", "-f", "%s", "-o", out]
    source = plain if compressed else folder
    subprocess.run([*command, source], check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(out.glob("*.nii"))]


def differences(stack: Stack, images: list[Any]) -> tuple[float, float]:
    """Compare a stack with the image that covers the same voxels, in whatever order.

    Returns
    -------
    float, float
        Largest difference of the affines in mm, and of voxels relative to the largest
        value; infinite unless exactly one image fits.
    """
    fitting = [image for image in images if is_same_grid(stack, image)]
    found = [(affine_mm(stack, one), voxels(stack, one)) for one in fitting]
    close = [pair for pair in found if pair[1] <= RELATIVE_LIMIT] or found
    return close[0] if close else (np.inf, np.inf)


def is_same_grid(stack: Stack, image: Any) -> bool:
    """Tell whether both cover the same voxels."""
    if sorted(image.shape) != sorted(stack.volume.geometry.shape):
        return False
    steps = _steps(stack, image)
    first = steps @ [0, 0, 0, 1]
    last = steps @ [*(n - 1 for n in stack.volume.geometry.shape[::-1]), 1]
    corners = np.stack([first, last])[:, :3]
    inside = (corners > -0.5) & (corners < np.array(image.shape) - 0.5)
    return bool(inside.all() and np.abs(steps - np.rint(steps)).max() < 0.1)


def affine_mm(stack: Stack, image: Any) -> float:
    """Measure how far the affines differ once axes are put in the same order."""
    steps = np.rint(_steps(stack, image))
    difference = image.affine @ steps - ras_affine(stack.volume.geometry)
    return float(np.abs(difference).max())


def voxels(stack: Stack, image: Any) -> float:
    """Measure how far voxels differ, relative to the largest value."""
    steps = np.rint(_steps(stack, image)).astype(int)
    index = np.indices(stack.volume.geometry.shape).reshape(3, -1)[::-1]
    there = steps[:3, :3] @ index + steps[:3, 3:]
    values = np.asarray(image.dataobj, np.float64)[tuple(there)]
    own = stack.volume.voxels.astype(np.float64).ravel()
    return float(np.abs(values - own).max() / max(np.abs(own).max(), 1.0))


def _decompress_multi_frame(folder: Path, out: Path) -> bool:
    """Write decompressed copies of multi-frame images; tell whether there are any."""
    from pydicom import dcmread

    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    header = dcmread(paths[0], stop_before_pixels=True)
    syntax = header.file_meta.TransferSyntaxUID
    if "NumberOfFrames" not in header or not syntax.is_compressed:
        return False
    for number, path in enumerate(paths):
        dataset = dcmread(path)
        dataset.decompress(generate_instance_uid=False)
        dataset.save_as(out / f"{number}.dcm")
    return True


def _short_name(folder: Path) -> str:
    """Name a study by its folder and the one above, without hashes."""
    above = folder.parents[1].name.split("-")[0]
    return f"{above}/{folder.parent.name}"


def _steps(stack: Stack, image: Any) -> NDArray[np.float64]:
    """Map indices (column, row, slice) of a stack to those of an image."""
    steps: NDArray[np.float64]
    steps = np.linalg.inv(image.affine) @ ras_affine(stack.volume.geometry)
    return steps


if __name__ == "__main__":
    main()

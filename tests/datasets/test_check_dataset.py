"""Plant faults into copies of the sample studies and find each of them."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from facetgrade.anatomy import Lesion, Structure
from facetgrade.datasets import FindingKind, check_dataset
from facetgrade.datasets.mask_checks import isolated_share
from facetgrade.geometry import Mask, VolumeGeometry

SAMPLES = Path(__file__).parents[2] / "data_samples"
COLUMNS = [
    *("subject", "study", "source", "level", "side"),
    *("mask", "labels", "reader", "grade", "split"),
]
A, B, C, D = (
    "sim-0001_baseline",
    "sim-0001_followup",
    "sim-0002_baseline",
    "sim-0002_followup",
)
STIR, AXIAL = "0004", "0005"


def copy_series(study, target, series=STIR):
    """Copy one series of a sample study."""
    target.mkdir(parents=True)
    for path in sorted((SAMPLES / study / "dicom").glob(f"*.{series}.*")):
        shutil.copy(path, target / path.name)
    return target


def invert(folder):
    """Turn the gray scale of all images over."""
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        pixels = image.pixel_array
        image.decompress()
        image.PixelData = (pixels.max() - pixels).astype(pixels.dtype).tobytes()
        image.save_as(path)


def keep_every_other_slice(folder):
    """Remove every second image."""
    for path in sorted(folder.iterdir())[1::2]:
        path.unlink()


def edit(folder, name, joint, change):
    """Write a changed copy of the structures of a joint of study A."""
    image = nibabel.load(SAMPLES / A / "truth" / f"{joint}_structures.nii.gz")
    voxels, affine = change(np.asarray(image.dataobj).copy(), image.affine.copy())
    path = folder / f"{name}.nii.gz"
    nibabel.Nifti1Image(voxels, affine).to_filename(path)
    return str(path)


def shifted(mm):
    """Move a mask backward: RAS y falls."""

    def change(voxels, affine):
        affine[1, 3] -= mm
        return voxels, affine

    return change


def swapped(voxels, affine):
    numbers = np.arange(20, dtype=voxels.dtype)
    numbers[[1, 2]] = 2, 1
    return numbers[voxels], affine


def fragmentary(voxels, affine):
    kept = np.random.default_rng(0).random(voxels.shape) < 0.08
    return np.where(kept, voxels, 0).astype(voxels.dtype), affine


def unknown(voxels, affine):
    voxels[0, 0, 0] = 17
    return voxels, affine


def empty(voxels, affine):
    return np.zeros_like(voxels), affine


def write_manifest(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def truth(study, joint, /, **changes):
    """Return a row with the true structures of a joint of a sample study."""
    level, side = joint.split("_")
    return {
        "subject": study.split("_")[0],
        "study": study,
        "source": str(SAMPLES / study / "dicom"),
        "level": level,
        "side": side,
        "mask": str(SAMPLES / study / "truth" / f"{joint}_structures.nii.gz"),
        "labels": "structures",
        "reader": "truth",
        "grade": "1",
        "split": "train",
        **changes,
    }


def planted(folder):
    """Return rows and the kind that each must be found as, None for a clean one."""
    left, right = "L4-L5_left", "L4-L5_right"
    other = {"level": "L4-L5", "side": "left"}
    copy_a = copy_series(A, folder / "copy_a")
    c, copy_c = copy_series(C, folder / "c"), copy_series(C, folder / "copy_c")
    inverted = copy_series(B, folder / "inverted")
    invert(inverted)
    coarse = copy_series(D, folder / "coarse", AXIAL)
    keep_every_other_slice(coarse)

    def mask(name, change):
        return {"reader": name, "mask": edit(folder, name, left, change)}

    def series(study, place, joint, subject, split):
        return truth(
            study,
            joint,
            study=place.name,
            source=str(place),
            subject=subject,
            split=split,
        )

    kind = FindingKind
    return [
        (truth(A, left), None),
        (truth(A, left), kind.DUPLICATE_ROW),
        (truth(A, right, mask="", reader="a", grade="4"), None),
        (truth(A, right, mask="", reader="b", grade="1"), kind.READERS_DISAGREE),
        (truth(A, left, reader="c", mask="none.nii.gz"), kind.MISSING_FILE),
        (truth(A, left, **mask("unknown", unknown)), kind.UNKNOWN_LABEL),
        (truth(A, left, **mask("empty", empty)), kind.EMPTY_MASK),
        (truth(A, left, **mask("fragments", fragmentary)), kind.FRAGMENTARY_MASK),
        (truth(A, left, **mask("swapped", swapped)), kind.SWAPPED_LABELS),
        (truth(A, right, reader="d", **other), kind.MIRRORED_SIDE),
        (truth(A, "L3-L4_left", reader="e", **other), kind.WRONG_LEVEL),
        (truth(A, left, **mask("moved", shifted(16))), kind.GEOMETRY_MISMATCH),
        (truth(A, left, **mask("outside", shifted(250))), kind.OUTSIDE_IMAGE),
        (truth(A, left, reader="f", split="test"), kind.SUBJECT_IN_TWO_SPLITS),
        (series(A, copy_a, left, "sim-0001", "test"), kind.DUPLICATE_IMAGE),
        (series(C, c, left, "P8", "train"), None),
        (series(C, copy_c, left, "P9", "test"), kind.PIXELS_IN_TWO_SPLITS),
        (series(B, inverted, left, "P10", "train"), kind.UNUSUAL_CONTRAST),
        (series(D, coarse, left, "P11", "train"), kind.UNUSUAL_RESOLUTION),
    ]


def test_an_oblique_film_of_fluid_is_whole_and_strewn_voxels_are_not():
    geometry = VolumeGeometry.centered(
        center_lps_mm=np.array([10.0, 20.0, 30.0]),
        axes=np.eye(3),
        spacing_mm=np.array([3.0, 1.0, 1.0]),
        shape=(4, 12, 12),
    )
    film = np.repeat(np.eye(12, dtype=bool)[None], 4, axis=0)
    film[1::2] = False  # 24 voxels of 3 mm3 that share edges only
    strewn = np.zeros((4, 12, 12), bool)
    strewn[1, ::3, ::3] = True

    def share(voxels, kind):
        return isolated_share(Mask(geometry=geometry, voxels=voxels), kind)

    assert share(film, Lesion.EFFUSION) == 0.0
    assert share(film, Structure.JOINT_SPACE) == 1.0
    assert share(strewn, Lesion.EFFUSION) == 1.0


@pytest.mark.slow
def test_every_planted_fault_is_found_and_nothing_else(tmp_path):
    rows = planted(tmp_path)
    manifest = write_manifest(tmp_path / "cases.csv", [row for row, _ in rows])

    findings = check_dataset(manifest, tmp_path / "out")

    found = {(max(one.rows), one.kind) for one in findings}
    wanted = {(n, kind) for n, (_, kind) in enumerate(rows, start=1) if kind}
    assert found == wanted
    assert len({kind for _, kind in wanted}) == 16
    page = (tmp_path / "out" / "findings.html").read_text()
    assert page.count("<img ") >= 7
    assert all(one.sentence.endswith(".") and one.advice for one in findings)

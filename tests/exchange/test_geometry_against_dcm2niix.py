"""dcm2niix, an independent reader, puts every voxel where facetgrade puts it."""

import shutil
import subprocess

import nibabel
import numpy as np
import pytest

from facetgrade.report.nifti import ras_affine
from facetgrade.simulate.vendors import Habit
from tests.exchange.builders import load, write_phantom

WAYS = [(habit, flip) for habit in Habit for flip in ((), (0,), (0, 1, 2))]

pytestmark = pytest.mark.skipif(
    shutil.which("dcm2niix") is None, reason="dcm2niix is not installed"
)


def converted(folder, out):
    """Convert every stack; ``-p n``: rescale slope, not the private Philips scale."""
    out.mkdir()
    command = ["dcm2niix", "-p", "n", "-b", "n", "-z", "n", "-f", "%s", "-o", out]
    subprocess.run([*command, folder], check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(out.glob("*.nii"))]


def steps_between(stack, image):
    """Map indices (column, row, slice) of a stack to those of an image."""
    return np.linalg.inv(image.affine) @ ras_affine(stack.volume.geometry)


def is_same_grid(stack, image):
    """Tell whether both cover the same voxels, in whatever order."""
    if sorted(image.shape) != sorted(stack.volume.geometry.shape):
        return False
    steps = steps_between(stack, image)
    return np.abs(steps - np.rint(steps)).max() < 0.1


def placed(stack, image):
    """Reorder the voxels of an image to (slice, row, column) of a stack."""
    steps = np.rint(steps_between(stack, image)).astype(int)
    index = np.indices(stack.volume.geometry.shape).reshape(3, -1)[::-1]
    there = steps[:3, :3] @ index + steps[:3, 3:]
    values = image.get_fdata(dtype=np.float64)
    return values[tuple(there)].reshape(stack.volume.geometry.shape)


@pytest.mark.parametrize(("habit", "flip"), WAYS)
def test_every_stack_has_the_same_place_and_voxels(tmp_path, habit, flip):
    write_phantom(tmp_path / "in", habit, flip=flip)
    _, study = load(tmp_path / "in")
    images = converted(tmp_path / "in", tmp_path / "out")
    stacks = [stack for series in study.series for stack in series.stacks]
    assert len(stacks) == len(images) == 3
    for stack in stacks:
        (image,) = [image for image in images if is_same_grid(stack, image)]
        steps = np.rint(steps_between(stack, image))
        difference_mm = image.affine @ steps - ras_affine(stack.volume.geometry)
        assert np.abs(difference_mm).max() < 1e-3
        np.testing.assert_allclose(
            placed(stack, image), stack.volume.voxels, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("syntax", ["rle", "jpeg-ls", "jpeg-2000"])
def test_compressed_multi_frame_images_are_the_same(tmp_path, syntax):
    # dcm2niix decodes no compressed multi-frame image, so that only the uncompressed
    # ones above are compared with it
    studies = []
    for one in ("explicit", syntax):
        write_phantom(tmp_path / one, Habit.ENHANCED, syntax=one)
        studies.append(load(tmp_path / one)[1])
    for plain, packed in zip(studies[0].series, studies[1].series, strict=True):
        for first, second in zip(plain.stacks, packed.stacks, strict=True):
            np.testing.assert_array_equal(first.volume.voxels, second.volume.voxels)
            np.testing.assert_array_equal(
                first.volume.geometry.index_to_lps, second.volume.geometry.index_to_lps
            )

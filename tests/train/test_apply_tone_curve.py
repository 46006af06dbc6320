"""What scripts/apply_tone_curve.py does to the archive of scripts/site_demo.sh."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SCRIPT = Path(__file__).parents[2] / "scripts" / "apply_tone_curve.py"
BEFORE = np.arange(0, 1000, 10, dtype=np.uint16).reshape(10, 10)


def write_image(path, options, pixels=BEFORE):
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.ScanOptions = options
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    is_signed = pixels.dtype.kind == "i"
    bits = 16 if is_signed else 12
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(is_signed)
    dataset.PixelData = pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def run(folder, exponent):
    return subprocess.run(
        [sys.executable, SCRIPT, folder, str(exponent)], capture_output=True, text=True
    )


def test_only_series_with_fat_suppression_get_the_curve(tmp_path):
    suppressed = tmp_path / "sim-0001" / "dicom" / "fs" / "1.dcm"
    plain = tmp_path / "sim-0001" / "dicom" / "plain" / "1.dcm"
    write_image(suppressed, ["NPW", "FS"])
    write_image(plain, ["NPW"])

    assert run(tmp_path, 3).returncode == 0

    np.testing.assert_array_equal(pydicom.dcmread(plain).pixel_array, BEFORE)
    after = pydicom.dcmread(suppressed).pixel_array
    top = np.percentile(BEFORE, 99.5)
    assert after == pytest.approx(top * (BEFORE / top) ** 3, abs=0.51)
    assert (np.diff(after.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("kind", "largest"), [(np.int16, 2**15 - 1), (np.uint16, 2**12 - 1)]
)
def test_the_brightest_stay_the_brightest(tmp_path, kind, largest):
    pixels = np.full((40, 40), 100, kind)
    pixels[0, 0] = 4000  # far above the 99.5th percentile
    path = tmp_path / "sim-0001" / "dicom" / "1.dcm"
    write_image(path, ["FS"], pixels)

    assert run(tmp_path, 3).returncode == 0

    after = pydicom.dcmread(path).pixel_array
    assert after[0, 0] == largest
    assert (after.ravel()[1:] == 100).all()


def test_a_folder_without_such_series_is_told(tmp_path):
    write_image(tmp_path / "sim-0001" / "dicom" / "1.dcm", ["NPW"])
    told = run(tmp_path, 3)
    assert told.returncode == 1
    assert "no series with fat suppression" in told.stderr

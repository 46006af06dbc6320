"""Give series with fat suppression a steep tone curve that does not saturate.

Usage: apply_tone_curve.py FOLDER EXPONENT

Rewrites the files of such series in all folders named dicom below FOLDER; they are
known by the value FS of ScanOptions.

A pixel becomes top * (pixel / top) ** EXPONENT, where top is the 99.5th percentile of
its series; an exponent above 1 makes all that is not bright darker. The order of gray
values stays, but the darkest come to share one after rounding.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom

TOP_PERCENTILE = 99.5


def main() -> None:
    """Rewrite all files."""
    folder, exponent = Path(sys.argv[1]), float(sys.argv[2])
    series = defaultdict(list)
    for path in sorted(file for file in folder.glob("**/dicom/**/*") if file.is_file()):
        dataset = pydicom.dcmread(path)
        if "FS" not in (dataset.get("ScanOptions") or []):
            continue
        series[dataset.SeriesInstanceUID].append((path, dataset))
    if not series:
        sys.exit(f"{folder}: no series with fat suppression in folders named dicom")
    for files in series.values():
        pixels = [dataset.pixel_array for _, dataset in files]
        top = max(np.percentile(np.stack(pixels), TOP_PERCENTILE), 1.0)
        for (path, dataset), before in zip(files, pixels, strict=True):
            after = top * (before / top) ** exponent
            largest = 2 ** (dataset.BitsStored - dataset.PixelRepresentation) - 1
            after = np.rint(after).clip(0, largest).astype(before.dtype)
            dataset.PixelData = after.tobytes()
            dataset.save_as(path)


if __name__ == "__main__":
    main()

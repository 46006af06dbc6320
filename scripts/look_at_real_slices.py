"""Draw the level names that the shipped localizer gives to the SPIDER sample slices.

python scripts/look_at_real_slices.py ../shared/data/real_t2_sagittal_slices OUT.png

The PNG slices have lost their spacing; 0.44 mm in the plane and 0.9 mm between slices
give vertebral bodies their usual height of 25-30 mm. To look at, never to tune by.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

from facetgrade.config import read_config
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.inference import choose_device, load_models
from facetgrade.localize import locate_joints
from facetgrade.study import Plane, Sequence, Series, Stack, Study

mpl.use("Agg")
PIXEL_MM, SLICE_MM = 0.44, 0.9
BRIGHTEST = 120


def read_patient(paths: list[Path]) -> Study:
    """Stack the slices of one patient, left to right as they are numbered."""
    ordered = sorted(paths, key=lambda path: int(re.findall(r"\d+", path.stem)[-1]))
    voxels = np.stack([np.asarray(Image.open(p).convert("L"), "f4") for p in ordered])
    geometry = VolumeGeometry.centered(
        center_lps_mm=(0.0, 0.0, 0.0),
        axes=[[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        spacing_mm=(SLICE_MM, PIXEL_MM, PIXEL_MM),
        shape=(voxels.shape[0], voxels.shape[1], voxels.shape[2]),
    )
    series = Series(
        uid="1",
        description="",
        sequence=Sequence.T2,
        plane=Plane.SAGITTAL,
        stacks=(Stack(volume=Volume(geometry=geometry, voxels=voxels)),),
    )
    return Study(uid="1", source=".", subject="", date="", series=(series,))


def main(folder: Path, out: Path) -> None:
    """Locate the levels of every patient and draw them on the middle slice."""
    import matplotlib.pyplot as plt

    config = read_config()
    models = load_models(config, choose_device("cpu"))
    patients: dict[str, list[Path]] = {}
    for path in sorted((folder / "images").glob("*.png")):
        patients.setdefault(path.name.partition("_")[0], []).append(path)
    figure, axes = plt.subplots(1, len(patients), figsize=(7 * len(patients), 9))
    for axis, (name, paths) in zip(np.atleast_1d(axes), patients.items(), strict=True):
        study = read_patient(paths)
        found = locate_joints(study, models.localizer, config.localize)
        volume = study.series[0].stacks[0].volume
        axis.imshow(volume.voxels[len(paths) // 2], cmap="gray", vmax=BRIGHTEST)
        for vertebra in found.vertebrae:
            index = volume.geometry.to_index(vertebra.center_lps_mm)
            axis.text(index[2], index[1], vertebra.name, color="yellow", ha="center")
        doubt = "uncertain" if found.level_assumed else "decided"
        axis.set_title(f"{name}: {doubt}, p {found.numbering_probability:.2f}")
        axis.axis("off")
        print(axis.get_title())
    figure.tight_layout()
    figure.savefig(out, dpi=60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

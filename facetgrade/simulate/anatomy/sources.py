"""Real vertebrae by source, read once per process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from facetgrade.errors import AnatomyError
from facetgrade.simulate.anatomy.measured import MeasuredVertebra, from_surfaces
from facetgrade.simulate.anatomy.meshes import read_csv_mesh, split_components

MEAN_SHAPE = "lumbar_mean_shape_87_patients"
_TEMPLATE_SPACING_MM = 0.9
_MEAN_SHAPE_LEVELS = ("L2", "L3", "L4", "L5")


@lru_cache(maxsize=4)
def load_vertebrae(source: str, data_folder: Path) -> Mapping[str, MeasuredVertebra]:
    """Read the vertebrae of a source.

    Parameters
    ----------
    source : str
        ``mean-shape``.
    data_folder : Path
        Folder of the source, or the one above it.

    Raises
    ------
    AnatomyError
        If files are missing or not as expected.
    """
    return _READERS[source](data_folder)


def _mean_shape(data_folder: Path) -> Mapping[str, MeasuredVertebra]:
    """Read the mean shape of L2 to L5 of 87 patients."""
    folder = _find(data_folder, MEAN_SHAPE, "meanMesh_vertices.csv")
    surface = read_csv_mesh(
        folder / "meanMesh_vertices.csv", folder / "meanMesh_faces.csv"
    )
    parts = split_components(surface)
    if len(parts) != len(_MEAN_SHAPE_LEVELS):
        raise AnatomyError(folder, f"expected 4 separate bones, found {len(parts)}")
    named = dict(zip(_MEAN_SHAPE_LEVELS, parts, strict=True))
    return from_surfaces(named, _TEMPLATE_SPACING_MM)


def _find(data_folder: Path, name: str, member: str) -> Path:
    """Return the folder that holds `member`: `data_folder` or its subfolder `name`."""
    for folder in (data_folder / name, data_folder):
        if (folder / member).is_file():
            return folder
    raise AnatomyError(data_folder, f"neither {member} nor {name}/{member} in it")


_READERS = {"mean-shape": _mean_shape}

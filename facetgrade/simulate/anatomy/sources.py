"""Real vertebrae by source, read once per process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from facetgrade.errors import AnatomyError
from facetgrade.simulate.anatomy.label_maps import read_label_map
from facetgrade.simulate.anatomy.measured import MeasuredVertebra, from_surfaces
from facetgrade.simulate.anatomy.meshes import read_csv_mesh, split_components
from facetgrade.simulate.anatomy.visible_human import (
    MeasuredSacrum,
    read_sacrum,
    read_vertebrae,
)

MEAN_SHAPE = "lumbar_mean_shape_87_patients"
THICK_SLICED = ("label-map",)  # bodies are good, arches incomplete
_TEMPLATE_SPACING_MM = 0.9
_CONTACT_MM = 2.5
LABEL_MAP = "lumbar_label_maps_sagittal"
VISIBLE_HUMAN = "lumbar_meshes_visible_human"
_MEAN_SHAPE_LEVELS = ("L2", "L3", "L4", "L5")


@lru_cache(maxsize=4)
def load_vertebrae(source: str, data_folder: Path) -> Mapping[str, MeasuredVertebra]:
    """Read the vertebrae of a source.

    Parameters
    ----------
    source : str
        ``mean-shape``, ``label-map`` or ``visible-human``.
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
    return from_surfaces(named, _TEMPLATE_SPACING_MM, contact_mm=_CONTACT_MM)


def _label_map(data_folder: Path) -> Mapping[str, MeasuredVertebra]:
    """Read T12 to L5 of one subject."""
    folder = _find(data_folder, LABEL_MAP, "instance_ref.nii.gz")
    return read_label_map(folder / "instance_ref.nii.gz", _TEMPLATE_SPACING_MM)


def _visible_human(data_folder: Path) -> Mapping[str, MeasuredVertebra]:
    """Read L1 to L5 of the Visible Human male."""
    folder = _find(data_folder, VISIBLE_HUMAN, "L5_Schrumpfverpacken.obj")
    return read_vertebrae(folder, _TEMPLATE_SPACING_MM)


@lru_cache(maxsize=2)
def load_sacrum(source: str, data_folder: Path) -> MeasuredSacrum | None:
    """Read the sacrum of a source; None if it has none.

    Raises
    ------
    AnatomyError
        If files are missing or not as expected.
    """
    if source != "visible-human":
        return None
    folder = _find(data_folder, VISIBLE_HUMAN, "S1_Schrumpfverpacken.obj")
    return read_sacrum(folder, _TEMPLATE_SPACING_MM)


def has_solid_processes(source: str, name: str) -> bool:
    """Tell whether articular processes are made of solids, thickened where worn."""
    if source == "parametric" or source in THICK_SLICED:
        return True
    return name == "S1" and source != "visible-human"


def _find(data_folder: Path, name: str, member: str) -> Path:
    """Return the folder that holds `member`: `data_folder` or its subfolder `name`."""
    for folder in (data_folder / name, data_folder):
        if (folder / member).is_file():
            return folder
    raise AnatomyError(data_folder, f"neither {member} nor {name}/{member} in it")


_READERS = {
    "mean-shape": _mean_shape,
    "label-map": _label_map,
    "visible-human": _visible_human,
}

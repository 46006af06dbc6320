"""Vertebrae from a label map in sagittal slices."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from facetgrade.errors import AnatomyError
from facetgrade.simulate.anatomy.measured import MeasuredVertebra, from_surfaces
from facetgrade.simulate.anatomy.meshes import Surface

# Instance labels, counted from the top of this map; its T11 is cut by the upper edge.
_LEVELS = {3: "T12", 4: "L1", 5: "L2", 6: "L3", 7: "L4", 8: "L5"}
_STEP_MM = 1.0
_CONTACT_MM = 8.0  # the labels leave wide gaps at the joints
_PAD = 8
_SHRINKAGE_MM = 0.4  # smoothing loses this much; keeps the volume of the labels


def read_label_map(path: Path, spacing_mm: float) -> dict[str, MeasuredVertebra]:
    """Make templates of T12 to L5 from an instance label map.

    Parameters
    ----------
    path : Path
        NIfTI with slices some mm apart.
    spacing_mm : float
        Voxel size of the templates.

    Raises
    ------
    AnatomyError
        If the file cannot be read or lacks a vertebra.
    """
    try:
        image = nib.load(path)
        labels = np.asarray(image.dataobj)  # type: ignore[attr-defined]
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine  # type: ignore[attr-defined]
    except (OSError, nib.filebasedimages.ImageFileError) as error:
        raise AnatomyError(path, str(error)) from error
    missing = [name for label, name in _LEVELS.items() if not (labels == label).any()]
    if missing:
        raise AnatomyError(path, f"no label for {', '.join(missing)}")
    surfaces = {
        name: _surface(labels == label, affine) for label, name in _LEVELS.items()
    }
    return from_surfaces(surfaces, spacing_mm, contact_mm=_CONTACT_MM)


def _surface(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> Surface:
    """Draw a smooth surface around a mask of thick slices.

    Slices are joined by their signed in-plane distances, so that an outline moves
    evenly from one slice to the next.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    through = int(np.argmax(spacing))
    bounds = [
        slice(max(int(i.min()) - _PAD, 0), int(i.max()) + _PAD + 1)
        for i in np.nonzero(mask)
    ]
    bounds[through] = slice(None)
    block = np.moveaxis(mask[tuple(bounds)], through, 0)
    pixel = np.delete(spacing, through)
    distance = np.stack([_flat_distance(layer, pixel) for layer in block])
    distance = np.pad(distance, ((1, 1), (0, 0), (0, 0)), constant_values=3.0)
    factors = np.array([spacing[through], *pixel]) / _STEP_MM
    fine = ndimage.zoom(distance, factors, order=1, grid_mode=False)
    fine = ndimage.gaussian_filter(fine, 0.8)
    points, faces, _, _ = marching_cubes(fine, _SHRINKAGE_MM)  # type: ignore[no-untyped-call]
    steps = (np.array(distance.shape) - 1.0) / (np.array(fine.shape) - 1.0)
    index = points * steps
    index[:, 0] -= 1.0
    index = np.insert(index[:, 1:], through, index[:, 0], axis=1)
    index += [b.start or 0 for b in bounds]
    world = index @ affine[:3, :3].T + affine[:3, 3]
    return Surface(vertices_mm=world, faces=faces.astype(np.int64)).outward()


def _flat_distance(
    layer: NDArray[np.bool_], pixel_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Signed distance within one slice, at most 6 mm."""
    if not layer.any():
        return np.full(layer.shape, 6.0)
    outside = ndimage.distance_transform_edt(~layer, pixel_mm)
    inside = ndimage.distance_transform_edt(layer, pixel_mm)
    return np.asarray(np.clip(outside - inside, -6.0, 6.0))

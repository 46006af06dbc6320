"""How the patient shifts from one series of a study to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facetgrade.simulate.placement import move_scene
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.settings import StudySettings
from facetgrade.simulate.streams import side_stream
from facetgrade.study import Sequence as Contrast

_STREAM = 2


def move_between(
    scene: Scene, series: int, study: StudySettings, rng: np.random.Generator
) -> tuple[Scene, ...]:
    """Let the patient shift between series; who moved stays moved.

    Parameters
    ----------
    scene : Scene
        Patient as all series were planned.
    series : int
        Number of series.
    study : StudySettings
        How often, how far.
    rng : Generator
        Its state decides the movements; it is left as it is.

    Returns
    -------
    tuple of Scene
        The patient during each series; the same object as long as nothing moves.
    """
    apart = side_stream(rng, number=_STREAM)
    poses = []
    for _ in range(series):
        if apart.random() < study.shift_between_probability:
            scene = _moved(scene, study, apart)
        poses.append(scene)
    return tuple(poses)


def series_of_truth(contrasts: Sequence[Contrast]) -> int:
    """Return the index of the series in whose pose truth is described.

    It is the first that shows edema, on which joints are graded, else the first of all.
    """
    return next((k for k, one in enumerate(contrasts) if one.shows_edema), 0)


def displacement_lps(start: Scene, end: Scene) -> NDArray[np.float64] | None:
    """Return how a patient lies displaced in another pose.

    Returns
    -------
    (4, 4) float64 ndarray or None
        Maps LPS mm of a point of the patient in `start` to that in `end`; None where
        the pose is the same.
    """
    if start is end:
        return None
    moved: NDArray[np.float64] = end.body.geometry.index_to_lps @ np.linalg.inv(
        start.body.geometry.index_to_lps
    )
    return moved


def _moved(scene: Scene, study: StudySettings, rng: np.random.Generator) -> Scene:
    """Turn the patient about any axis and shift in any direction."""
    angle = np.deg2rad(rng.uniform(*study.rotation_between_deg))
    axis, direction = (_direction(rng) for _ in range(2))
    return move_scene(
        scene,
        rotation=Rotation.from_rotvec(angle * axis),
        shift_mm=rng.uniform(*study.shift_between_mm) * direction,
    )


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a unit vector, all directions alike."""
    vector = rng.normal(size=3)
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit

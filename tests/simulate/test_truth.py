from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.scene import Scene, SceneGrid
from facetgrade.simulate.truth import truth_joint_masks
from facetgrade.study import Sequence

LEFT = FacetJoint(Level.L3_L4, Side.LEFT)
RIGHT = FacetJoint(Level.L3_L4, Side.RIGHT)
ORIGIN_MM = np.array([10.0, 20.0, 30.0])
S = Structure


def grid_of(structure: np.ndarray, spacing_mm: float) -> SceneGrid:
    """Grid of the given labels whose index axes are z, y, x from ORIGIN_MM."""
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=ORIGIN_MM,
        axes=np.eye(3)[::-1],
        spacing_mm=(spacing_mm,) * 3,
        shape=structure.shape,
    )
    empty = np.zeros(structure.shape, np.uint8)
    labels = structure.astype(np.uint8)
    return SceneGrid(
        geometry=geometry, tissue=empty, structure=labels, vertebra=empty, lesions={}
    )


def scene_of(column: np.ndarray) -> Scene:
    """Column at 1 mm inside a body of flavum at 2 mm that reaches farther."""
    frame = JointFrame(
        center_lps_mm=ORIGIN_MM,
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([1.0, 0.0, 0.0]),
    )
    return Scene(
        body=grid_of(np.full((4, 4, 4), S.LIGAMENTUM_FLAVUM), 2.0),
        column=grid_of(column, 1.0),
        vertebrae=(),
        joints={LEFT: frame},
        provenance={},
    )


def target(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    first_mm=(0, 0, 0),
) -> VolumeGeometry:
    return VolumeGeometry.from_axes(
        origin_lps_mm=ORIGIN_MM + np.asarray(first_mm, float)[::-1],
        axes=np.eye(3)[::-1],
        spacing_mm=spacing_mm,
        shape=shape,
    )


def test_voxel_takes_the_label_that_fills_most_of_it():
    column = np.zeros((3, 2, 4), int)
    column[:2, 0, 0] = S.CAPSULE
    column[2, 0, 0] = S.JOINT_SPACE

    # One voxel of 3 x 1 x 1 mm over the three: two parts capsule, one part joint space.
    grid = target((1, 1, 1), (3.0, 1.0, 1.0), (1.0, 0.0, 0.0))
    masks = truth_joint_masks(scene_of(column), LEFT, grid)

    assert masks.structures.tolist() == [[[S.CAPSULE]]]
    assert masks.sequence is Sequence.T2_FS


def test_lesion_is_the_mean_fraction_of_the_voxel():
    scene = scene_of(np.zeros((3, 2, 4), int))
    fraction = np.zeros((3, 2, 4), np.float32)
    fraction[:, 1, 2] = [1.0, 0.5, 0.0]
    scene = replace(
        scene, column=replace(scene.column, lesions={Lesion.EFFUSION: fraction})
    )

    grid = target((1, 2, 4), (3.0, 1.0, 1.0), (1.0, 0.0, 0.0))
    masks = truth_joint_masks(scene, LEFT, grid)

    # (1 + 0.5 + 0) / 3 = 0.5 in row 1, column 2
    expected = np.zeros((1, 2, 4))
    expected[0, 1, 2] = 0.5
    np.testing.assert_allclose(masks.lesions[Lesion.EFFUSION], expected, atol=1e-6)
    assert not masks.lesions[Lesion.CYST].any()


def test_body_decides_outside_the_column():
    column = np.full((2, 2, 2), S.DISC)

    # Columns 0 and 1 of the target lie in the column grid, 2 and 3 only in the body.
    masks = truth_joint_masks(scene_of(column), LEFT, target((1, 1, 4), (1.0,) * 3))

    outside = S.LIGAMENTUM_FLAVUM
    assert masks.structures[0, 0].tolist() == [S.DISC, S.DISC, outside, outside]


def test_voxels_outside_the_patient_are_not_in_view():
    # The body ends 7 mm from its first voxel center, after 4 voxels of 2 mm.
    grid = target((1, 1, 3), (1.0, 1.0, 4.0))

    masks = truth_joint_masks(scene_of(np.zeros((2, 2, 2), int)), LEFT, grid)

    assert masks.in_view[0, 0].tolist() == [True, True, False]


def test_unknown_joint_is_refused():
    scene = scene_of(np.zeros((2, 2, 2), int))

    with pytest.raises(ValueError, match="L3-L4 right"):
        truth_joint_masks(scene, RIGHT, target((1, 1, 1), (1.0,) * 3))

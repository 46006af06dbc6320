from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.segment.joints import joint_space_center
from facetgrade.segment.network import Reading

GRID = VolumeGeometry.centered(
    center_lps_mm=[15.0, 40.0, -20.0],
    axes=[[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    spacing_mm=[1.5, 0.7, 0.7],
    shape=(30, 68, 68),
)


def reading(*heights: slice) -> Reading:
    """Joint space of a few voxels over the given heights of the grid."""
    structures = np.zeros(GRID.shape, np.uint8)
    for height in heights:
        structures[height, 30:36, 33:35] = Structure.JOINT_SPACE
    return Reading(structures, np.ones(GRID.shape, np.float32), np.zeros((4, 1)))


def test_center_is_the_centroid_of_the_joint_space():
    center = joint_space_center(GRID, reading(slice(12, 22)))

    # slices 12-21: 2 above the middle of 14.5, 1.5 mm each; rows 30-35: 1 before 33.5
    assert center == pytest.approx([15.0, 40.0 - 0.7, -20.0 + 3.0])


def test_the_joint_of_the_next_level_does_not_move_the_center():
    alone = joint_space_center(GRID, reading(slice(10, 20)))
    crowded = joint_space_center(GRID, reading(slice(10, 20), slice(0, 3)))

    assert crowded == pytest.approx(alone)


def test_the_joint_of_the_other_side_does_not_move_the_center():
    alone = reading(slice(10, 20))
    beside = np.array(alone.structures)
    beside[10:20, 28:36, 60:68] = Structure.JOINT_SPACE  # 19 mm away
    crowded = replace(alone, structures=beside)

    assert joint_space_center(GRID, crowded) == pytest.approx(
        joint_space_center(GRID, alone)
    )


def test_the_window_follows_a_joint_that_lies_beside_the_middle():
    structures = np.zeros(GRID.shape, np.uint8)
    structures[10:20, 40:56, 40:46] = Structure.JOINT_SPACE  # reaches 15 mm backwards
    far = replace(reading(), structures=structures)

    # rows 40-55: 14 behind the middle of 33.5; columns 40-45: 9 lateral of it
    assert joint_space_center(GRID, far) == pytest.approx(
        [15.0 + 9 * 0.7, 40.0 + 14 * 0.7, -20.0]
    )


def test_too_little_joint_space_has_no_center():
    assert joint_space_center(GRID, reading(slice(14, 15))) is None

import numpy as np
import pytest

from facetgrade.anatomy import VERTEBRAE, Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.pathology.hardware import fuse_segments
from facetgrade.simulate.scene import SceneGrid, Tissue, VertebraTruth
from facetgrade.simulate.streams import side_stream

ORIGIN = np.array([3.0, -8.0, 40.0])


def vertebrae(*names):
    """Bodies 34 mm apart, from the top."""
    return tuple(
        VertebraTruth(
            name=name,
            center_lps_mm=ORIGIN - np.array([0.0, 0.0, 34.0 * k]),
            cranial=np.array([0.0, 0.0, 1.0]),
            posterior=np.array([0.0, 1.0, 0.0]),
            left=np.array([1.0, 0.0, 0.0]),
        )
        for k, name in enumerate(names)
    )


def grid_of(bones, spacing_mm=2.0, *, pedicles=True):
    """Muscle with a box of pedicle 13 mm beside and 22 mm behind every body."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=ORIGIN + np.array([0.0, 20.0, -17.0 * (len(bones) - 1)]),
        axes=np.eye(3)[::-1],
        spacing_mm=(spacing_mm,) * 3,
        shape=tuple(int(n / spacing_mm) for n in (150, 100, 90)),
    )
    points = geometry.voxel_centers_lps_mm()
    tissue = np.full(geometry.shape, Tissue.MUSCLE, np.uint8)
    structure = np.zeros(geometry.shape, np.uint8)
    vertebra = np.zeros(geometry.shape, np.uint8)
    for bone in bones if pedicles else ():
        x, y, z = np.moveaxis(points - bone.center_lps_mm, -1, 0)
        box = (np.abs(np.abs(x) - 13.0) < 5.0) & (np.abs(y - 22.0) < 6.0)
        box &= np.abs(z) < 7.0
        tissue[box] = Tissue.MARROW
        structure[box] = Structure.PEDICLE
        vertebra[box] = 1 + VERTEBRAE.index(bone.name)
    return SceneGrid(
        geometry=geometry,
        tissue=tissue,
        structure=structure,
        vertebra=vertebra,
        lesions={},
    )


def metal_points(grid):
    return grid.geometry.to_lps(np.argwhere(grid.tissue == Tissue.METAL)) - ORIGIN


def test_screws_and_rods_hold_two_vertebrae_on_both_sides():
    bones = vertebrae("L4", "L5")
    column, body = grid_of(bones), grid_of(bones, 3.0)
    names = [
        fuse_segments((body, column), bones, np.random.default_rng(seed))
        for seed in range(4)  # some of them ask for three vertebrae
    ]
    assert set(names) == {"", "L4-L5"}
    for grid in (column, body):
        x, y, z = metal_points(grid).T
        for left in (x > 0.0, x < 0.0):
            assert y[left].min() < 5.0  # the tip lies in the body
            assert y[left].max() > 28.0  # the head behind the pedicle
            assert (z[left] > -5.0).any()
            assert (z[left] < -29.0).any()
        # The middle of the canal stays free.
        assert not ((np.abs(x) < 2.0) & (np.abs(y - 22.0) < 4.0)).any()


def test_without_pedicles_nothing_is_screwed():
    bones = vertebrae("L3", "L4", "L5")
    column = grid_of(bones, pedicles=False)
    assert fuse_segments((column, column), bones, np.random.default_rng(0)) == ""
    assert not (column.tissue == Tissue.METAL).any()


def test_thoracic_vertebrae_are_left_alone():
    bones = vertebrae("T11", "T12")
    column = grid_of(bones)
    assert fuse_segments((column, column), bones, np.random.default_rng(0)) == ""


def test_a_side_stream_leaves_the_draws_as_they_are():
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    apart = side_stream(rng).random(3)
    np.testing.assert_array_equal(rng.random(3), same.random(3))
    assert not np.isin(apart, np.random.default_rng(5).random(3)).any()


def test_side_streams_of_different_numbers_never_meet():
    rng = np.random.default_rng(5)
    first = side_stream(rng).random(50)
    assert not np.isin(side_stream(rng, number=2).random(50), first).any()


def test_a_side_stream_needs_a_generator_that_can_jump_aside():
    rng = np.random.Generator(np.random.Philox(3))
    with pytest.raises(TypeError, match="PCG64"):
        side_stream(rng)

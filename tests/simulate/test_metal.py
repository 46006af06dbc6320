import numpy as np
import pytest

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.metal import displace, hit_water, metal_field, missed_fat
from facetgrade.simulate.scene import Tissue

# Slices grow along z (B0), rows along y, columns along x; voxels of 2 mm.
GEOMETRY = VolumeGeometry.from_axes(
    origin_lps_mm=(5.0, -7.0, 11.0),
    axes=np.eye(3)[::-1],
    spacing_mm=(2.0, 2.0, 2.0),
    shape=(24, 26, 28),
)
MIDDLE = (12, 13, 14)


def muscle_with_bead():
    """A cube of metal of 3 voxels in muscle."""
    tissue = np.full(GEOMETRY.shape, Tissue.MUSCLE, np.uint8)
    tissue[tuple(slice(m - 1, m + 2) for m in MIDDLE)] = Tissue.METAL
    return tissue


def test_without_metal_there_is_no_field():
    tissue = np.full(GEOMETRY.shape, Tissue.MUSCLE, np.uint8)
    assert metal_field(tissue, GEOMETRY) is None


def test_a_bead_is_a_dipole_along_the_field_of_the_magnet():
    field = metal_field(muscle_with_bead(), GEOMETRY)
    middle = [m - s.start for m, s in zip(MIDDLE, field.box, strict=True)]
    above = field.offset_ppm[middle[0] + 5, middle[1], middle[2]]
    aside = field.offset_ppm[middle[0], middle[1], middle[2] + 5]
    # Moment 191 ppm * 27 voxels: on the axis 191 * 27 / (2 pi 5^3) = 6.6 ppm, half of
    # it and negative across.
    assert above == pytest.approx(6.6, rel=0.15)
    assert aside == pytest.approx(-3.3, rel=0.15)


def test_signal_leaves_the_metal_and_piles_up_beside_it():
    field = metal_field(muscle_with_bead(), GEOMETRY)
    flat = np.ones(field.metal.shape, np.float32)
    image = displace(flat, field, np.array([0.0, 0.0, 0.3]))
    middle = tuple(m - s.start for m, s in zip(MIDDLE, field.box, strict=True))
    assert image[middle] < 0.5
    assert image.max() > 1.4
    # Far away everything stays where it was.
    np.testing.assert_allclose(image[:2, :2], 1.0)


def test_without_gradients_only_the_metal_is_dark():
    field = metal_field(muscle_with_bead(), GEOMETRY)
    flat = np.ones(field.metal.shape, np.float32)
    image = displace(flat, field, np.zeros(3))
    assert (image[field.metal] == 0.0).all()
    assert (image[~field.metal] == 1.0).all()


def test_the_fat_pulse_misses_fat_and_hits_water_near_metal():
    field = metal_field(muscle_with_bead(), GEOMETRY)
    middle = [m - s.start for m, s in zip(MIDDLE, field.box, strict=True)]
    near = (middle[0], middle[1], middle[2] + 5)  # -3.3 ppm: water resonates as fat
    assert missed_fat(field)[near] > 0.99
    assert hit_water(field)[near] < 0.2
    far = (0, 0, 0)
    assert missed_fat(field)[far] < 0.05
    assert hit_water(field)[far] > 0.95


def test_the_field_has_no_edge_where_its_box_ends():
    shape = (80, 90, 100)
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=(0.0, 0.0, 0.0),
        axes=np.eye(3)[::-1],
        spacing_mm=(2.0, 2.0, 2.0),
        shape=shape,
    )
    tissue = np.full(shape, Tissue.SUBCUTANEOUS_FAT, np.uint8)
    tissue[38:42, :, 45:49] = Tissue.METAL  # a rod across B0 that leaves the block

    field = metal_field(tissue, geometry)

    assert field.box[1] == slice(0, 90)
    assert field.box[0].start > 0
    for axis in (0, 2):
        for end in (0, -1):
            assert np.abs(field.offset_ppm.take(end, axis)).max() == 0.0
    beside = field.metal[:, 0].nonzero()[0].max() + 2
    # Where the rod leaves the block, its field does too.
    assert np.abs(field.offset_ppm[beside, 0]).max() > 5.0
    for share in (missed_fat(field), 1.0 - hit_water(field)):
        step = np.abs(np.diff(share[:, 45], axis=0)).max(axis=1)
        assert share[[0, -1]].max() == 0.0
        assert step[[0, 1, -2, -1]].max() < 0.05

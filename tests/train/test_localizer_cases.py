import numpy as np
import pytest
import torch

from facetgrade.config import read_settings, shipped_path
from facetgrade.geometry import VolumeGeometry
from facetgrade.localize.canonical import AXES, CROP_SHAPE
from facetgrade.simulate.scene import Tissue
from facetgrade.train.cases import read_scanner_settings
from facetgrade.train.localizer_cases import LocalizerCase, read_case, write_case
from facetgrade.train.localizer_pictures import draw_picture
from facetgrade.train.settings import TrainSettings

SETTINGS = read_settings(shipped_path("configs/train_localizer.toml"), TrainSettings)
RENDER = SETTINGS.render
SCANNER = read_scanner_settings(SETTINGS.cases)
LEFT_FACET = np.array([24.0, 40.0, -60.0])
RIGHT_FACET = np.array([-24.0, 40.0, -20.0])


def case() -> LocalizerCase:
    """Two bright cubes in air: 16 mm at the left facet, 16 mm at the right one."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=[0.0, 20.0, -40.0],
        axes=AXES,
        spacing_mm=[2.0, 2.0, 2.0],
        shape=(60, 130, 90),
    )
    points = geometry.voxel_centers_lps_mm()
    tissue = np.full(geometry.shape, Tissue.AIR, np.uint8)
    for facet in (LEFT_FACET, RIGHT_FACET):
        tissue[(np.abs(points - facet) <= 8.0).all(axis=-1)] = Tissue.SUBCUTANEOUS_FAT
    return LocalizerCase(
        geometry=geometry,
        tissue=tissue,
        rank=np.zeros(geometry.shape, np.uint8),
        points=(
            np.array([[0.0, 0.0, -40.0]]),
            LEFT_FACET[None],
            RIGHT_FACET[None],
        ),
    )


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_heatmaps_lie_where_the_picture_shows_the_facets(seed):
    picture = draw_picture(case(), RENDER, SCANNER, np.random.default_rng(seed))

    assert picture["image"].shape == (2, *CROP_SHAPE)
    image, seen = picture["image"][0], picture["seen"]
    half = torch.nn.functional.avg_pool3d(image[None], (1, 2, 2))[0]
    for facet in picture["heatmaps"][1:]:
        inside = (facet > 0.8) & seen
        if inside.any():
            assert half[inside].mean() > half[seen].quantile(0.9)


@pytest.mark.parametrize("seed", range(12))
def test_spoiled_pictures_keep_their_scale(seed):
    picture = draw_picture(case(), RENDER, SCANNER, np.random.default_rng(seed))

    image = picture["image"][0]
    assert torch.isfinite(image).all()
    # Two small cubes in air: most of a picture is as dark as its median.
    assert 0.05 < image[picture["image"][1] > 0].std() < 3.0


def test_the_same_seed_draws_the_same_picture():
    first = draw_picture(case(), RENDER, SCANNER, np.random.default_rng(3))
    second = draw_picture(case(), RENDER, SCANNER, np.random.default_rng(3))

    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_case_survives_writing_and_reading(tmp_path):
    written = case()
    write_case(written, tmp_path / "case.npz")

    kept = read_case(tmp_path / "case.npz")

    np.testing.assert_array_equal(kept.tissue, written.tissue)
    np.testing.assert_allclose(
        kept.geometry.index_to_lps, written.geometry.index_to_lps
    )
    np.testing.assert_allclose(kept.points[1], written.points[1])

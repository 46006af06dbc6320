from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from facetgrade.anatomy import Side
from facetgrade.errors import AnatomyError
from facetgrade.simulate.anatomy.measure import contact_patch, measure_body
from facetgrade.simulate.anatomy.meshes import (
    Surface,
    read_csv_mesh,
    signed_distance,
    split_components,
)
from facetgrade.simulate.anatomy.sources import MEAN_SHAPE, load_vertebrae
from facetgrade.simulate.anatomy.template import local_grid

DATA = Path("../shared/data")
needs_mean_shape = pytest.mark.skipif(
    not (DATA / MEAN_SHAPE).is_dir(),
    reason=f"mean shape of L2-L5 not found in {DATA}",
)
# Box of 4 x 6 x 8 mm between (-2, -3, -4) and (2, 3, 4).
CORNERS = np.array(
    [[x, y, z] for x in (-2.0, 2.0) for y in (-3.0, 3.0) for z in (-4.0, 4.0)]
)
# fmt: off
FACES = np.array([
    [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
    [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
])
# fmt: on
BOX = Surface(vertices_mm=CORNERS, faces=FACES).outward()


def mean_shape_bones():
    folder = DATA / MEAN_SHAPE
    surface = read_csv_mesh(
        folder / "meanMesh_vertices.csv", folder / "meanMesh_faces.csv"
    )
    return split_components(surface)


def test_distance_is_negative_inside_and_grows_with_the_way_to_the_surface():
    grid = local_grid(np.full(3, -7.0), np.full(3, 7.0), 1.0)

    distance = signed_distance(BOX, grid)

    center = np.round(grid.to_index([0.0, 0.0, 0.0])).astype(int)
    beside = np.round(grid.to_index([3.0, 0.0, 0.0])).astype(int)
    assert distance[tuple(center)] == pytest.approx(-2.0, abs=0.3)
    assert distance[tuple(beside)] == pytest.approx(1.0, abs=0.3)


def test_inverted_triangles_are_turned_outward():
    inverted = Surface(vertices_mm=CORNERS, faces=BOX.faces[:, ::-1])
    np.testing.assert_array_equal(inverted.outward().faces, BOX.faces)


def test_separate_boxes_are_split_with_the_highest_first():
    both = Surface(
        vertices_mm=np.concatenate([CORNERS, CORNERS + np.array([0.0, 0.0, 20.0])]),
        faces=np.concatenate([BOX.faces, BOX.faces + 8]),
    )
    heights = [part.vertices_mm[:, 2].mean() for part in split_components(both)]
    assert heights == pytest.approx([20.0, 0.0])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(AnatomyError, match="neither meanMesh_vertices"):
        load_vertebrae("mean-shape", tmp_path)


@needs_mean_shape
def test_mean_shape_bodies_have_adult_sizes():
    for bone in mean_shape_bones():
        body = measure_body(bone)
        assert 45.0 < body.width < 58.0
        assert 32.0 < body.depth < 38.0
        assert 25.0 < body.height < 30.0


@needs_mean_shape
def test_mean_shape_joints_lie_beside_the_midline_behind_the_bodies():
    bones = mean_shape_bones()
    for upper, lower in pairwise(bones):
        body = measure_body(upper)
        for side in Side:
            site = contact_patch(upper, lower, body, side, reach_mm=2.5)
            left, back, _ = (site.center_mm - body.center_mm) @ body.axes.T
            assert 12.0 < left * side.sign < 20.0
            assert 28.0 < back < 38.0

import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from facetgrade.anatomy import Side
from facetgrade.config import shipped_path
from facetgrade.errors import AnatomyError
from facetgrade.simulate.anatomy import AnatomySettings, build_scene
from facetgrade.simulate.anatomy.label_maps import read_label_map
from facetgrade.simulate.anatomy.measure import contact_patch, measure_body
from facetgrade.simulate.anatomy.meshes import (
    Surface,
    read_csv_mesh,
    signed_distance,
    split_components,
)
from facetgrade.simulate.anatomy.sources import LABEL_MAP, MEAN_SHAPE, load_vertebrae
from facetgrade.simulate.anatomy.template import local_grid

DATA = Path("../shared/data")
needs_mean_shape = pytest.mark.skipif(
    not (DATA / MEAN_SHAPE).is_dir(),
    reason=f"mean shape of L2-L5 not found in {DATA}",
)
needs_label_map = pytest.mark.skipif(
    not (DATA / LABEL_MAP).is_dir(),
    reason=f"sagittal label maps not found in {DATA}",
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


def coarse_settings(**changes):
    text = shipped_path("configs/simulate.toml").read_text(encoding="utf-8")
    section = tomllib.loads(text)["anatomy"]
    return AnatomySettings(
        **section | {"body_spacing_mm": 4.0, "column_spacing_mm": 1.5} | changes
    )


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


def test_a_missing_label_map_is_named(tmp_path):
    with pytest.raises(AnatomyError, match="absent"):
        read_label_map(tmp_path / "absent.nii.gz", 2.0)


@needs_label_map
def test_label_map_joints_lie_on_their_sides():
    folder = DATA / LABEL_MAP
    vertebrae = read_label_map(folder / "instance_ref.nii.gz", 2.0)
    assert list(vertebrae) == ["T12", "L1", "L2", "L3", "L4", "L5"]
    for vertebra in vertebrae.values():
        for side, site in vertebra.template.inferior.items():
            assert 8.0 < site.center_mm[0] * side.sign < 28.0


@needs_mean_shape
def test_a_scene_of_the_mean_shape_has_all_joints():
    settings = coarse_settings(column_spacing_mm=1.5)
    rng = np.random.default_rng(3)

    scene = build_scene(settings, "mean-shape", rng, data_folder=DATA)

    assert len(scene.joints) == 10
    assert scene.provenance["anatomy_source"] == "mean-shape"
    for joint, frame in scene.joints.items():
        assert frame.lateral[0] * joint.side.sign > 0.8


def test_a_measured_source_without_a_folder_is_refused():
    with pytest.raises(ValueError, match="needs data_folder"):
        build_scene(coarse_settings(), "mean-shape", np.random.default_rng(0))

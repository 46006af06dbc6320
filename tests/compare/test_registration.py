import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facetgrade.compare.registration import (
    JointView,
    common_contrast,
    match_views,
    register_joint,
)
from facetgrade.compare.rigid import RigidMotion, points_around
from facetgrade.compare.settings import RegistrationSettings
from facetgrade.config_files import read_toml, shipped_path
from facetgrade.findings import JointFrame
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.study import Plane, Sequence, Series, Stack, Study

CENTER = np.array([20.0, 40.0, -30.0])
FRAME = JointFrame(
    center_lps_mm=CENTER,
    cranial=np.array([0.0, 0.0, 1.0]),
    posterior=np.array([0.0, 1.0, 0.0]),
    lateral=np.array([1.0, 0.0, 0.0]),
)
AXES = {
    Plane.AXIAL: ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    Plane.SAGITTAL: ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
}


@pytest.fixture(scope="module")
def settings():
    path = shipped_path("configs/compare.toml")
    return RegistrationSettings.model_validate(read_toml(path)["registration"])


def blobs(points_lps_mm):
    """Smooth anatomy: a dozen blobs of known place and size."""
    rng = np.random.default_rng(5)
    image = np.zeros(points_lps_mm.shape[:-1])
    for place, size, light in zip(
        CENTER + rng.uniform(-20.0, 20.0, (12, 3)),
        rng.uniform(3.0, 7.0, 12),
        rng.uniform(-1.0, 1.0, 12),
        strict=True,
    ):
        distance = np.linalg.norm(points_lps_mm - place, axis=-1)
        image += 100.0 * light * np.exp(-((distance / size) ** 2))
    return image.astype(np.float32)


def series(plane, motion, *, sequence=Sequence.T2_FS):
    """Slices 3 mm apart of the anatomy after a motion."""
    grid = VolumeGeometry.centered(
        center_lps_mm=motion.apply(CENTER),
        axes=AXES[plane],
        spacing_mm=(3.0, 1.0, 1.0),
        shape=(30, 90, 90),
    )
    voxels = blobs(motion.inverse().apply(grid.voxel_centers_lps_mm()))
    stack = Stack(volume=Volume(geometry=grid, voxels=voxels))
    return Series(
        uid=f"{plane}-{sequence}",
        description="",
        sequence=sequence,
        plane=plane,
        stacks=(stack,),
    )


def view(motion, *chosen):
    study = Study(uid="1", source="a", subject="", date="", series=chosen)
    return JointView(study=study, frame=motion.move_frame(FRAME))


@pytest.fixture(scope="module")
def pair():
    still = RigidMotion(np.eye(4))
    rotation = Rotation.from_euler("xyz", (4.0, -5.0, 6.0), degrees=True).as_matrix()
    moved = RigidMotion.from_parts(rotation, np.array([3.0, -2.0, 4.0]))
    planes = (Plane.AXIAL, Plane.SAGITTAL)
    first, second = (view(m, *[series(p, m) for p in planes]) for m in (still, moved))
    return first, second, moved


def displaced(view, shift_mm):
    frame = dataclasses.replace(
        view.frame, center_lps_mm=view.frame.center_lps_mm + shift_mm
    )
    return dataclasses.replace(view, frame=frame)


def test_a_known_motion_is_found_from_a_start_that_is_3_mm_off(pair, settings):
    first, second, moved = pair
    off = displaced(second, np.array([2.0, -2.0, 1.0]))

    found = register_joint(first, off, settings)

    apart_mm = found.motion.distances_mm(moved, points_around(CENTER, 10.0))
    assert apart_mm.max() < 0.3
    assert found.problem == ""
    assert found.error_mm < 0.5
    assert found.similarity > 0.95
    # 3 mm is what the start was off: sqrt(4 + 4 + 1)
    assert found.shift_mm == pytest.approx(3.0, abs=0.4)


def test_a_start_too_far_away_is_a_failure(pair, settings):
    first, second, _ = pair
    off = displaced(second, np.array([30.0, 0.0, 0.0]))
    assert register_joint(first, off, settings).problem != ""


def test_no_common_contrast_means_no_registration(pair, settings):
    first, _, moved = pair
    other = view(moved, series(Plane.AXIAL, moved, sequence=Sequence.T1))
    assert register_joint(first, other, settings) is None
    assert match_views(first, other, settings) is None


def test_the_contrast_with_most_common_planes_is_registered(settings):
    still = RigidMotion(np.eye(4))
    t1 = [series(p, still, sequence=Sequence.T1) for p in (Plane.AXIAL, Plane.SAGITTAL)]
    both = view(still, series(Plane.SAGITTAL, still), *t1)
    contrast, planes = common_contrast(both, both, settings)
    assert (contrast, set(planes)) == (Sequence.T1, {Plane.AXIAL, Plane.SAGITTAL})

import tomllib

import numpy as np
import pytest
from pydantic import ValidationError

from facetgrade.anatomy import Side
from facetgrade.config import shipped_path
from facetgrade.simulate.anatomy import AnatomySettings
from facetgrade.simulate.anatomy.curve import curve_through
from facetgrade.simulate.anatomy.person import draw_person
from facetgrade.simulate.anatomy.posture import Pose, rotation
from facetgrade.simulate.anatomy.proportions import facet_axes
from facetgrade.simulate.anatomy.settings import Span, Spread


def settings(**changes):
    text = shipped_path("configs/simulate.toml").read_text(encoding="utf-8")
    return AnatomySettings(**tomllib.loads(text)["anatomy"] | changes)


def always(**chances):
    return settings(**{f"{name}_probability": p for name, p in chances.items()})


def test_left_joint_normals_point_left_and_forward():
    normal, across, cranial = facet_axes(
        45.0, pitch_deg=0.0, splay_deg=0.0, side=Side.LEFT
    )

    half = np.sqrt(0.5)  # sin and cos of 45 degrees
    np.testing.assert_allclose(normal, [half, -half, 0.0], atol=1e-12)
    np.testing.assert_allclose(across, [half, half, 0.0], atol=1e-12)
    np.testing.assert_allclose(cranial, [0.0, 0.0, 1.0], atol=1e-12)


def test_right_joint_axes_mirror_the_left_ones():
    left = np.stack(facet_axes(40.0, pitch_deg=8.0, splay_deg=6.0, side=Side.LEFT))
    right = np.stack(facet_axes(40.0, pitch_deg=8.0, splay_deg=6.0, side=Side.RIGHT))
    np.testing.assert_allclose(right, left * [-1.0, 1.0, 1.0], atol=1e-12)


def test_forward_tilt_leans_the_cranial_axis_to_the_front():
    left, posterior, cranial = rotation(90.0, 0.0, 0.0)
    np.testing.assert_allclose(left, [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(posterior, [0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(cranial, [0.0, -1.0, 0.0], atol=1e-12)


def test_pose_maps_there_and_back():
    pose = Pose(
        name="L4", center_lps_mm=np.array([3.0, -2.0, 10.0]), axes=rotation(20, 5, -4)
    )
    local = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 6.0]])
    np.testing.assert_allclose(pose.to_local(pose.to_lps(local)), local, atol=1e-12)


def test_curve_coordinates_of_a_straight_spine_are_depth_and_way_down():
    curve = curve_through([[0, 5, 60], [0, 5, 30], [0, 5, 0]], smooth_mm=6.0)

    along, back = curve.locate([5.0, 25.0], [50.0, 20.0])

    # 60 - 50 and 60 - 20 down; 5 - 5 and 25 - 5 behind.
    np.testing.assert_allclose(along, [[10.0, 10.0], [40.0, 40.0]], atol=0.1)
    np.testing.assert_allclose(back, [[0.0, 20.0], [0.0, 20.0]], atol=0.1)


def test_four_lumbar_vertebrae_leave_a_rib_at_l1():
    person = draw_person(
        np.random.default_rng(0), always(four_lumbar=1.0, six_lumbar=0.0)
    )
    assert person.variant.ribbed[-1] == "L1"
    assert person.provenance()["transitional"] == "yes"


def test_six_lumbar_vertebrae_leave_t12_without_ribs():
    person = draw_person(
        np.random.default_rng(0), always(four_lumbar=0.0, six_lumbar=1.0)
    )
    assert person.variant.ribbed[-1] == "T11"
    assert person.provenance()["lumbar_type_vertebrae"] == "6"


def test_a_sacralised_l5_has_a_thin_disc_and_reaches_the_sacrum():
    usual = always(sacralised_l5=0.0, lumbarised_s1=0.0)
    fused = always(sacralised_l5=1.0, lumbarised_s1=0.0)
    ordinary = draw_person(np.random.default_rng(4), usual)
    sacralised = draw_person(np.random.default_rng(4), fused)
    assert sacralised.variant.fused_sides
    assert not ordinary.variant.fused_sides
    assert sacralised.sizes["L5"].disc_height < 0.8 * ordinary.sizes["L5"].disc_height


def test_a_lumbarised_s1_has_a_disc_below():
    person = draw_person(
        np.random.default_rng(1), always(sacralised_l5=0.0, lumbarised_s1=1.0)
    )
    assert person.alignment.disc_height["S1"] > 3.0


def test_lordosis_is_the_angle_between_l1_and_the_sacrum():
    limits = {"low": 45.0, "high": 45.0}
    person = draw_person(np.random.default_rng(2), settings(lordosis_deg=limits))
    lower = person.alignment.tilt["S1"]
    # The axis of L1 lies half a wedge below its upper endplate.
    upper = person.alignment.tilt["L1"] - person.sizes["L1"].wedge_deg / 2.0
    assert lower - upper == pytest.approx(45.0, abs=2.5)


def test_slip_moves_the_upper_body_forward():
    still = settings(listhesis_probability=0.0)
    slipped = settings(
        listhesis_probability=1.0, listhesis_mm={"low": 5.0, "high": 5.0}
    )
    person = draw_person(np.random.default_rng(8), slipped)
    (name,) = person.alignment.slip
    assert person.alignment.slip[name] == 5.0
    assert f"slip_{name}_mm" in person.provenance()
    assert not draw_person(np.random.default_rng(8), still).alignment.slip


def test_drawn_values_stay_within_their_interval():
    spread = Spread(mean=0.0, sd=10.0, low=-1.0, high=1.0)
    rng = np.random.default_rng(0)
    assert all(-1.0 <= spread.draw(rng) <= 1.0 for _ in range(50))


def test_an_interval_with_swapped_ends_is_refused():
    with pytest.raises(ValidationError, match="low <= high"):
        Span(low=2.0, high=1.0)

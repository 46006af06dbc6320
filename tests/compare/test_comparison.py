import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import facetgrade
from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.compare.case_page import render_comparison
from facetgrade.compare.changes import Change, Obstacle
from facetgrade.compare.comparison import compare_time_points, refuse
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.pairing import Examination, Pair
from facetgrade.compare.rigid import RigidMotion, points_around
from facetgrade.compare.settings import CompareSettings
from facetgrade.compare.tables import COLUMNS, change_rows
from facetgrade.config_files import read_shipped

PROMISED = (
    "pair,subject,level,side,baseline_source,followup_source,grade_baseline,"
    "grade_followup,change,reason,effusion_change_mm3,edema_change_mm3,"
    "perimeter_change,registration_error_mm"
)
RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)
LEFT = FacetJoint(Level.L4_L5, Side.LEFT)
MOTION = RigidMotion.from_parts(
    Rotation.from_euler("xyz", (3.0, -2.0, 4.0), degrees=True).as_matrix(),
    np.array([4.0, -3.0, 5.0]),
)
PAIR = Pair(
    name="<b>1</b>",
    subject="subj-9f3a61",
    baseline=Examination(key="a", source="a", subject="", date="2024-05-17"),
    followup=Examination(key="b", source="b", subject="", date="2025-05-17"),
)


@pytest.fixture(scope="module")
def settings():
    return read_shipped("configs/compare.toml", CompareSettings)


@pytest.fixture(scope="module")
def baseline(phantom):
    outcomes = tuple(o for o in phantom.outcomes() if o.joint in (LEFT, RIGHT))
    return TimePoint(study=phantom.study(), report=phantom.report(outcomes))


@pytest.fixture(scope="module")
def followup(baseline):
    """The same patient after a motion, the left joint one grade lower."""
    study = dataclasses.replace(
        MOTION.move_study(baseline.study), uid="1.2.4", content_sha256="d" * 64
    )
    outcomes = []
    for outcome in baseline.report.outcomes:
        frame = MOTION.move_frame(outcome.location.frame)
        location = dataclasses.replace(outcome.location, frame=frame)
        grade = outcome.best
        if outcome.joint == LEFT:
            grade = lowered(grade)
        outcomes.append(
            dataclasses.replace(
                outcome,
                location=location,
                masks=MOTION.move_masks(outcome.masks),
                best=grade,
                per_sequence=(grade,),
            )
        )
    joints = tuple(
        dataclasses.replace(joint, frame=MOTION.move_frame(joint.frame))
        for joint in baseline.report.localization.joints
    )
    localization = dataclasses.replace(baseline.report.localization, joints=joints)
    report = dataclasses.replace(
        baseline.report, outcomes=tuple(outcomes), localization=localization
    )
    return TimePoint(study=study, report=report)


def lowered(grade):
    fraction = dataclasses.replace(grade.extents.perimeter_fraction, value=0.05)
    extents = dataclasses.replace(grade.extents, perimeter_fraction=fraction)
    return dataclasses.replace(grade, grade=grade.grade - 1, extents=extents)


@pytest.fixture(scope="module")
def comparison(baseline, followup, settings):
    return compare_time_points(baseline, followup, settings)


def test_joints_are_matched_and_registered(comparison):
    assert comparison.refusal is None
    left, right = comparison.joints
    assert (left.joint, right.joint) == (LEFT, RIGHT)
    assert (left.change, right.change) == (Change.IMPROVED, Change.UNCHANGED)
    center = right.baseline.location.frame.center_lps_mm
    apart_mm = right.registration.motion.distances_mm(MOTION, points_around(center, 10))
    assert apart_mm.max() < 1.0


def test_the_first_columns_are_the_promised_ones(comparison):
    assert ",".join(COLUMNS).startswith(PROMISED)
    left, right = change_rows(PAIR, comparison.joints)
    assert (left["grade_baseline"], left["grade_followup"]) == ("3", "2")
    assert (left["change"], right["change"]) == ("improved", "unchanged")
    # 0.05 - 0.62
    assert left["perimeter_change"] == "-0.570"
    assert right["effusion_change_mm3"] == "0.0"
    assert float(right["registration_error_mm"]) < 1.0


def changed(point, **study):
    return dataclasses.replace(point, study=dataclasses.replace(point.study, **study))


def test_another_patient_is_refused_with_every_joint(baseline, followup, settings):
    other = changed(followup, subject="subj-other")
    found = compare_time_points(baseline, other, settings)
    assert found.refusal.reason == "different-subjects"
    assert [joint.reason for joint in found.joints] == ["different-subjects"] * 2
    assert all(joint.change is Change.NOT_COMPARABLE for joint in found.joints)


def test_the_same_examination_twice_is_refused(baseline, settings):
    assert compare_time_points(baseline, baseline, settings).refusal.reason == (
        "same-study"
    )


def test_images_of_another_anatomy_are_refused(baseline, followup, settings):
    rng = np.random.default_rng(2)

    def scrambled(series):
        stack = series.stacks[0]
        noise = rng.normal(100.0, 20.0, stack.volume.voxels.shape).astype(np.float32)
        volume = dataclasses.replace(stack.volume, voxels=noise)
        return dataclasses.replace(
            series, stacks=(dataclasses.replace(stack, volume=volume),)
        )

    study = followup.study
    other = changed(followup, series=tuple(scrambled(s) for s in study.series))
    found = compare_time_points(baseline, other, settings)
    assert found.refusal.reason == "different-anatomy"


def test_a_followup_dated_before_the_baseline_is_noted(baseline, followup, settings):
    report = dataclasses.replace(followup.report, date="2020-01-01")
    early = dataclasses.replace(followup, report=report)
    found = compare_time_points(baseline, early, settings)
    assert any("dated before the baseline" in note for note in found.notes)


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [v for k, v in attrs if k in ("href", "src") and v]

    def handle_data(self, text):
        self.text += text


@pytest.fixture(scope="module")
def page(phantom, comparison, baseline, followup, settings):
    return render_comparison(
        PAIR,
        comparison,
        (baseline, followup),
        links=("../../a/report.html", ""),
        context=phantom.context(),
        settings=settings.pictures,
    )


def test_the_page_needs_no_other_file_and_no_script(page):
    found = Page(page)
    assert "script" not in {tag for tag, _ in found.tags}
    outside = [
        link for link in found.links if not re.match(r"#|data:image/jpeg|\.\./", link)
    ]
    assert outside == []
    assert "<b>1</b>" not in page


def test_the_page_shows_both_time_points_in_three_planes(page):
    labels = [attrs.get("aria-label", "") for _, attrs in Page(page).tags]
    for plane in ("axial", "sagittal", "coronal"):
        for what in ("baseline", "follow-up", "difference"):
            shown = [x for x in labels if x.startswith(f"{what}, {plane}")]
            assert len(shown) == 2
        turns = f"baseline and follow-up in turn, {plane}"
        assert labels.count(turns) == 2
    for title in ("Perimeter at baseline", "Perimeter at follow-up", "Difference"):
        assert labels.count(title) == 2


def test_the_page_says_why_at_both_time_points(page):
    text = Page(page).text
    assert "Baseline: why" in text
    assert "Follow-up: why" in text
    assert "Rigid, on T2-FS" in text


def test_a_refused_pair_has_a_page_that_says_why(phantom, settings):
    refusal = Obstacle("unreadable", "It could not be graded.")
    page = render_comparison(
        PAIR,
        refuse([LEFT, RIGHT], refusal, None, None),
        (None, None),
        links=("", ""),
        context=phantom.context(),
        settings=settings.pictures,
    )
    assert "This pair is not compared." in Page(page).text
    assert "It could not be graded." in Page(page).text


def test_two_patients_are_shown_without_any_difference(
    baseline, followup, phantom, settings
):
    other = changed(followup, subject="subj-other")
    page = render_comparison(
        PAIR,
        compare_time_points(baseline, other, settings),
        (baseline, other),
        links=("", ""),
        context=phantom.context(),
        settings=settings.pictures,
    )
    shown = Page(page)
    labels = {attrs.get("aria-label", "") for _, attrs in shown.tags}
    assert "Difference" not in labels
    assert "gone" not in shown.text
    assert "toolbar" not in {attrs.get("class") for _, attrs in shown.tags}
    assert shown.text.count("No picture: the pair is not compared.") == 2


def test_studies_are_compared_with_the_shipped_settings(baseline, followup):
    found = facetgrade.compare_studies(
        baseline.study, baseline.report, followup.study, followup.report
    )
    assert [joint.change for joint in found.joints] == [
        Change.IMPROVED,
        Change.UNCHANGED,
    ]

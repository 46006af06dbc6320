import pytest

import facetgrade
from facetgrade import networks
from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import read_config
from facetgrade.findings import Reason
from facetgrade.inference import Models, Predictor
from facetgrade.pipeline import Request, grade_study
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study


@pytest.fixture(scope="module")
def models():
    return Models(
        localizer=Predictor(networks.build("spine-localizer", channels=[4] * 5).eval()),
        segmenter=Predictor(networks.build("joint-segmenter", channels=[4, 4]).eval()),
        hashes={},
    )


def test_joints_are_asked_for_from_the_top_with_left_first():
    request = Request(levels=(Level.L5_S1, Level.L1_L2, Level.L1_L2))
    assert request.joints == (
        FacetJoint(Level.L1_L2, Side.LEFT),
        FacetJoint(Level.L1_L2, Side.RIGHT),
        FacetJoint(Level.L5_S1, Side.LEFT),
        FacetJoint(Level.L5_S1, Side.RIGHT),
    )


def test_a_study_without_images_has_a_reason_for_every_joint(models):
    study = Study(uid="1.2", source="a", subject="P1", date="2025-03-04", series=())
    watch = Stopwatch()
    report = grade_study(study, models, read_config(), stopwatch=watch)
    assert [outcome.joint for outcome in report.outcomes] == list(Request().joints)
    assert {outcome.reason for outcome in report.outcomes} <= set(Reason)
    assert (report.source, report.subject) == ("a", "P1")
    assert list(report.stage_seconds) == ["localize", "refine", "segment", "grade"]


def test_the_public_names_are_those_of_the_package():
    assert facetgrade.grade_study is grade_study
    assert facetgrade.__version__ == "0.1.0"
    assert "read_studies" in dir(facetgrade)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = facetgrade.nothing

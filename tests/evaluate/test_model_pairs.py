import pytest

from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.evaluate.compare_models import held_out_rows
from facetgrade.evaluate.model_page import models_page
from facetgrade.evaluate.model_pairs import KAPPA, PairedJoint, compare_pairs, judge
from facetgrade.evaluate.model_settings import CompareModelsSettings
from facetgrade.evaluate.summary import Bootstrap
from facetgrade.train.manifest import read_manifest

BOOTSTRAP = Bootstrap(resamples=200, seed=1, coverage=0.95)


def pairs(new, current, truth=(0, 1, 2, 3, 4, 1, 2, 3)):
    """Two joints of each patient; scanner A is of the first two patients."""
    return [
        PairedJoint(
            patient=f"P{k // 2}",
            truth=true,
            new=after,
            current=before,
            factors={"group": "A" if k < 4 else "B", "level": "L4-L5"},
            dice={"edema": (0.7, 0.5)} if k % 2 else {},
        )
        for k, (true, after, before) in enumerate(zip(truth, new, current, strict=True))
    ]


TRUTH = (0, 1, 2, 3, 4, 1, 2, 3)
OFF = (1, 2, 3, 2, 3, 2, 1, 2)  # each one grade away


def test_the_difference_is_new_minus_current_on_the_same_joints():
    section = compare_pairs(pairs(TRUTH, OFF), BOOTSTRAP)

    exact = section["difference"]["exact"]
    assert exact["value"] == pytest.approx(1.0)
    assert (exact["low"], exact["high"]) == (1.0, 1.0)
    assert section["changed"] == 8
    assert section["dice"]["edema"]["difference"]["value"] == pytest.approx(0.2)
    assert set(section["subgroups"]) == {"group"}
    assert section["subgroups"]["group"]["A"]["joints"] == 4


def test_equal_models_differ_by_exactly_nothing():
    section = compare_pairs(pairs(OFF, OFF), BOOTSTRAP)

    for estimate in section["difference"].values():
        assert (estimate["value"], estimate["low"], estimate["high"]) == (0, 0, 0)
    verdict, reasons = judge(section, None, loss=0.0, benchmark_loss=0.02)
    assert verdict == "not worse"
    assert reasons[1] == "benchmark: not run"


def test_a_gain_at_home_does_not_hide_a_loss_elsewhere():
    gain = compare_pairs(pairs(TRUTH, OFF), BOOTSTRAP)
    loss = compare_pairs(pairs(OFF, TRUTH), BOOTSTRAP)

    assert judge(gain, None, loss=0.0, benchmark_loss=0.02)[0] == "better"
    assert judge(gain, loss, loss=0.0, benchmark_loss=0.02)[0] == "worse"
    assert judge(loss, gain, loss=0.0, benchmark_loss=0.02)[0] == "worse"


def test_a_loss_within_what_is_allowed_is_not_worse():
    section = compare_pairs(pairs(TRUTH, TRUTH), BOOTSTRAP)
    section["difference"][KAPPA] = {"value": -0.015, "low": -0.03, "high": 0.0}
    same = compare_pairs(pairs(TRUTH, TRUTH), BOOTSTRAP)

    assert judge(same, section, loss=0.0, benchmark_loss=0.02)[0] == "not worse"
    assert judge(section, None, loss=0.0, benchmark_loss=0.02)[0] == "worse"


def test_the_page_shows_both_models_and_the_subgroups():
    result = {
        "made": {"date": "2026-01-01", "version": "1"},
        "new": {"name": "site-1", "sha256": "a" * 64},
        "current": {"name": "segmenter", "sha256": "b" * 64},
        "manifest_sha256": "c" * 64,
        "held_out": ["P0", "P1"],
        "verdict": "better",
        "reasons": ["held-out cases: kappa +0.1"],
        "own": compare_pairs(pairs(TRUTH, OFF), BOOTSTRAP),
        "benchmark": None,
    }

    page = models_page(result)

    assert "site-1 against segmenter" in page
    assert "Dice of edema" in page
    assert "group A" in page
    result["current"]["name"] = "site-1"
    assert "site-1 (aaaaaaaa) against site-1 (bbbbbbbb)" in models_page(result)


def test_only_graded_rows_of_locked_test_subjects_are_compared(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(
        "subject,source,level,side,grade,mask,split\n"
        "P1,a,L4-L5,left,2,,train\nP2,b,L4-L5,left,1,,\nP2,b,L4-L5,right,,m.nii,\n"
    )
    splits = tmp_path / "splits.csv"
    splits.write_text("subject,split\nP1,train\nP2,test\n")

    rows = held_out_rows(read_manifest(path), splits)

    assert [row.number for row in rows] == [2]
    with pytest.raises(ConfigError, match="no graded case is in the split test"):
        held_out_rows(read_manifest(path), None)


def test_the_shipped_settings_can_be_read():
    settings = read_settings(
        shipped_path("configs/compare_models.toml"), CompareModelsSettings
    )

    assert settings.verdict.largest_benchmark_loss == 0.02

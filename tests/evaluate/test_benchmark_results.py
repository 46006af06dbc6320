from dataclasses import replace

import numpy as np
import pytest

from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.benchmark_page import benchmark_page, headline_table
from facetgrade.evaluate.results import benchmark_result, figures_of
from facetgrade.evaluate.rows import ComparedJoint, row_from_json, row_to_json
from facetgrade.evaluate.settings import DefinitionSettings, EvaluateSettings, Target
from facetgrade.evaluate.summary import Bootstrap

DEFINITIONS = DefinitionSettings(
    tolerance_mm=10.0,
    surface_tolerance_mm=1.0,
    floor_mm3=20.0,
    least_effusion_mm=1.0,
    min_covered=0.9,
    metal_mm=12.0,
)
BOOTSTRAP = Bootstrap(resamples=40, seed=1, coverage=0.95)
TARGETS = {
    "right": Target(label="level and side right", at_least=0.9),
    "median_mm": Target(label="center error", at_most=3.0),
}


def joint(patient="p0", *, truth=2, grade=2, error_mm=1.0, right=True, **changes):
    graded = grade != UNGRADABLE
    values = {
        "study": f"{patient}_1",
        "patient": patient,
        "timepoint": "1",
        "level": "L4-L5",
        "side": "left",
        "factors": {"field": "3T"},
        "truth_grade": truth,
        "grade": grade,
        "reason": "" if graded else "metal",
        "probabilities": np.eye(5)[grade].tolist() if graded else (),
        "grade_set": (grade,) if graded else (),
        "located": not np.isnan(error_mm),
        "right": right,
        "level_right": right,
        "side_right": True,
        "error_mm": error_mm,
        "cranial_mm": error_mm,
        "posterior_mm": 0.0,
        "lateral_mm": 0.0,
        "level_probability": 0.9,
        "predicted": {"effusion_mm3": 200.0, "edema_mm3": 0.0},
        "truth": {"effusion_mm3": 100.0, "effusion_width_mm": 2.0, "edema_mm3": 0.0},
        "overlap": {"effusion": {"dice": 0.8, "hd95_mm": 1.5}},
        "flags": (),
    }
    return ComparedJoint(**{**values, **changes})


def summarize(rows):
    return benchmark_result(
        rows, bootstrap=BOOTSTRAP, definitions=DEFINITIONS, targets=TARGETS
    )


def test_refusals_are_counted_where_right_and_where_wrong():
    rows = [
        joint(truth=UNGRADABLE, grade=UNGRADABLE),
        joint(truth=UNGRADABLE, grade=2),
        joint(grade=UNGRADABLE),
        joint(),
    ]

    assert summarize(rows)["refusals"] == {
        "not_gradable": {"joints": 2, "refused": 1, "reasons": {"metal": 1}},
        "gradable": {"joints": 2, "refused": 1, "reasons": {"metal": 1}},
    }


def test_headline_says_which_targets_are_met():
    rows = [joint("p0"), joint("p1", error_mm=36.0, right=False)]

    headline = summarize(rows)["headline"]

    # one of two right; errors 1 and 36, median 18.5
    assert [figure["estimate"]["value"] for figure in headline] == [0.5, 18.5]
    assert [figure["met"] for figure in headline] == [False, False]


def test_a_joint_that_was_not_located_does_not_improve_the_median():
    rows = [joint("p0"), *[joint(f"q{i}", error_mm=np.nan) for i in range(2)]]

    places = summarize(rows)["localization"]

    assert places["median_mm"]["value"] is None  # infinitely far
    assert places["located"]["value"] == pytest.approx(1 / 3, abs=1e-6)


def test_a_missed_lesion_has_dice_zero():
    rows = [joint("p0"), joint("p1", overlap={}), joint("p2")]

    overlap = summarize(rows)["overlap"]["effusion"]

    assert overlap["mean_dice"]["value"] == pytest.approx(1.6 / 3, abs=1e-6)
    assert overlap["hd95_mm"]["value"] == pytest.approx(1.5)


def test_dice_counts_gradable_joints_and_those_of_all_stand_apart():
    outlines = {"effusion": {"dice": 0.5}, "edema": {"dice": 0.9}}
    sick = {"effusion_mm3": 90.0, "effusion_width_mm": 2.0, "edema_mm3": 90.0}
    good = joint("p0", overlap=outlines)
    refused = joint("p1", grade=UNGRADABLE, overlap={})  # gradable, not outlined
    outside = joint("p2", truth=UNGRADABLE, overlap={})
    rows = [replace(row, truth=sick) for row in (good, refused, outside)]

    overlap = summarize(rows)["overlap"]
    means = {name: one["mean_dice"]["value"] for name, one in overlap.items()}

    assert means["effusion"] == means["fluid"] == pytest.approx(0.5 / 2)
    assert means["edema"] == pytest.approx(0.9 / 2)
    assert means["effusion_anywhere"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert means["edema_anywhere"] == pytest.approx(0.9 / 3, abs=1e-6)
    figures = figures_of(summarize(rows))
    assert figures["edema_dice"]["value"] == means["edema"]
    assert figures["edema_dice_anywhere"]["value"] == means["edema_anywhere"]


def test_the_shipped_targets_show_dice_of_all_joints_beside_that_of_gradable_ones():
    shipped = read_settings(shipped_path("configs/evaluate.toml"), EvaluateSettings)
    sick = {"effusion_mm3": 90.0, "effusion_width_mm": 2.0, "edema_mm3": 90.0}
    rows = [
        replace(
            joint(f"p{n}", truth=truth, overlap={"edema": {"dice": dice}}), truth=sick
        )
        for n, (truth, dice) in enumerate([(2, 0.8), (UNGRADABLE, 0.2)])
    ]

    result = benchmark_result(
        rows,
        bootstrap=BOOTSTRAP,
        definitions=DEFINITIONS,
        targets={"edema_dice": shipped.targets["edema_dice"]},
    )

    assert [row[1].split(" ")[0] for row in headline_table(result).rows] == [
        "0.800",
        "0.500",
    ]
    effusion = shipped.targets["effusion_dice"]
    assert list(effusion.beside) == ["effusion_dice_anywhere", "fluid_dice"]


def test_the_film_of_a_healthy_joint_is_fluid_but_no_effusion():
    film = {"effusion_mm3": 60.0, "effusion_width_mm": 0.4, "edema_mm3": 0.0}
    healthy = joint("p1", overlap={"effusion": {"dice": 0.2}})
    rows = [joint("p0"), replace(healthy, truth=film)]

    overlap = summarize(rows)["overlap"]

    assert overlap["effusion"]["mean_dice"]["value"] == pytest.approx(0.8)
    assert overlap["fluid"]["mean_dice"]["value"] == pytest.approx(0.5)


def test_a_figure_without_a_bound_stands_beside_the_one_it_completes():
    film = {"effusion_mm3": 60.0, "effusion_width_mm": 0.4}
    thin = joint("p1", overlap={"effusion": {"dice": 0.2}})
    target = Target(label="effusion", at_least=0.75, beside={"fluid_dice": "all"})

    result = benchmark_result(
        [joint("p0"), replace(thin, truth=film)],
        bootstrap=BOOTSTRAP,
        definitions=DEFINITIONS,
        targets={"effusion_dice": target},
    )

    (figure,) = result["headline"]
    assert figure["met"]  # 0.8
    assert figure["beside"][0]["estimate"]["value"] == pytest.approx(0.5)
    rows = headline_table(result).rows
    assert [row[0] for row in rows] == ["effusion", "all"]
    assert rows[1][1].startswith("0.500 [")
    assert rows[1][2:] == ("", "")


def test_a_target_can_ask_for_some_studies_only():
    rows = [
        joint("p0", factors={"motion": "yes"}),
        joint("p1", right=False, factors={"motion": "no"}),
    ]
    target = Target(
        label="moved", figure="right", factor="motion", value="yes", at_least=0.9
    )

    result = benchmark_result(
        rows, bootstrap=BOOTSTRAP, definitions=DEFINITIONS, targets={"moved": target}
    )

    assert result["headline"][0]["estimate"]["value"] == 1.0
    assert result["headline"][0]["met"]


def test_a_wrong_level_that_was_flagged_misleads_nobody():
    rows = [
        joint("p0", right=False),
        joint("p1", right=False, flags=("level-uncertain",)),
        joint("p2", right=False, grade=UNGRADABLE),
        joint("p3"),
    ]

    places = summarize(rows)["localization"]

    assert places["right"]["value"] == 0.25
    assert places["right_or_flagged"]["value"] == 0.75


def test_a_study_that_could_not_be_read_is_not_right():
    rows = [joint("p0", right=False, grade=UNGRADABLE, reason="failed"), joint("p1")]

    assert summarize(rows)["localization"]["right_or_flagged"]["value"] == 0.5


def test_flags_on_right_levels_are_counted():
    rows = [joint("p0", flags=("level-uncertain",)), joint("p1")]

    assert summarize(rows)["localization"]["flagged_though_right"]["value"] == 0.5


def test_a_target_of_one_factor_needs_a_figure_that_is_told_by_factor():
    target = Target(label="x", figure="ece", factor="motion", value="no", at_most=0.1)

    with pytest.raises(ConfigError, match="ece is not told by factor"):
        benchmark_result(
            [joint("p0", factors={"motion": "no"})],
            bootstrap=BOOTSTRAP,
            definitions=DEFINITIONS,
            targets={"x": target},
        )


def test_what_stands_beside_a_target_of_one_factor_is_told_by_factor():
    target = Target(
        label="x", factor="motion", value="no", at_most=1.0, beside={"ece": "y"}
    )

    with pytest.raises(ConfigError, match="target exact: ece is not told by factor"):
        benchmark_result(
            [joint("p0", factors={"motion": "no"})],
            bootstrap=BOOTSTRAP,
            definitions=DEFINITIONS,
            targets={"exact": target},
        )


def test_a_factor_goes_with_a_value():
    with pytest.raises(ValueError, match="factor and value together"):
        Target(label="x", factor="motion", at_most=0.1)


def test_coverage_is_told_for_each_value_of_a_factor():
    rows = [
        joint("p0", factors={"motion": "yes"}, grade_set=(1, 2)),
        joint("p1", factors={"motion": "no"}, grade_set=(1,)),
    ]

    factors = summarize(rows)["factors"]

    assert factors["motion"]["yes"]["coverage"]["value"] == 1.0
    assert factors["motion"]["no"]["coverage"]["value"] == 0.0


def test_outlines_are_judged_only_where_the_lesion_is_present():
    assert summarize([joint("p0"), joint("p1")])["overlap"]["edema"] == {}


def test_volume_bias_is_the_geometric_mean_ratio():
    rows = [joint(f"p{i}") for i in range(4)]

    assert summarize(rows)["volumes"]["effusion_mm3"]["bias_ratio"][
        "value"
    ] == pytest.approx(2.0)


def test_factors_with_one_value_are_left_out():
    rows = [joint("p0"), joint("p1", side="right")]

    factors = summarize(rows)["factors"]

    assert set(factors) == {"side"}
    assert set(factors["side"]) == {"left", "right"}


def test_change_pairs_time_points_of_one_patient():
    rows = [
        joint("p0", truth=4, grade=3),
        joint("p0", truth=1, grade=1, timepoint="2", study="p0_2"),
    ]

    change = summarize(rows)["change"]

    assert change["counts"] == {"pairs": 1, "changed": 1}
    assert change["change"]["direction_right"]["value"] == 1.0


def test_rows_survive_a_round_trip_through_json():
    row = joint("p0", grade=UNGRADABLE, error_mm=np.nan, overlap={"edema": {}})

    back = row_from_json(row_to_json(row))

    assert row_to_json(back) == row_to_json(row)
    assert np.isnan(back.error_mm)


def test_page_is_self_contained_and_lists_failures():
    rows = [
        joint("p0", factors={"field": "1.5T"}),
        joint("p1", error_mm=36.0, right=False),
        joint("p2", grade=UNGRADABLE),
        joint("p3", truth=4, grade=1),
        joint("p4", truth=UNGRADABLE, grade=UNGRADABLE),
    ]
    html = benchmark_page(summarize(rows), rows, [("commit", "<abc>")], floor_mm3=20.0)

    assert "http://" not in html.replace("http://www.w3.org", "")
    assert 'src="data:image/svg+xml;base64,' in html
    assert "wrong level or side" in html
    assert "off by -3" in html
    assert "&lt;abc&gt;" in html


def test_a_target_needs_exactly_one_bound():
    for bounds in ({}, {"at_most": 1.0, "holds": 0.9}):
        with pytest.raises(ValueError, match="give at_least, at_most or holds"):
            Target(label="x", **bounds)


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        ({"at_least": 0.9}, False),
        ({"at_most": 0.9}, True),
        ({"holds": 0.9}, True),
        ({"holds": 0.92}, False),
        ({"at_least": 0.80, "limit": "low"}, True),
        ({"at_least": 0.85, "limit": "low"}, False),
        ({"at_most": 0.90, "limit": "high"}, False),
        ({"at_most": 0.91, "limit": "high"}, True),
    ],
)
def test_a_target_looks_at_the_value_or_at_its_interval(bound, met):
    estimate = {"value": 0.87, "low": 0.80, "high": 0.91}
    assert Target(label="x", **bound).is_met(estimate) is met


def test_a_limit_is_undefined_with_one_patient_and_misses_its_target():
    estimate = {"value": 0.9, "low": None, "high": None}
    assert not Target(label="x", at_least=0.5, limit="low").is_met(estimate)


def test_an_interval_that_holds_a_value_has_no_limit_to_judge():
    with pytest.raises(ValueError, match="limit goes with at_least or at_most"):
        Target(label="x", holds=0.9, limit="low")


def test_headline_tells_which_limit_was_judged():
    target = Target(label="lower", figure="right", limit="low", at_least=0.5)
    rows = [joint("p0"), joint("p1", right=False), joint("p2"), joint("p3")]

    result = benchmark_result(
        rows, bootstrap=BOOTSTRAP, definitions=DEFINITIONS, targets={"lower": target}
    )

    (figure,) = result["headline"]
    assert figure["limit"] == "low"
    assert figure["judged"] == figure["estimate"]["low"] < figure["estimate"]["value"]
    _, reached, bound, _ = headline_table(result).rows[0]
    assert reached == f"lower limit {figure['judged']:.3f}"
    assert bound == "lower limit at least 0.5"


def test_an_interval_without_limits_holds_nothing():
    estimate = {"value": 0.9, "low": None, "high": None}
    assert not Target(label="x", holds=0.9).is_met(estimate)


def test_an_undefined_figure_misses_its_target():
    assert not Target(label="x", at_most=1.0).is_met(None)

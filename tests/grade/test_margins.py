import numpy as np
import pytest

from facetgrade.findings import Interval
from facetgrade.grade.margins import (
    MEASURES,
    fit_margins,
    interval_coverage,
    widen_intervals,
)
from facetgrade.grade.settings import Margin, MarginSettings

ABSENT = {"soft_tissue_edema_mm3": 0.0, "marrow_edema_mm3": 0.0}


def truth(**values):
    return {
        "effusion_mm3": 80.0,
        "effusion_width_mm": 0.5,
        "perimeter_fraction": 0.0,
        **ABSENT,
        **values,
    }


def errors(build_extents, *, seed, joints):
    """Widths with an error of 0.5 mm and a far too narrow interval."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(2.0, 4.0, joints)
    found = true + rng.normal(0.0, 0.5, joints)
    measured = [
        build_extents(effusion_width_mm=Interval(w, w - 0.1, w + 0.1)) for w in found
    ]
    return measured, [truth(effusion_width_mm=float(w)) for w in true]


def test_margins_reach_the_coverage_on_new_joints(build_extents):
    margins = fit_margins(*errors(build_extents, seed=1, joints=400), coverage=0.9)
    measured, true = errors(build_extents, seed=2, joints=400)

    widened = [widen_intervals(extents, margins) for extents in measured]
    before = interval_coverage(measured, true)["effusion_width_mm"]
    after = interval_coverage(widened, true)["effusion_width_mm"]

    # 1.645 * 0.5 - 0.1 = 0.72 mm at each end
    assert margins.effusion_width_mm.above == pytest.approx(0.72, abs=0.12)
    assert before[0] < 0.3
    assert after == (pytest.approx(0.9, abs=0.04), 400)


def test_a_volume_is_widened_by_a_ratio(build_extents, shipped):
    margins = shipped.confidence.margins.model_copy(
        update={"effusion_mm3": Margin(below=np.log(2.0), above=np.log(2.0))}
    )
    extents = build_extents(effusion_mm3=Interval(100.0, 70.0, 170.0))

    widened = widen_intervals(extents, margins).effusion_mm3

    # (70 + 30) / 2 - 30 = 20; (170 + 30) * 2 - 30 = 370
    assert (widened.value, widened.low) == (100.0, pytest.approx(20.0))
    assert widened.high == pytest.approx(370.0)


def test_intervals_stay_possible_and_hold_their_value(build_extents, shipped):
    wide = Margin(below=0.6, above=0.6)
    narrow = Margin(below=-9.0, above=-9.0)
    margins = shipped.confidence.margins.model_copy(
        update={"perimeter_fraction": wide, "effusion_width_mm": narrow}
    )
    extents = build_extents(
        perimeter_fraction=Interval(0.5, 0.45, 0.55),
        effusion_width_mm=Interval(2.0, 1.5, 2.5),
    )

    widened = widen_intervals(extents, margins)

    assert widened.perimeter_fraction == Interval(0.5, 0.0, 1.0)
    assert widened.effusion_width_mm == Interval(2.0, 2.0, 2.0)


def test_too_few_joints_change_nothing(build_extents):
    # both ends at 5 % need 19 joints: 1 / 0.05 - 1
    margins = fit_margins(*errors(build_extents, seed=1, joints=18), coverage=0.9)
    assert margins.effusion_width_mm == Margin(below=0.0, above=0.0)


def test_joints_without_the_finding_do_not_count(build_extents):
    measured, true = errors(build_extents, seed=1, joints=5)
    assert interval_coverage(measured, true)["marrow_edema_mm3"][1] == 0


def test_a_finding_that_is_not_seen_at_all_gets_no_margin(build_extents):
    wide = Margin(below=0.1, above=0.3)
    margins = MarginSettings(**dict.fromkeys(MEASURES, wide))
    absent, seen = (
        widen_intervals(build_extents(perimeter_fraction=fraction), margins)
        for fraction in (0.0, 0.2)
    )
    assert absent.perimeter_fraction.high == 0.0
    assert seen.perimeter_fraction.high > 0.2

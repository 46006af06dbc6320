import numpy as np
import pytest
from pydantic import ValidationError

from facetgrade.findings import Interval
from facetgrade.grade.correction import correct_extents, fit_correction, grade_contrast
from facetgrade.grade.settings import CorrectionSettings, Curve

POINTS = (0.0, 0.5, 1.0, 2.0)
SAME = Curve(measured=POINTS, true=POINTS)
FRACTION = Curve(measured=(0.0, 0.5, 1.0), true=(0.0, 0.5, 1.0))
START = CorrectionSettings(effusion_width_mm=SAME, perimeter_fraction=FRACTION)


def corrected_by(**curves):
    return START.model_copy(update=curves)


def test_a_curve_that_changes_nothing_leaves_everything(build_extents):
    extents = build_extents(
        effusion_width_mm=Interval(3.0, 2.5, 3.2),
        perimeter_fraction=Interval(0.4, 0.3, 0.6),
    )
    corrected = correct_extents(extents, START)
    assert corrected.effusion_width_mm == extents.effusion_width_mm
    assert corrected.perimeter_fraction == extents.perimeter_fraction


def test_values_are_read_off_the_curve_and_beyond_it_grow_alike(build_extents):
    narrow = Curve(measured=POINTS, true=(0.0, 0.2, 0.8, 2.2))
    extents = build_extents(effusion_width_mm=Interval(1.5, 0.5, 3.0))

    width = correct_extents(
        extents, corrected_by(effusion_width_mm=narrow)
    ).effusion_width_mm

    assert (width.value, width.low, width.high) == pytest.approx((1.5, 0.2, 3.2))


def test_nothing_stays_nothing_and_a_fraction_never_exceeds_one(build_extents):
    more = Curve(measured=(0.0, 0.5, 1.0), true=(0.0, 0.7, 1.2))
    correction = corrected_by(perimeter_fraction=more)
    none = correct_extents(build_extents(perimeter_fraction=0.0), correction)
    all_of_it = correct_extents(build_extents(perimeter_fraction=0.95), correction)
    assert none.perimeter_fraction.value == 0.0
    assert all_of_it.perimeter_fraction.value == 1.0


def test_the_height_fraction_follows_only_if_it_grades(build_extents):
    more = Curve(measured=(0.0, 0.5, 1.0), true=(0.0, 0.6, 1.0))
    same, other = Interval(0.5, 0.5, 0.5), Interval(0.3, 0.3, 0.3)
    for by_height, expected in ((same, 0.6), (other, 0.3)):
        extents = build_extents(
            perimeter_fraction=same, perimeter_fraction_height_30=by_height
        )
        corrected = correct_extents(extents, corrected_by(perimeter_fraction=more))
        assert corrected.perimeter_fraction_height_30.value == pytest.approx(expected)


def test_the_fit_finds_the_error_of_thin_films(build_extents):
    """Films look half a voxel wider, wide effusions narrower than they are."""
    rng = np.random.default_rng(3)
    true = rng.uniform(0.1, 3.0, 300)
    seen = 0.5 + 0.7 * true + rng.normal(0.0, 0.1, 300)
    curve = Curve(measured=(0.0, 0.6, 1.0, 1.5, 3.0), true=(0.0, 0.6, 1.0, 1.5, 3.0))
    fitted = fit_correction(
        [build_extents(effusion_width_mm=float(w)) for w in seen],
        [{"effusion_width_mm": t, "perimeter_fraction": 0.0} for t in true],
        corrected_by(effusion_width_mm=curve),
    )
    found = fitted.effusion_width_mm
    for width, expected in ((1.0, 0.71), (1.5, 1.43), (2.4, 2.71)):
        read = np.interp(width, found.measured, found.true)
        assert read == pytest.approx(expected, abs=0.08)
    # No joint has a perimeter, so nothing is known of it.
    assert fitted.perimeter_fraction == FRACTION


def test_widths_beyond_the_last_point_that_are_right_change_nothing(build_extents):
    widths = np.linspace(0.2, 8.0, 100).tolist()
    fitted = fit_correction(
        [build_extents(effusion_width_mm=width) for width in widths],
        [{"effusion_width_mm": width, "perimeter_fraction": 0.0} for width in widths],
        START,
    )
    assert fitted.effusion_width_mm.true == pytest.approx(POINTS)


def test_few_joints_hardly_move_the_curve(build_extents):
    fitted = fit_correction(
        [build_extents(effusion_width_mm=1.0)],
        [{"effusion_width_mm": 2.0, "perimeter_fraction": 0.0}],
        START,
    )
    curve = fitted.effusion_width_mm
    assert 1.0 < np.interp(1.0, curve.measured, curve.true) < 1.5


@pytest.mark.parametrize(
    ("measured", "true"),
    [
        ((0.0, 1.0), (0.0, 1.0, 2.0)),
        ((0.0, 1.0, 1.0), (0.0, 1.0, 2.0)),
        ((0.5, 1.0), (0.0, 1.0)),
        ((0.0, 1.0, 2.0), (0.0, 2.0, 1.0)),
    ],
)
def test_a_curve_must_rise_from_zero(measured, true):
    with pytest.raises(ValidationError):
        Curve(measured=measured, true=true)


def test_the_trace_says_what_the_outlines_show(build_joint, shipped):
    """A film of 1.2 mm that counts as less than half of it is normal."""
    half = Curve(measured=(0.0, 4.0), true=(0.0, 1.6))
    confidence = shipped.confidence.model_copy(
        update={"correction": corrected_by(effusion_width_mm=half)}
    )
    settings = shipped.model_copy(update={"confidence": confidence})
    masks = build_joint(effusion=lambda grid: grid.slab(1.2))

    outlined, corrected = (
        grade_contrast(masks, shipped),
        grade_contrast(masks, settings),
    )

    assert outlined.grade == 1
    assert corrected.grade == 0
    assert corrected.extents.effusion_width_mm.value == pytest.approx(0.5, abs=0.1)
    assert "effusion width 1.19 mm, corrected to 0.48 mm" in corrected.trace[-1]
    assert not any("corrected" in sentence for sentence in outlined.trace)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetgrade.evaluate.agreement import (
    UNGRADABLE,
    agreement_statistics,
    confusion_matrix,
    gwet_ac2,
    identity_weights,
    linear_weights,
    ordinal_weights,
    prevalence,
    quadratic_weights,
    weighted_kappa,
)

# Cohen J. Psychol Bull 1968;70:213-220, table 1: proportions and disagreement weights.
COHEN_SHARES = np.array([[0.44, 0.07, 0.09], [0.05, 0.20, 0.05], [0.01, 0.03, 0.06]])
COHEN_DISAGREEMENT = np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])

# Boyd NF et al. J Natl Cancer Inst 1982;68:357-363, 85 xeromammograms; the worked
# example of Altman DG, Practical Statistics for Medical Research 1991, p. 403-405, and
# of the Stata reference manual, entry "kappa".
XEROMAMMOGRAMS = np.array(
    [[21, 12, 0, 0], [4, 17, 1, 0], [3, 9, 15, 2], [0, 0, 0, 1]], float
)

# Gwet KL. Handbook of Inter-Rater Reliability, 4th ed. 2014: two abstractors; values
# published with the author's R package irrCAC 1.0 (data set cont3x3abstractors).
ABSTRACTORS = np.array([[13, 0, 0], [0, 20, 7], [0, 4, 56]], float)


def test_kappa_and_weighted_kappa_are_those_of_cohen_1968():
    weights = 1.0 - COHEN_DISAGREEMENT / 6.0

    assert weighted_kappa(COHEN_SHARES, identity_weights(3)) == pytest.approx(
        0.492, abs=5e-4
    )
    assert weighted_kappa(COHEN_SHARES, weights) == pytest.approx(0.348, abs=5e-4)


@pytest.mark.parametrize(
    ("weights", "published"),
    [
        (identity_weights(4), 0.4728),
        (linear_weights(4), 0.5684),
        (quadratic_weights(4), 0.6714),
    ],
)
def test_kappas_of_the_xeromammograms_are_the_published_ones(weights, published):
    assert weighted_kappa(XEROMAMMOGRAMS, weights) == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(
    ("weights", "published"),
    [(identity_weights(3), 0.8493305), (quadratic_weights(3), 0.9402369)],
)
def test_gwet_coefficients_of_the_abstractors_are_the_published_ones(
    weights, published
):
    assert gwet_ac2(ABSTRACTORS, weights) == pytest.approx(published, abs=5e-8)


def test_ordinal_weights_count_the_pairs_of_grades_between():
    # C(2, 2) = 1, C(3, 2) = 3, C(4, 2) = 6 and C(5, 2) = 10 of C(5, 2) = 10
    assert ordinal_weights(5)[0] == pytest.approx([1.0, 0.9, 0.7, 0.4, 0.0])


def test_ac2_stays_high_where_kappa_falls_for_one_prevailing_grade():
    # 96 of 100 pairs are 0-0, the rest disagree
    confusion = np.array([[96.0, 2.0], [2.0, 0.0]])

    assert weighted_kappa(confusion, identity_weights(2)) < 0.0
    # pi = .98, .02; chance = 2 * (.98 * .02 + .02 * .98) / 2 = .0392
    assert gwet_ac2(confusion, identity_weights(2)) == pytest.approx(
        (0.96 - 0.0392) / (1 - 0.0392)
    )


def test_kappa_is_undefined_when_both_give_one_grade_only():
    confusion = confusion_matrix([2, 2, 2], [2, 2, 2])

    assert np.isnan(weighted_kappa(confusion, quadratic_weights()))


def test_confusion_has_truth_in_rows_and_leaves_out_ungradable_joints():
    confusion = confusion_matrix([0, 3, 4, UNGRADABLE], [1, 3, UNGRADABLE, 2])

    assert confusion.sum() == 2
    assert confusion[0, 1] == 1
    assert confusion[3, 3] == 1


def test_an_ungradable_prediction_is_wrong_where_the_truth_is_gradable():
    truth = [0, 2, 4, 3, UNGRADABLE]
    predicted = [0, 3, 1, UNGRADABLE, UNGRADABLE]

    statistics = agreement_statistics(truth, predicted)

    # four gradable joints, one exact, one off by one, one off by three, one ungraded
    assert statistics["exact"] == pytest.approx(1 / 4)
    assert statistics["within_one"] == pytest.approx(2 / 4)
    assert statistics["exact_graded"] == pytest.approx(1 / 3)
    assert statistics["within_one_graded"] == pytest.approx(2 / 3)
    assert statistics["graded_share"] == pytest.approx(3 / 4)
    # the ungraded one, truly 3, is taken for 0
    filled = agreement_statistics(truth[:4], [0, 3, 1, 0])["kappa_quadratic"]
    assert statistics["kappa_quadratic_missing"] == pytest.approx(filled)


def test_nothing_graded_is_nothing_right():
    statistics = agreement_statistics([0, 1], [UNGRADABLE, UNGRADABLE])

    assert statistics["exact"] == 0.0
    assert np.isnan(statistics["kappa_quadratic"])


def test_prevalence_is_over_the_graded_joints():
    assert prevalence([0, 0, 4, UNGRADABLE])[0] == pytest.approx(2 / 3)


def test_a_grade_outside_the_scale_is_refused():
    with pytest.raises(ValueError, match=r"grades must be 0-4 or -1, got 0-5"):
        confusion_matrix([0, 5], [0, 0])


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        confusion_matrix([0, 1], [0])


@settings(deadline=None)  # the clock of a busy machine is no property
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2))
def test_kappa_and_ac2_do_not_depend_on_who_is_called_truth(pairs):
    confusion = confusion_matrix(*zip(*pairs, strict=True))

    for coefficient in (weighted_kappa, gwet_ac2):
        one_way = coefficient(confusion, quadratic_weights())
        other_way = coefficient(confusion.T, quadratic_weights())
        np.testing.assert_allclose(one_way, other_way, atol=1e-12)

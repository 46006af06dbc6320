"""Whether two examinations are of one spine whose levels have the same names."""

import pytest

from facetgrade.compare.identity import AnatomyMatch, why_anatomy_differs
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import read_shipped


@pytest.fixture(scope="module")
def settings():
    shipped = read_shipped("configs/compare.toml", CompareSettings).identity
    return shipped.model_copy(update={"minimum_similarity": 0.7, "level_margin": 0.05})


@pytest.mark.parametrize(("shift", "way"), [(1, "lower"), (-1, "higher")])
def test_names_that_are_one_level_off_are_refused_with_an_advice(settings, shift, way):
    found = why_anatomy_differs(
        AnatomyMatch(similarity={0: 0.80, shift: 0.92, -shift: 0.6}), settings
    )
    assert found.reason == "different-levels"
    assert f"one level {way} (correlation 0.92 against 0.80)" in found.explanation
    assert "Give an anchor" in found.explanation


@pytest.mark.parametrize(
    "similarity",
    [{0: 0.9, 1: 0.8, -1: 0.8}, {0: 0.88, 1: 0.92}, {1: 0.9}, {}],
    ids=["as named", "within the margin", "level not shared", "nothing shared"],
)
def test_names_are_believed_unless_another_level_fits_better(settings, similarity):
    assert why_anatomy_differs(AnatomyMatch(similarity=similarity), settings) is None


def test_spines_that_fit_nowhere_are_of_two_patients(settings):
    found = why_anatomy_differs(AnatomyMatch(similarity={0: 0.6, 1: 0.5}), settings)
    assert found.reason == "different-anatomy"

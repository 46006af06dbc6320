import numpy as np
import pytest

from facetgrade.anatomy import Lesion
from facetgrade.segment.doubt import DOUBTFUL, doubt_lesions
from facetgrade.segment.settings import BeliefSettings

VOXEL_MM3 = 2.0


def doubted(probability, **changes):
    settings = {"threshold": 0.5, "smallest_mm3": 0.0, "least_mean_probability": 0.0}
    belief = {Lesion.MARROW_EDEMA: BeliefSettings(**(settings | changes))}
    lesions = {Lesion.MARROW_EDEMA: np.array([[probability]], np.float32)}
    return doubt_lesions(lesions, belief, VOXEL_MM3)[Lesion.MARROW_EDEMA][0, 0]


def test_a_piece_below_the_smallest_volume_leaves_the_mask():
    found = doubted([0.9, 0.9, 0.0, 0.9], smallest_mm3=4.0)
    assert found.tolist() == pytest.approx([0.9, 0.9, 0.0, DOUBTFUL])


def test_a_faint_piece_leaves_the_mask_and_keeps_its_faint_rim():
    found = doubted([0.3, 0.6, 0.8, 0.0, 0.9], least_mean_probability=0.75)
    assert found.tolist() == pytest.approx([0.3, DOUBTFUL, DOUBTFUL, 0.0, 0.9])


def test_the_threshold_becomes_one_half():
    found = doubted([0.0, 0.5, 0.8, 1.0], threshold=0.8)
    assert found.tolist() == pytest.approx([0.0, 0.2, 0.5, 1.0])


def test_lesions_without_settings_are_taken_as_they_are():
    lesions = {Lesion.CYST: np.array([[[0.6]]], np.float32)}
    assert doubt_lesions(lesions, {}, VOXEL_MM3) == lesions

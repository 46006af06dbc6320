from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_config
from facetgrade.findings import Localization
from facetgrade.segment import refine_locations
from facetgrade.segment.patches import GRID_SHAPE, GRID_SPACING_MM
from facetgrade.study import Plane, Sequence
from tests.grade.disturbed import LEFT, located, series_of, study_of, tissue_with_bar

SETTINGS = read_config().segment
FOUND = Localization(vertebrae=(), joints=(located(),), numbering_probability=0.99)
TISSUE = tissue_with_bar(20.0, 4.0)
T1 = series_of(TISSUE, Sequence.T1, name="T1")
T2 = series_of(TISSUE, Sequence.T2, name="T2")
STIR = series_of(TISSUE, Sequence.T2_FS, name="STIR")


class Outliner:
    """Outlines a joint space `rows` behind the middle, and counts what it is shown."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.stacks: list[int] = []

    def __call__(self, stacks, _contrast, present):
        self.stacks += present.sum(axis=1).tolist()
        shape = (len(stacks), len(Structure) + len(Lesion), *GRID_SHAPE)
        logits = np.zeros(shape, np.float32)
        row, column = GRID_SHAPE[1] // 2 + self.rows, GRID_SHAPE[2] // 2
        place = np.s_[:, Structure.JOINT_SPACE, 10:20, row - 3 : row + 3]
        logits[place][..., column - 2 : column + 2] = 9.0
        return logits


def shift_mm(series, segmenter) -> float:
    """How far posteriorly the joint moves."""
    refined = refine_locations(study_of(*series), FOUND, segmenter, SETTINGS, [LEFT])
    moved = refined.joints[0].frame.center_lps_mm
    return float((moved - located().frame.center_lps_mm)[1])


@pytest.mark.parametrize("series", [(T1, T2), (STIR, T2, T1)])
def test_several_sagittal_series_are_read_together(series):
    segmenter = Outliner(rows=5)

    assert shift_mm(series, segmenter) == pytest.approx(
        5 * GRID_SPACING_MM[1], abs=0.01
    )
    assert segmenter.stacks == [len(series)]


def test_one_series_across_the_joint_is_enough():
    axial = replace(T2, plane=Plane.AXIAL)

    assert shift_mm([axial], Outliner(rows=5)) > 3.0


def test_a_joint_that_one_sagittal_series_shows_stays():
    assert shift_mm([T2], Outliner(rows=5)) == 0.0


def test_a_joint_space_too_far_away_is_another_one():
    assert shift_mm([T1, T2], Outliner(rows=12)) == 0.0

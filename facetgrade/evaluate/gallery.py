"""Pictures of the joints that went most wrong in a benchmark, with the truth beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side
from facetgrade.config import PipelineConfig
from facetgrade.evaluate.figures import Slice, gallery_figure
from facetgrade.evaluate.page import Block, Picture, render
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.rows import FAILED, ComparedJoint
from facetgrade.evaluate.truth import StudyTruth, read_labels, read_truth
from facetgrade.findings import JointMasks, Outcome
from facetgrade.geometry import resample
from facetgrade.inference import Models
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.figures import choose_cuts, display_window
from facetgrade.report.planes import sample_image
from facetgrade.report.settings import ReportSettings
from facetgrade.study import Study

LESIONS = {
    "effusion": (Lesion.EFFUSION,),
    "edema": (Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA),
    "cyst": (Lesion.CYST,),
}
PLANES_SHOWN = 2


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Shown:
    """One joint with what is needed to draw it."""

    row: ComparedJoint
    study: Study
    outcome: Outcome
    truth: StudyTruth


def gallery_page(
    rows: Sequence[ComparedJoint],
    folder_of: Callable[[str], Path],
    models: Models,
    config: PipelineConfig,
    *,
    joints: int,
    made: Sequence[tuple[str, str]],
) -> str:
    """Grade the studies of the worst joints again and draw them.

    Parameters
    ----------
    rows : sequence of ComparedJoint
        All joints of a benchmark.
    folder_of : callable
        Gives the folder of a simulated study by its name.
    models : Models
        Loaded networks.
    config : PipelineConfig
        Settings.
    joints : int
        How many are shown.
    made : sequence of (str, str)
        Versions behind the page.

    Returns
    -------
    str
        HTML that needs no other file.
    """
    worst = sorted(rows, key=badness, reverse=True)[:joints]
    shown = [row for row in worst if badness(row) > 0.0 and row.reason != FAILED]
    blocks = [
        _block(one, config.report)
        for one in _graded_again(shown, folder_of, models, config)
    ]
    lead = (
        f"The {len(blocks)} worst of {len(rows)} simulated joints: wrong joints first, "
        "then no grade, then grades farthest off, then the largest error of the "
        "perimeter. Outlines: effusion blue, edema orange, cyst green; dashed where "
        "they truly are."
    )
    return render("Failure gallery", lead, blocks, made)


def badness(row: ComparedJoint) -> float:
    """Rank failures: wrong joint, no grade, grades off, then error of the perimeter."""
    if row.located and not row.right:
        return 10.0
    if row.truth_grade < 0:
        return 0.0
    if not row.graded:
        return 6.0
    off = float(np.abs(row.grade - row.truth_grade))
    measured = row.predicted.get("perimeter_fraction", np.nan)
    miss = abs(measured - row.truth.get("perimeter_fraction", np.nan))
    return off + (0.0 if np.isnan(miss) else 0.9 * min(miss, 1.0)) * (off > 0.0)


def _graded_again(
    rows: Sequence[ComparedJoint],
    folder_of: Callable[[str], Path],
    models: Models,
    config: PipelineConfig,
) -> Iterator[_Shown]:
    """Yield the joints, worst first; each study is graded once."""
    graded: dict[str, tuple[Study, StudyTruth, dict[FacetJoint, Outcome]]] = {}
    for row in rows:
        if row.study not in graded:
            folder = folder_of(row.study)
            study = read_folder(folder / "dicom", config.ingest)
            request = Request(levels=tuple(Level))
            report = grade_study(study, models, config, request=request)
            outcomes: dict[FacetJoint, Outcome] = {
                outcome.joint: outcome for outcome in report.outcomes
            }
            graded[row.study] = study, read_truth(folder / "truth"), outcomes
        study, truth, outcomes = graded[row.study]
        joint = FacetJoint(Level(row.level), Side(row.side))
        yield _Shown(row=row, study=study, outcome=outcomes[joint], truth=truth)


def _block(shown: _Shown, settings: ReportSettings) -> Block:
    """Describe and draw one joint."""
    row = shown.row
    found = f"grade {row.grade}" if row.graded else f"no grade ({row.reason})"
    numbers = [
        f"{name} {row.truth.get(key, np.nan):.2f} {unit}, measured "
        f"{row.predicted.get(key, np.nan):.2f}"
        for name, key, unit in (
            ("effusion width", "effusion_width_mm", "mm"),
            ("perimeter fraction", "perimeter_fraction", ""),
        )
    ]
    factors = ", ".join(f"{k}: {v}" for k, v in row.factors.items())
    text = (
        f"True grade {row.truth_grade}, {found}; center {row.error_mm:.1f} mm off.",
        "; ".join(numbers) + ".",
        factors + ".",
    )
    slices = list(_slices(shown, settings))
    title = f"{row.study} {row.name}"
    if not slices:
        return Block(title, text)
    size_mm = settings.field_of_view_mm
    return Block(title, text, (), (Picture(gallery_figure(slices, size_mm), ""),))


def _slices(shown: _Shown, settings: ReportSettings) -> Iterator[Slice]:
    """Cut the joint in the planes that show it, with found and true outlines."""
    truth = shown.truth.joints[shown.outcome.joint]
    labels, grid = read_labels(truth.lesions_path)
    found = shown.outcome.masks
    cuts = choose_cuts(
        shown.study,
        truth.frame.center_lps_mm,
        contrast=None,
        series_used=(),
        settings=settings,
    )
    for cut in cuts[:PLANES_SHOWN]:
        yield Slice(
            title=f"{cut.plane.value} {cut.series.sequence.value}",
            image=sample_image(cut),
            window=display_window(cut.stack, truth.frame.center_lps_mm),
            found={
                name: resample(inside, found.geometry, cut.grid)[0]
                for name, inside in _found(found).items()
            }
            if found
            else {},
            true={
                name: resample(inside, grid, cut.grid)[0]
                for name, inside in _true(labels, shown.truth).items()
            },
        )


def _found(masks: JointMasks) -> dict[str, NDArray[np.float32]]:
    """Return the probability of each outline."""
    return {
        name: np.max([masks.lesions[one] for one in members], axis=0)
        for name, members in LESIONS.items()
        if all(one in masks.lesions for one in members)
    }


def _true(
    labels: NDArray[np.uint8], truth: StudyTruth
) -> dict[str, NDArray[np.float32]]:
    """Return each true outline as 0 and 1."""
    return {
        name: np.isin(
            labels, [truth.lesion_labels[one.value] for one in members]
        ).astype(np.float32)
        for name, members in LESIONS.items()
    }

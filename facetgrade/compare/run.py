"""The whole flow of a comparison: name places, grade, pair, compare, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from facetgrade.batch.job import BatchJob
from facetgrade.compare.graded import ImageSearch
from facetgrade.compare.inputs import GradedInputs, GradeInto, graded_inputs
from facetgrade.compare.job import CompareJob, CompareSummary, FoundPair, PairEntry
from facetgrade.compare.pairing import Unpaired
from facetgrade.compare.pairs_table import NamedPair, read_pairs
from facetgrade.compare.runner import compare_pairs
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import config_values
from facetgrade.report.context import ReportContext


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CompareRequest:
    """What the user asks.

    Attributes
    ----------
    baseline, followup : Path or None
        Places with one time point each; `baseline` alone holds both.
    pairs : Path or None
        pairs.csv in place of them.
    images : tuple of Path
        Where images of graded folders are now.
    pdf : bool
        Write pages as PDF too.
    settings : CompareSettings
        ``configs/compare.toml``.
    batch : BatchJob
        How to grade what is not graded yet; its `out` receives everything.
    """

    baseline: Path | None
    followup: Path | None
    pairs: Path | None
    images: tuple[Path, ...]
    pdf: bool
    settings: CompareSettings
    batch: BatchJob


def run_comparison(
    request: CompareRequest,
    *,
    grade_into: GradeInto,
    finished: Callable[[PairEntry], None],
) -> CompareSummary:
    """Compare what the user named.

    Parameters
    ----------
    request : CompareRequest
        What to compare.
    grade_into : callable
        Grades some places into a folder.
    finished : callable
        Told of each pair that is done.

    Raises
    ------
    ConfigError
        If pairs.csv cannot be used.
    IngestError
        If nothing that is to be graded holds a study.
    OutputError
        If a graded folder is damaged.
    """
    batch = request.batch
    named = read_pairs(request.pairs) if request.pairs else ()
    places = _places(request, named)
    images = ImageSearch(batch.config.ingest, batch.privacy, [*request.images, *places])
    inputs = graded_inputs(
        places,
        batch.out,
        grade_into=grade_into,
        images=images,
        privacy=batch.privacy,
    )
    pairs, unpaired = _pairs(request, named, inputs)
    job = CompareJob(
        pairs=pairs,
        unpaired=unpaired,
        joints=batch.request.joints,
        out=batch.out,
        images=images,
        settings=request.settings,
        context=_context(batch.context, request.settings),
        pdf=request.pdf,
    )
    return compare_pairs(job, finished)


def _places(request: CompareRequest, named: tuple[NamedPair, ...]) -> list[Path]:
    """Return every place that the user named."""
    if named:
        return [place for pair in named for place in (pair.baseline, pair.followup)]
    given = (request.baseline, request.followup)
    return [place for place in given if place is not None]


def _pairs(
    request: CompareRequest, named: tuple[NamedPair, ...], inputs: GradedInputs
) -> tuple[tuple[FoundPair, ...], tuple[Unpaired, ...]]:
    """Pair the graded studies the way the user asked."""
    if named:
        return inputs.named_pairs(named), ()
    if request.baseline is not None and request.followup is not None:
        return inputs.two_groups(request.baseline, request.followup)
    return inputs.by_date(_places(request, named))


def _context(context: ReportContext, settings: CompareSettings) -> ReportContext:
    """Write the settings of the comparison beside those of grading."""
    values = {**context.config, "compare": config_values(settings)}
    return replace(context, config=values)

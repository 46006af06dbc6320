"""What one run of the comparison is asked to do, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facetgrade.anatomy import FacetJoint
from facetgrade.compare.changes import Obstacle
from facetgrade.compare.cohort import CohortJoint
from facetgrade.compare.graded import GradedStudy, ImageSearch
from facetgrade.compare.pairing import Pair, Unpaired
from facetgrade.compare.registration import Registration
from facetgrade.compare.settings import CompareSettings
from facetgrade.report.context import ReportContext, Row


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FoundPair:
    """A pair with its graded studies.

    Attributes
    ----------
    pair : Pair
        Names.
    baseline, followup : GradedStudy or None
        None for a time point that could not be graded.
    problem : Obstacle or None
        Why not.
    """

    pair: Pair
    baseline: GradedStudy | None
    followup: GradedStudy | None
    problem: Obstacle | None = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CompareJob:
    """What one run is asked to do.

    Attributes
    ----------
    pairs : tuple of FoundPair
        What to compare.
    unpaired : tuple of Unpaired
        What was left over, with reasons.
    joints : tuple of FacetJoint
        Rows of a pair of which nothing is known.
    out : Path
        Output folder.
    images : ImageSearch
        Finds the images of graded studies.
    settings : CompareSettings
        ``configs/compare.toml``.
    context : ReportContext
        What is written into every output.
    pdf : bool
        Write every page as PDF too.
    """

    pairs: tuple[FoundPair, ...]
    unpaired: tuple[Unpaired, ...]
    joints: tuple[FacetJoint, ...]
    out: Path
    images: ImageSearch
    settings: CompareSettings
    context: ReportContext
    pdf: bool = False


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PairEntry:
    """One finished pair as the batch pages list it.

    Attributes
    ----------
    pair : Pair
        Names.
    page : str
        Its page relative to the output folder, with forward slashes.
    rows : tuple of dict
        Its rows of changes.csv.
    refusal : Obstacle or None
        Why the pair as a whole was not compared.
    registrations : mapping of FacetJoint to Registration
        Of the joints that were registered.
    """

    pair: Pair
    page: str
    rows: tuple[Row, ...]
    refusal: Obstacle | None
    registrations: Mapping[FacetJoint, Registration]


@dataclass(eq=False, kw_only=True, slots=True)
class CompareSummary:
    """What became of the pairs of one run."""

    entries: list[PairEntry] = field(default_factory=list)
    cohort: list[CohortJoint] = field(default_factory=list)
    unpaired: tuple[Unpaired, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 all compared, 2 nothing could be compared, 3 some were refused."""
        refused = sum(entry.refusal is not None for entry in self.entries)
        if refused == len(self.entries):
            return 2
        return 3 if refused or self.unpaired else 0

"""Grade many studies into one folder: resumable, one failure never stops the rest."""

from facetgrade.batch.anchors import Anchors, parse_anchor, read_anchors
from facetgrade.batch.job import BatchJob, BatchSummary
from facetgrade.batch.runner import grade_batch

__all__ = [
    "Anchors",
    "BatchJob",
    "BatchSummary",
    "grade_batch",
    "parse_anchor",
    "read_anchors",
]

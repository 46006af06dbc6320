"""Grade many studies into one folder: resumable, one failure never stops the rest."""

from facetgrade.batch.anchors import Anchors, parse_anchor, read_anchors
from facetgrade.batch.job import BatchJob, BatchSummary
from facetgrade.batch.runner import grade_batch, run_batch
from facetgrade.batch.shard import Shard, parse_shard

__all__ = [
    "Anchors",
    "BatchJob",
    "BatchSummary",
    "Shard",
    "grade_batch",
    "parse_anchor",
    "parse_shard",
    "read_anchors",
    "run_batch",
]

"""Check annotated cases before anything is trained or compared on them."""

from facetgrade.datasets.check import check_dataset
from facetgrade.datasets.findings import Finding, FindingKind

__all__ = ["Finding", "FindingKind", "check_dataset"]

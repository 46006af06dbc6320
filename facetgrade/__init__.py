"""Grade facet joint synovitis on lumbar MRI.

The public names load on first use, so that ``import facetgrade`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facetgrade.compare import compare_studies
    from facetgrade.findings import StudyReport
    from facetgrade.ingest import read_studies
    from facetgrade.pipeline import Request, grade_study

__all__ = [
    "Request",
    "StudyReport",
    "__version__",
    "compare_studies",
    "grade_study",
    "read_studies",
]

_HOMES = {
    "Request": "facetgrade.pipeline",
    "StudyReport": "facetgrade.findings",
    "compare_studies": "facetgrade.compare",
    "grade_study": "facetgrade.pipeline",
    "read_studies": "facetgrade.ingest",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("facetgrade")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

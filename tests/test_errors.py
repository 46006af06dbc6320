"""Errors of the package as callers and other processes see them."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import facetgrade
from facetgrade.errors import AnatomyError, ConnectionLostError, FacetGradeError
from facetgrade.train.manifest import ManifestError


def _all_kinds() -> list[type[FacetGradeError]]:
    """Import the whole package and collect every class of errors."""
    for module in pkgutil.walk_packages(facetgrade.__path__, "facetgrade."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds, waiting = [], [FacetGradeError]
    while waiting:
        kinds.append(waiting.pop())
        waiting += kinds[-1].__subclasses__()
    return kinds


def _fail() -> None:
    raise AnatomyError(Path("bones"), "holds no mesh")


@pytest.mark.parametrize(
    "error",
    [
        AnatomyError(Path("bones"), "holds no mesh"),
        ConnectionLostError("the archive is busy", wait_s=3.0),
        ManifestError(Path("cases.csv"), 4, "no such level"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_survives_pickling_with_its_attributes(error: FacetGradeError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_no_kind_of_error_needs_its_own_arguments_to_be_pickled() -> None:
    kinds = _all_kinds()

    assert len(kinds) > 15
    for kind in kinds:
        error = kind.__new__(kind, "one sentence")
        assert str(pickle.loads(pickle.dumps(error))) == "one sentence", kind


def test_error_of_a_worker_process_is_raised_as_it_is() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(AnatomyError, match="no mesh"):
        pool.submit(_fail).result()

"""Draws from annotated joints, alone or mixed with simulated ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facetgrade.anatomy import Structure
from facetgrade.segment.patches import contrast_index
from facetgrade.study import Sequence as Contrast
from facetgrade.train.annotated import NO_GRADE, AnnotatedView, read_annotated
from facetgrade.train.joint_views import JointView
from facetgrade.train.segmenter_cases import LARGEST_STACKS, show_stacks, warped
from facetgrade.train.settings import RenderSettings
from facetgrade.train.warp import draw_warp

LEFT_OUT = 0.15
WHOLE_STUDY = 0.5
_MIX, _DRAW = 11, 12  # numbers that keep the streams of an item apart
Item = dict[str, Tensor]


class ViewCache:
    """The views used last, up to a memory budget."""

    def __init__(self, budget_mb: float) -> None:
        self.budget_mb = budget_mb
        self.used_mb = 0.0
        self._views: OrderedDict[Path, AnnotatedView] = OrderedDict()

    def get(self, path: Path) -> AnnotatedView:
        """Return a view, from memory if it is there."""
        if path in self._views:
            self._views.move_to_end(path)
            return self._views[path]
        view = read_annotated(path)
        self._views[path] = view
        self.used_mb += view.size_mb
        while self._views and self.used_mb > self.budget_mb:
            _, dropped = self._views.popitem(last=False)
            self.used_mb -= dropped.size_mb
        return view


class AnnotatedDataset(Dataset[Item]):
    """Endless draws of a joint, one of its readers, stacks and disturbances."""

    def __init__(
        self,
        paths: Sequence[Path],
        seed: int,
        cache_mb: float,
        render: RenderSettings | None = None,
    ) -> None:
        self.paths = list(paths)
        self.seed = seed
        self.render = render
        self.cache = ViewCache(cache_mb)

    def __len__(self) -> int:
        """Return a number of items no run reaches."""
        return 1 << 30

    def __getitem__(self, index: int) -> Item:
        """Return item `index`, the same in every process and run."""
        rng = np.random.default_rng([self.seed, index, _DRAW])
        view = self.cache.get(self.paths[int(rng.integers(len(self.paths)))])
        return draw_annotated(view, rng, self.render)


class MixedDataset(Dataset[Item]):
    """Simulated draws with a share of annotated ones; each stays what it is alone."""

    def __init__(
        self, simulated: Dataset[Item], annotated: AnnotatedDataset, share: float
    ) -> None:
        self.simulated = simulated
        self.annotated = annotated
        self.share = share

    def __len__(self) -> int:
        """Return a number of items no run reaches."""
        return 1 << 30

    def __getitem__(self, index: int) -> Item:
        """Return item `index`, the same in every process and run."""
        rng = np.random.default_rng([self.annotated.seed, index, _MIX])
        if rng.random() < self.share:
            return self.annotated[index]
        return as_fully_known(self.simulated[index])


def as_fully_known(item: Item) -> Item:
    """Add to a simulated item that all of its truth is known."""
    return item | {
        "known": torch.ones(len(Structure), dtype=torch.bool),
        "seen": item["valid"],
        "grade": torch.tensor(NO_GRADE),
    }


def draw_annotated(
    view: AnnotatedView,
    rng: np.random.Generator,
    render: RenderSettings | None = None,
) -> Item:
    """Choose one reader, a shape and some stacks, and say what is known.

    Readers are never averaged: where they disagree, each is right in turn. A grade
    counts where the reader outlined no lesion.
    """
    reader = int(rng.integers(len(view.grades)))
    joint = JointView(
        stacks=view.stacks,
        contrasts=view.contrasts,
        structures=view.structures[reader],
        lesions=view.lesions[reader],
    )
    covered = view.covered[reader]
    outlined = bool(view.known_lesions[reader].any())
    if render and not outlined:  # a grade is of the size that the joint has
        render = render.model_copy(update={"scale": (1.0, 1.0)})
    warp = draw_warp(render, rng)
    if warp:
        joint = warped(joint, warp)
        covered = warp.nearest(covered[None].astype(np.float32))[0] > 0
    item = show_stacks(joint, choose_stacks(view.contrasts, rng), rng, render)
    reached = torch.from_numpy(covered)
    lesions = torch.from_numpy(view.known_lesions[reader])
    known = torch.from_numpy(view.known_structures[reader])
    return item | {
        "known": known,
        "seen": item["valid"],
        "valid": item["valid"] & reached & lesions[:, None, None, None],
        "reached": item["reached"] & reached & known.any(),
        "grade": torch.tensor(NO_GRADE if outlined else int(view.grades[reader])),
    }


def only_reader(view: AnnotatedView, reader: int) -> AnnotatedView:
    """Return a view as one reader saw it."""
    one = slice(reader, reader + 1)
    return replace(
        view,
        structures=view.structures[one],
        lesions=view.lesions[one],
        covered=view.covered[one],
        known_structures=view.known_structures[one],
        known_lesions=view.known_lesions[one],
        grades=view.grades[one],
    )


def choose_stacks(
    contrasts: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose stacks of a real study: one contrast that shows edema, as in grading."""
    shows = [contrast_index(c) for c in Contrast if c.shows_edema]
    present = sorted({int(c) for c in contrasts} & set(shows))
    order = rng.permutation(len(contrasts))
    if present:
        judged = present[int(rng.integers(len(present)))]
        order = order[~np.isin(contrasts[order], shows) | (contrasts[order] == judged)]
        order = np.concatenate(
            [order[contrasts[order] == judged], order[contrasts[order] != judged]]
        )
    if rng.random() >= WHOLE_STUDY:
        kept = rng.random(len(order)) >= LEFT_OUT
        kept[0] = True
        order = order[kept]
    return np.asarray(order[:LARGEST_STACKS], np.int64)

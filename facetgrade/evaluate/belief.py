"""Choose when the segmenter is believed: by the grades that follow from its masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Lesion
from facetgrade.evaluate.agreement import agreement_statistics
from facetgrade.evaluate.settings import BeliefChoices
from facetgrade.findings import JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import GradeSettings
from facetgrade.segment.doubt import doubt_lesions
from facetgrade.segment.settings import BeliefSettings
from facetgrade.study import Sequence as Contrast

Belief = Mapping[Lesion, BeliefSettings]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReadJoint:
    """One joint as the segmenter read it, before any doubt, and its true grade.

    Attributes
    ----------
    grade : int
        True grade 0-4.
    masks : tuple of JointMasks
        One for each contrast that judges.
    """

    grade: int
    masks: tuple[JointMasks, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BeliefScore:
    """How well the grades under one belief agree with the truth."""

    exact: float
    kappa: float

    @property
    def total(self) -> float:
        """Mean of exact share and quadratic kappa: what is to be large."""
        return (self.exact + self.kappa) / 2.0


def grades_under(
    belief: Belief, joints: Iterable[ReadJoint], rules: GradeSettings
) -> list[int]:
    """Grade joints by the rules under a belief, the highest of all contrasts each."""
    return [
        max(_grade(masks, belief, rules) for masks in joint.masks) for joint in joints
    ]


def score_of(truth: Sequence[int], grades: Sequence[int]) -> BeliefScore:
    """Compare grades with the truth."""
    found = agreement_statistics(np.array(truth), np.array(grades))
    return BeliefScore(exact=found["exact"], kappa=found["kappa_quadratic"])


def choose_belief(
    choices: BeliefChoices, score: Callable[[Sequence[Belief]], list[BeliefScore]]
) -> tuple[Belief, list[tuple[Belief, BeliefScore]]]:
    """Try the choices one key after the other and keep what scores best.

    A value replaces the one before it only if it scores better, so that of equals the
    first named stays.

    Parameters
    ----------
    choices : BeliefChoices
        Values to try, by lesion and key, the first of each to start with.
    score : callable
        Scores several beliefs at once.

    Returns
    -------
    belief : mapping of Lesion to BeliefSettings
        The best one.
    tried : list
        Everything that was tried, with its score.
    """
    best: dict[Lesion, BeliefSettings] = {
        lesion: BeliefSettings(**{key: values[0] for key, values in keys.items()})
        for lesion, keys in choices.lesions.items()
    }
    (reached,) = score([best])
    tried: list[tuple[Belief, BeliefScore]] = [(best, reached)]
    for _ in range(choices.rounds):
        for lesion, keys in choices.lesions.items():
            for key, values in keys.items():
                others = [
                    {**best, lesion: best[lesion].model_copy(update={key: value})}
                    for value in values
                    if value != getattr(best[lesion], key)
                ]
                scored = list(zip(others, score(others), strict=True))
                tried += scored
                for other, one in scored:
                    if one.total > reached.total:
                        best, reached = other, one
    return best, tried


def write_masks(masks: JointMasks, path: Path) -> None:
    """Keep what was read of a joint on one contrast, small."""
    np.savez_compressed(
        path,
        index_to_lps=masks.geometry.index_to_lps,
        structures=masks.structures,
        lesions=np.stack([masks.lesions[one] for one in Lesion]).astype(np.float16),
        in_view=masks.in_view,
        sequence=np.array(masks.sequence.value),
    )


def read_masks(path: Path) -> JointMasks:
    """Read what `write_masks` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        structures: NDArray[np.uint8] = kept["structures"]
        lesions = kept["lesions"].astype(np.float32)
        return JointMasks(
            geometry=VolumeGeometry(
                shape=(
                    structures.shape[0],
                    structures.shape[1],
                    structures.shape[2],
                ),
                index_to_lps=kept["index_to_lps"],
            ),
            structures=structures,
            lesions=dict(zip(Lesion, lesions, strict=True)),
            in_view=kept["in_view"],
            sequence=Contrast(str(kept["sequence"])),
        )


def _grade(masks: JointMasks, belief: Belief, rules: GradeSettings) -> int:
    """Grade one joint on one contrast."""
    lesions = doubt_lesions(masks.lesions, belief, masks.geometry.voxel_volume_mm3)
    believed = dataclasses.replace(masks, lesions=lesions)
    extents = measure_extents(believed, rules.measure)
    return apply_rules(extents, masks.sequence, rules).grade

"""Choose when the segmenter is believed: by its masks and the grades they give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Lesion
from facetgrade.evaluate.agreement import agreement_statistics
from facetgrade.evaluate.compare import OUTLINES
from facetgrade.evaluate.overlap import dice
from facetgrade.evaluate.settings import BeliefChoices, ReadingChoices
from facetgrade.findings import Extents, JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.correction import (
    correct_extents,
    fit_correction,
    measure_segmented,
)
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import CorrectionSettings, GradeSettings
from facetgrade.segment.doubt import doubt_lesions
from facetgrade.segment.settings import BeliefSettings
from facetgrade.study import Sequence as Contrast

Belief = Mapping[Lesion, BeliefSettings]
_MASK = 0.5


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReadJoint:
    """One joint as the segmenter read it, before any doubt, and its truth.

    Attributes
    ----------
    grade : int
        True grade 0-4.
    measures : mapping of str to float
        True extents, as `JointTruth.measures`.
    masks : tuple of JointMasks
        One for each contrast that judges.
    outlines : tuple of mapping of str to (H, R, C) bool ndarray
        True ``effusion`` and ``edema`` on the grid of each mask, where present.
    """

    grade: int
    measures: Mapping[str, float]
    masks: tuple[JointMasks, ...]
    outlines: tuple[Mapping[str, NDArray[np.bool_]], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptJoint:
    """Files with the masks and outlines of a `ReadJoint`: many are too large to hold.

    Attributes
    ----------
    grade, measures
        As of `ReadJoint`.
    files : tuple of str
        From `write_masks`, one for each contrast.
    outlines : tuple of str
        From `write_outlines`, one for each contrast.
    """

    grade: int
    measures: Mapping[str, float]
    files: tuple[str, ...]
    outlines: tuple[str, ...]

    @classmethod
    def write(
        cls,
        stem: Path,
        masks: Sequence[JointMasks],
        outlines: Sequence[Mapping[str, NDArray[np.bool_]]],
        *,
        grade: int,
        measures: Mapping[str, float],
    ) -> KeptJoint:
        """Write the files of one joint, their names beginning with `stem`."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        files = [f"{stem}_{one.sequence}.npz" for one in masks]
        for one, file in zip(masks, files, strict=True):
            write_masks(one, Path(file))
        drawn = [f"{stem}_{one.sequence}_truth.npz" for one in masks]
        for true, file in zip(outlines, drawn, strict=True):
            write_outlines(true, Path(file))
        return cls(
            grade=grade,
            measures=dict(measures),
            files=tuple(files),
            outlines=tuple(drawn),
        )

    def read(self) -> ReadJoint:
        """Read the files."""
        return ReadJoint(
            grade=self.grade,
            measures=self.measures,
            masks=tuple(read_masks(Path(file)) for file in self.files),
            outlines=tuple(read_outlines(Path(file)) for file in self.outlines),
        )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MeasuredJoint:
    """One joint as measured under a belief, and its truth.

    Attributes
    ----------
    grade : int
        True grade 0-4.
    measures : mapping of str to float
        True extents.
    contrasts : tuple of (Contrast, Extents, tuple of float)
        Measured on each contrast, with Dice of effusion and edema where present.
    """

    grade: int
    measures: Mapping[str, float]
    contrasts: tuple[tuple[Contrast, Extents, tuple[float, ...]], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BeliefScore:
    """How well grades and outlines under one belief agree with the truth."""

    exact: float
    kappa: float
    dice: float

    @property
    def total(self) -> float:
        """Mean of exact share, quadratic kappa and Dice: what is to be large."""
        return (self.exact + self.kappa + self.dice) / 3.0


def measure_under(
    belief: Belief, joints: Iterable[ReadJoint], rules: GradeSettings
) -> list[MeasuredJoint]:
    """Measure joints on every contrast under a belief, without any correction."""
    return [
        MeasuredJoint(
            grade=joint.grade,
            measures=joint.measures,
            contrasts=tuple(
                _measure(masks, outlines, belief, rules)
                for masks, outlines in zip(joint.masks, joint.outlines, strict=True)
            ),
        )
        for joint in joints
    ]


def score_of(joints: Sequence[MeasuredJoint], rules: GradeSettings) -> BeliefScore:
    """Grade by the rules, corrected as calibration will, and compare with the truth.

    Of several contrasts the one with the highest grade counts.

    Parameters
    ----------
    joints : sequence of MeasuredJoint
        At least one.
    rules : GradeSettings
        Its correction is where the fit starts.
    """
    correction = correction_of(joints, rules)
    best = [_best(joint, correction, rules) for joint in joints]
    found = agreement_statistics(
        np.array([joint.grade for joint in joints]),
        np.array([grade for grade, _, _ in best]),
    )
    overlaps = np.array([d for _, _, dice_of in best for d in dice_of])
    return BeliefScore(
        exact=found["exact"],
        kappa=float(np.nan_to_num(found["kappa_quadratic"])),  # all alike: undefined
        dice=float(overlaps.mean()) if overlaps.size else 0.0,
    )


def correction_of(
    joints: Sequence[MeasuredJoint], rules: GradeSettings
) -> CorrectionSettings:
    """Fit the correction to the contrast of each joint with the highest grade."""
    start = rules.confidence.correction
    measured = [_best(joint, start, rules)[1] for joint in joints]
    return fit_correction(measured, [joint.measures for joint in joints], start)


def choose_belief(
    choices: BeliefChoices, score: Callable[[Sequence[Belief]], list[BeliefScore]]
) -> tuple[Belief, list[tuple[Belief, BeliefScore]]]:
    """Try the choices one key after the other and keep what scores best.

    A value replaces the one before it only if it scores better by `least_gain`, so that
    of equals the first named stays.

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
                    if one.total > reached.total + choices.least_gain:
                        best, reached = other, one
    return best, tried


def choose_edema_probability(
    choices: ReadingChoices, score: Callable[[float], BeliefScore]
) -> tuple[float, list[tuple[float, BeliefScore]]]:
    """Try from which probability on edema fills a sector, and keep what scores best.

    Parameters
    ----------
    choices : ReadingChoices
        Values to try; of those that score alike the first stays.
    score : callable
        Scores one value, with the belief that is used.

    Returns
    -------
    float
        The best one.
    list
        Everything that was tried, with its score.
    """
    tried = [(value, score(value)) for value in choices.edema_probability]
    best, reached = tried[0]
    for value, one in tried[1:]:
        if one.total > reached.total + choices.least_gain:
            best, reached = value, one
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


def write_outlines(outlines: Mapping[str, NDArray[np.bool_]], path: Path) -> None:
    """Keep the true outlines of one joint, small."""
    whole = np.stack(list(outlines.values())) if outlines else np.zeros(0, bool)
    np.savez_compressed(path, outlines=whole, names=np.array(list(outlines), str))


def read_outlines(path: Path) -> dict[str, NDArray[np.bool_]]:
    """Read what `write_outlines` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        return dict(zip(kept["names"].tolist(), kept["outlines"], strict=True))


def _measure(
    masks: JointMasks,
    outlines: Mapping[str, NDArray[np.bool_]],
    belief: Belief,
    rules: GradeSettings,
) -> tuple[Contrast, Extents, tuple[float, ...]]:
    """Measure one joint on one contrast, and its outlines against the true ones."""
    lesions = doubt_lesions(masks.lesions, belief, masks.geometry.voxel_volume_mm3)
    believed = dataclasses.replace(masks, lesions=lesions)
    overlaps = []
    for name, members in OUTLINES.items():
        if name in outlines:
            found = np.maximum.reduce([lesions[one] for one in members]) >= _MASK
            overlaps.append(dice(found, outlines[name]))
    extents = measure_segmented(believed, rules)
    return masks.sequence, extents, tuple(overlaps)


def _best(
    joint: MeasuredJoint, correction: CorrectionSettings, rules: GradeSettings
) -> tuple[int, Extents, tuple[float, ...]]:
    """Return grade, extents as outlined and overlaps of the highest contrast."""
    graded = [
        (apply_rules(correct_extents(extents, correction), sequence, rules), extents, d)
        for sequence, extents, d in joint.contrasts
    ]
    grade, extents, overlaps = max(
        graded, key=lambda one: (one[0].grade, one[0].extents.perimeter_fraction.value)
    )
    return grade.grade, extents, overlaps

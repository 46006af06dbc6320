"""What a series shows: plane from geometry, contrast from tags, text and pixels.

Order of trust: timing tags (physics), then pixels where they are clear, then text.
Descriptions are often wrong or stripped: a fat-suppressed series may be called just
"T2". Without timing tags, silence about fat suppression means nothing, and pixels that
only lean to one side decide. What pixels cannot tell is left to text: proton density,
gradient echo, contrast agent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facetgrade.ingest.contrast import PixelEvidence
from facetgrade.ingest.dicom import SeriesTags
from facetgrade.ingest.settings import (
    PhysicsRules,
    SeriesRules,
    TextRules,
)
from facetgrade.study import Plane, Sequence

_DOMINANT = 0.7
_DIXON_PARTS = {"W": "water", "WATER": "water", "F": "fat", "FAT": "fat"}
_DIXON_PHASES = {
    "IP": "in",
    "IN_PHASE": "in",
    "OP": "opposed",
    "OPP_PHASE": "opposed",
    "OUT_PHASE": "opposed",
}

_Timing = tuple[Sequence | None, bool | None, str]
Answer = TypeVar("Answer", Sequence, bool)


@dataclass(frozen=True, slots=True)
class Classified:
    """Contrast class of a series and the sentences that say why.

    Attributes
    ----------
    sequence : Sequence
        The class.
    evidence : tuple of str
        One sentence per clue.
    told : bool
        Whether header or description tell of fat suppression or contrast agent, by
        naming or, where the header names timing, by not naming them.
    """

    sequence: Sequence
    evidence: tuple[str, ...]
    told: bool


@dataclass(frozen=True, slots=True)
class Clues:
    """What one kind of evidence says; None where it is silent.

    Attributes
    ----------
    weighting : Sequence or None
        T1, T2 or PD without regard to fat suppression, OTHER for anything else.
    fat_suppressed, contrast_agent : bool or None
        Whether fat is suppressed, whether a contrast agent was given.
    why : tuple of str
        One sentence per clue.
    """

    weighting: Sequence | None = None
    fat_suppressed: bool | None = None
    contrast_agent: bool | None = None
    why: tuple[str, ...] = ()


def plane_of(normal: NDArray[np.float64]) -> Plane:
    """Name the plane of slices by their normal in LPS.

    Parameters
    ----------
    normal : (3,) float64 ndarray
        Unit normal; its sign does not matter.
    """
    components = np.abs(normal)
    for axis, plane in enumerate((Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)):
        if components[axis] > _DOMINANT:
            return plane
    return Plane.OBLIQUE


def classify(tags: SeriesTags, pixels: PixelEvidence, rules: SeriesRules) -> Classified:
    """Decide the contrast class of a series.

    Parameters
    ----------
    tags : SeriesTags
        Header of the series, possibly stripped.
    pixels : PixelEvidence
        What the pixels show.
    rules : SeriesRules
        The whole of series_rules.toml.

    Returns
    -------
    Classified
        Class and evidence.
    """
    physics = physics_clues(tags, rules.physics)
    words = tags.words
    seen = pixel_clues(pixels, threshold=rules.pixels.clear)
    if is_t1_flair(tags, rules.physics):
        words = re.sub(rules.text.stir, " ", words)  # some vendors call it so
        # Inversion darkens muscle and fluid: fat looks as no other sequence shows it.
        seen = replace(seen, fat_suppressed=None)
    text = text_clues(words, rules.text)
    hint = pixel_clues(pixels, threshold=rules.pixels.hint)
    notes = [*physics.why, *text.why, *pixels.sentences]
    ranked = (physics, seen, text)
    weighting = _first([clues.weighting for clues in ranked], "weighting", notes)
    if physics.weighting is None and text.weighting in (Sequence.PD, Sequence.OTHER):
        weighting = text.weighting if weighting is not Sequence.T1 else weighting
    weighting = weighting or hint.weighting
    suppressed = _first([clues.fat_suppressed for clues in ranked], "fat", notes)
    if suppressed is None and physics.weighting is None and weighting is Sequence.T2:
        suppressed = hint.fat_suppressed
    agent = _first([clues.contrast_agent for clues in ranked], "contrast", notes)
    told = physics.weighting or text.fat_suppressed is not None or agent is not None
    sure = physics.weighting is Sequence.T1 and text.weighting is Sequence.T1
    if sure and not (physics.fat_suppressed or text.fat_suppressed or agent):
        # Whoever names T1 would have named suppression, too; dark fat has other causes.
        if suppressed:
            notes.append("only the pixels speak of fat suppression")
        suppressed = None
    if weighting is Sequence.T1 and suppressed and not told:
        # T1 with fat suppression is hardly ever acquired without contrast agent.
        agent = True
        notes.append("header and text are silent on fat and contrast agent")
    sequence = _combine(weighting, suppressed, agent)
    if weighting is Sequence.T1 and suppressed and sequence is Sequence.OTHER:
        notes.append("fat-suppressed T1 without a sign of contrast agent")
    return Classified(sequence, (*notes, f"taken as {sequence}"), bool(told))


def physics_clues(tags: SeriesTags, rules: PhysicsRules) -> Clues:
    """Judge timing and other technical tags.

    Parameters
    ----------
    tags : SeriesTags
        Header of the series.
    rules : PhysicsRules
        Limits.

    References
    ----------
    .. [1] DICOM PS3.3 C.8.3.1 MR Image Module, C.8.13.5 MR functional groups.
    """
    weighting, suppressed, reason = _timing(tags, rules)
    why = [reason] if reason else []
    options = {option.upper() for option in tags.scan_options}
    if options & set(rules.fat_sat_scan_options):
        suppressed = True
        why.append(f"ScanOptions {'/'.join(sorted(options))}: fat suppressed")
    elif "FAT" in tags.fat_suppression:
        suppressed = True
        why.append(f"SpectrallySelectedSuppression {tags.fat_suppression}")
    elif not is_t1_flair(tags, rules) and re.search(
        rules.fat_sat_sequence_name, tags.sequence_name
    ):
        suppressed = True
        why.append(f"SequenceName {tags.sequence_name}: fat suppressed")
    part = dixon_part(tags)
    if part == "water":
        suppressed = True
        why.append("Dixon water image (ImageType)")
    elif part == "in":
        suppressed = False
        why.append("Dixon in-phase image (ImageType)")
    elif part:
        weighting = Sequence.OTHER
        why.append(f"Dixon {part} image (ImageType)")
    agent = True if tags.contrast_agent else None
    if agent:
        why.append("ContrastBolusAgent is named")
    return Clues(weighting, suppressed, agent, tuple(why))


def is_t1_flair(tags: SeriesTags, rules: PhysicsRules) -> bool:
    """Tell an inversion that nulls fluid before a short echo."""
    ti = tags.inversion_time_ms
    nulls = rules.flair_t1_min_ti_ms <= ti <= rules.flair_t1_max_ti_ms
    return bool(nulls and tags.echo_time_ms < rules.t2_min_te_ms)


def dixon_part(tags: SeriesTags) -> str:
    """Return "water", "fat", "in", "opposed" or nothing, from ImageType."""
    known = _DIXON_PARTS | _DIXON_PHASES
    parts = [known[part] for part in tags.image_type[2:] if part in known]
    return parts[0] if parts else ""


def text_clues(words: str, rules: TextRules) -> Clues:
    """Judge descriptions.

    Parameters
    ----------
    words : str
        Lower case.
    rules : TextRules
        Patterns.
    """
    if not words.strip():
        return Clues()
    weighting: Sequence | None = None
    for pattern, name in (
        (rules.pd, Sequence.PD),
        (rules.t1, Sequence.T1),
        (rules.t2, Sequence.T2),
        (rules.stir, Sequence.T2),
        (rules.other, Sequence.OTHER),
    ):
        if re.search(pattern, words):
            weighting = name
    suppressed = _text_suppression(words, rules)
    part = _text_dixon_part(words, rules)
    if part:
        suppressed = part == "water"
    if part == "other":
        weighting = Sequence.OTHER
    agent: bool | None = None
    if re.search(rules.no_contrast, words):
        agent = False
    elif re.search(rules.contrast, words):
        agent = True
    clues = (weighting, suppressed, agent)
    if clues == (None, None, None):
        return Clues()
    named = [str(weighting)] if weighting else []
    named += ["fat-suppressed"] if suppressed else []
    named += ["contrast agent"] if agent else []
    return Clues(*clues, (f"description says {', '.join(named) or 'native'}",))


def pixel_clues(pixels: PixelEvidence, *, threshold: float) -> Clues:
    """Judge what the pixels show.

    Parameters
    ----------
    pixels : PixelEvidence
        Log odds, positive for bright.
    threshold : float
        Log odds below this size are silent.
    """
    weighting: Sequence | None = None
    suppressed: bool | None = None
    if abs(pixels.fluid) >= threshold:
        weighting = Sequence.T2 if pixels.fluid > 0 else Sequence.T1
    if abs(pixels.fat) >= threshold:
        suppressed = pixels.fat < 0
    return Clues(weighting, suppressed)


def _timing(tags: SeriesTags, rules: PhysicsRules) -> _Timing:
    """Judge TR, TE and TI."""
    for judge in (_inversion_recovery, _gradient_echo, _spin_echo):
        weighting, suppressed, name = judge(tags, rules)
        if weighting is not None:
            times = (
                f"TR {tags.repetition_time_ms:.0f} TE {tags.echo_time_ms:.0f} "
                f"TI {tags.inversion_time_ms:.0f} ms"
            )
            return weighting, suppressed, f"{times.replace('nan', '?')}: {name}"
    contrast = tags.acquisition_contrast
    if contrast == "STIR":
        return Sequence.T2, True, "AcquisitionContrast STIR"
    if contrast in ("T1", "T2"):
        return Sequence(contrast), None, f"AcquisitionContrast {contrast}"
    return None, None, ""


def _inversion_recovery(tags: SeriesTags, rules: PhysicsRules) -> _Timing:
    """Tell STIR and T1-FLAIR; a short inversion before T1 is spectral (SPAIR)."""
    tr, te, ti = tags.repetition_time_ms, tags.echo_time_ms, tags.inversion_time_ms
    inverted = "IR" in tags.scanning_sequence or ti > 0
    if not inverted or te > rules.stir_max_te_ms:
        return None, None, ""
    short = rules.stir_min_ti_ms <= ti <= rules.stir_max_ti_ms
    if short and tr < rules.t1_max_tr_ms:
        return Sequence.T1, True, "T1-weighted after a short inversion"
    if short or (not ti > 0 and tr >= rules.stir_min_tr_ms):
        return Sequence.T2, True, "short-TI inversion recovery"
    if is_t1_flair(tags, rules):
        return Sequence.T1, None, "T1-FLAIR"
    return None, None, ""


def _gradient_echo(tags: SeriesTags, rules: PhysicsRules) -> _Timing:
    """Tell gradient echoes of low flip angle."""
    spin = "SE" in tags.scanning_sequence
    if spin or "GR" not in tags.scanning_sequence:
        return None, None, ""
    if tags.flip_angle_deg >= rules.gradient_max_flip_deg:
        return None, None, ""
    spoiled = tags.echo_time_ms < rules.spoiled_t1_max_te_ms
    if spoiled and tags.repetition_time_ms < rules.spoiled_t1_max_tr_ms:
        return Sequence.T1, None, "spoiled gradient echo, T1-weighted"
    return Sequence.OTHER, None, "gradient echo"


def _spin_echo(tags: SeriesTags, rules: PhysicsRules) -> _Timing:
    """Tell T1, T2 and proton density by TR and TE."""
    tr, te = tags.repetition_time_ms, tags.echo_time_ms
    if tr < rules.t1_max_tr_ms and te < rules.t1_max_te_ms:
        return Sequence.T1, None, "T1-weighted"
    if te >= rules.t2_min_te_ms and not tr <= rules.t2_min_tr_ms:
        return Sequence.T2, None, "T2-weighted"
    if tr > rules.t2_min_tr_ms and te > 0 and "IR" not in tags.scanning_sequence:
        return Sequence.PD, None, "proton-density-weighted"
    return None, None, ""


def _text_suppression(words: str, rules: TextRules) -> bool | None:
    """Judge words for fat suppression; silence does not mean none."""
    if re.search(rules.stir, words):
        return True
    if re.search(rules.not_fat_suppressed, words):
        return False
    return True if re.search(rules.fat_suppressed, words) else None


def _text_dixon_part(words: str, rules: TextRules) -> str:
    """Return "water", "in", "other" or nothing, from words about Dixon images."""
    if not re.search(rules.dixon, words):
        return ""
    for pattern, part in (
        (rules.dixon_water, "water"),
        (rules.dixon_in_phase, "in"),
        (rules.dixon_opposed_or_fat, "other"),
    ):
        if re.search(pattern, words):
            return part
    return ""


def _first(
    answers: list[Answer | None], subject: str, notes: list[str]
) -> Answer | None:
    """Take the first answer and note that a later one contradicts it."""
    given = [answer for answer in answers if answer is not None]
    if len(set(given)) > 1 and set(given) != {Sequence.PD, Sequence.T2}:
        notes.append(f"evidence on {subject} disagrees; the stronger one decides")
    return given[0] if given else None


def _combine(
    weighting: Sequence | None, suppressed: bool | None, agent: bool | None
) -> Sequence:
    """Combine the answers into a class."""
    if weighting is None:
        return Sequence.OTHER
    if not suppressed or weighting is Sequence.OTHER:
        return weighting
    if weighting is Sequence.T1:
        return Sequence.T1_FS_POST if agent else Sequence.OTHER
    return Sequence.T2_FS

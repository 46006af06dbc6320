"""Extents to Czervionke-Fenton grade by written rules."""

from __future__ import annotations

from facetgrade.anatomy import ExtensionSite
from facetgrade.findings import Extents, SequenceGrade
from facetgrade.grade.settings import GradeSettings, RuleSettings
from facetgrade.study import Sequence

_SITE_WORDS = {
    ExtensionSite.FORAMEN: "the intervertebral foramen",
    ExtensionSite.LIGAMENTUM_FLAVUM: "the ligamentum flavum",
    ExtensionSite.PEDICLE: "the pedicle",
    ExtensionSite.TRANSVERSE_PROCESS: "the transverse process",
    ExtensionSite.VERTEBRAL_BODY: "the vertebral body",
}

_SHOWN_MM3 = 0.5


def apply_rules(
    extents: Extents, sequence: Sequence, settings: GradeSettings
) -> SequenceGrade:
    """Grade one joint on one contrast.

    Parameters
    ----------
    extents : Extents
        What was measured.
    sequence : Sequence
        Contrast on which it was measured.
    settings : GradeSettings
        Thresholds in `settings.rules`; how planes combine in
        `settings.measure.perimeter`.

    Returns
    -------
    SequenceGrade
        Grade 0-4 with one sentence per decision. Cysts are named and never grade.

    References
    ----------
    .. [1] Czervionke LF, Fenton DS. Pain Med 2008;9(4):400-406,
       doi 10.1111/j.1526-4637.2007.00313.x.
    """
    rules = settings.rules
    fraction = extents.perimeter_fraction.value
    soft = has_soft_tissue_edema(extents, rules)
    extension: tuple[ExtensionSite, ...] = ()
    trace = [_effusion_sentence(extents, rules)]
    near = _borderline_sentences(extents, rules)
    if soft or has_marrow_edema(extents, rules):
        extension = reached_sites(extents, rules)
        counted = fraction if soft else 0.0
        grade, decision = _extracapsular_grade(extension, counted, rules)
        trace += _extracapsular_sentences(extents, settings, extension, decision)
    else:
        grade = int(has_effusion(extents, rules))
        trace.append(_confined_sentence(extents, grade, rules))
    trace[1:1] = near
    if extents.cyst_mm3 >= rules.minimum_cyst_mm3:
        trace.append(
            f"synovial cyst of {extents.cyst_mm3:.0f} mm3: named apart, not graded"
        )
    return SequenceGrade(
        sequence=sequence,
        grade=grade,
        extents=extents,
        extension=extension,
        borderline=bool(near),
        trace=tuple(trace),
    )


def has_effusion(extents: Extents, rules: RuleSettings) -> bool:
    """Tell whether there is more fluid than a normal joint holds."""
    return (
        extents.effusion_width_mm.value >= rules.minimum_width_mm
        or extents.effusion_mm3.value > rules.maximum_physiologic_mm3
    )


def has_soft_tissue_edema(extents: Extents, rules: RuleSettings) -> bool:
    """Tell whether edema outside the capsule is large enough and fills a sector.

    A sector is the least that the perimeter fraction can see; smaller edema, or edema
    at one end of the joint that belongs to the next level, leaves the fraction 0.
    """
    return (
        extents.soft_tissue_edema_mm3.value >= rules.minimum_soft_tissue_edema_mm3
        and extents.perimeter_fraction.value > 0.0
    )


def has_marrow_edema(extents: Extents, rules: RuleSettings) -> bool:
    """Tell whether the articular processes hold edema, which alone makes grade 2."""
    return extents.articular_marrow_edema_mm3 >= rules.minimum_marrow_edema_mm3


def reached_sites(extents: Extents, rules: RuleSettings) -> tuple[ExtensionSite, ...]:
    """Return the sites whose connected signal is large enough, in table order."""
    return tuple(
        site
        for site in ExtensionSite
        if extents.extension_mm3.get(site, 0.0) >= rules.minimum_extension_mm3
    )


def _extracapsular_grade(
    extension: tuple[ExtensionSite, ...], fraction: float, rules: RuleSettings
) -> tuple[int, str]:
    """Decide between grades 2, 3 and 4, with the words for the trace."""
    if fraction > rules.majority:
        return (4, "grade 4") if extension else (3, "no extension: grade 3")
    if not extension:
        return 2, "grade 2"
    if rules.extension_without_majority == "liberal":
        return 4, "extension without a majority of the perimeter, liberal rule: grade 4"
    return 2, "extension without a majority of the perimeter, strict rule: grade 2"


def _borderline_sentences(extents: Extents, rules: RuleSettings) -> list[str]:
    """Name each measurement that decides the grade and is near its limit."""
    fraction = extents.perimeter_fraction.value
    soft_mm3 = extents.soft_tissue_edema_mm3.value
    width_mm = extents.effusion_width_mm.value
    marrow = has_marrow_edema(extents, rules)
    sentences = []
    enough = soft_mm3 >= rules.minimum_soft_tissue_edema_mm3
    if enough and rules.borderline_low <= fraction <= rules.borderline_high:
        sentences.append(
            f"perimeter fraction {fraction:.3f} lies between "
            f"{rules.borderline_low:.2f} and {rules.borderline_high:.2f}: borderline"
        )
    if enough and not marrow and fraction <= rules.borderline_least:
        sentences.append(
            f"{soft_mm3:.0f} mm3 of edema fill {fraction:.3f} of the perimeter, "
            f"at most {rules.borderline_least:.2f}: borderline"
        )
    confined = not (marrow or has_soft_tissue_edema(extents, rules))
    narrow = extents.effusion_mm3.value <= rules.maximum_physiologic_mm3
    off_mm = abs(width_mm - rules.minimum_width_mm)
    if confined and narrow and off_mm <= rules.borderline_width_mm:
        sentences.append(
            f"the width lies within {rules.borderline_width_mm:.2f} mm of "
            f"{rules.minimum_width_mm:.1f} mm: borderline"
        )
    return sentences


def _effusion_sentence(extents: Extents, rules: RuleSettings) -> str:
    """Say what the fluid inside the capsule amounts to."""
    width_mm = extents.effusion_width_mm.value
    volume_mm3 = extents.effusion_mm3.value
    measured = f"effusion {width_mm:.1f} mm wide, {volume_mm3:.0f} mm3"
    if width_mm >= rules.minimum_width_mm:
        return f"{measured}: at least {rules.minimum_width_mm:.1f} mm, abnormal"
    if volume_mm3 > rules.maximum_physiologic_mm3:
        return (
            f"{measured}: more than {rules.maximum_physiologic_mm3:.0f} mm3, abnormal"
        )
    return f"{measured}: under {rules.minimum_width_mm:.1f} mm, physiologic"


def _confined_sentence(extents: Extents, grade: int, rules: RuleSettings) -> str:
    """Say that nothing that counts lies outside the capsule."""
    soft_mm3 = extents.soft_tissue_edema_mm3.value
    edema_mm3 = soft_mm3 + extents.articular_marrow_edema_mm3
    ignored = ""
    if soft_mm3 >= rules.minimum_soft_tissue_edema_mm3:
        ignored = f" ({soft_mm3:.0f} mm3 of edema fill no sector of the perimeter)"
    elif edema_mm3 >= _SHOWN_MM3:
        ignored = f" ({edema_mm3:.0f} mm3 of edema are below the noise limits)"
    if grade:
        return f"no signal outside the capsule{ignored}: grade 1"
    return f"no abnormal signal in or around the joint{ignored}: grade 0"


def _extracapsular_sentences(
    extents: Extents,
    settings: GradeSettings,
    extension: tuple[ExtensionSite, ...],
    decision: str,
) -> list[str]:
    """Say what lies outside the capsule and which grade that makes."""
    rules = settings.rules
    sentences = []
    if has_marrow_edema(extents, rules):
        sentences.append(
            f"marrow edema of the articular processes, "
            f"{extents.articular_marrow_edema_mm3:.0f} mm3: at least grade 2"
        )
    fraction = extents.perimeter_fraction.value
    if extension:
        reached = ", ".join(
            f"{_SITE_WORDS[site]} ({extents.extension_mm3[site]:.0f} mm3)"
            for site in extension
        )
        sentences.append(f"signal extends to {reached}")
    way = settings.measure.perimeter.combine
    sentences.append(
        f"extracapsular signal over {100.0 * fraction:.0f} % of the perimeter ({way}); "
        f"{decision}"
    )
    return sentences

"""cohort.html: transitions, paired changes and their tests over all pairs."""

from __future__ import annotations

from typing import Any

from facetgrade.compare.changes import Change, Extent
from facetgrade.compare.cohort import GRADE, Section
from facetgrade.compare.cohort_figures import Forest, alluvial, forest
from facetgrade.compare.job import CompareJob
from facetgrade.compare.pages import CHANGES, environment
from facetgrade.report.atomic import clean

# Title, unit, digits and factor of each measure.
MEASURES: dict[str, tuple[str, str, int, float]] = {
    GRADE: ("Grade", "grades", 2, 1.0),
    Extent.PERIMETER_FRACTION.value: ("Perimeter surrounded", "%", 1, 100.0),
    Extent.EFFUSION_MM3.value: ("Effusion", "mm³", 0, 1.0),
    Extent.EFFUSION_WIDTH_MM.value: ("Effusion width", "mm", 2, 1.0),
    Extent.EDEMA_MM3.value: ("Edema", "mm³", 0, 1.0),
}


def render_cohort(cohort: Section, job: CompareJob) -> str:
    """Write the page of a cohort.

    Parameters
    ----------
    cohort : dict
        From `summarize_cohort`.
    job : CompareJob
        Settings and versions.

    Returns
    -------
    str
        HTML without scripts, links only into the output folder.
    """
    page = environment().get_template("cohort.html.j2")
    return clean(
        page.render(
            cohort=cohort,
            changes={change.value: CHANGES[change] for change in Change},
            plot=alluvial(cohort["transitions"]),
            forests=_forests(cohort),
            measures=MEASURES,
            context=job.context,
            detectable=job.settings.smallest_detectable_change,
            statistics=job.settings.statistics,
            p_text=p_text,
            share_text=share_text,
        )
    )


def p_text(value: float | None) -> str:
    """Write a p-value with three decimals."""
    if value is None:
        return "\N{EN DASH}"
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def share_text(estimate: dict[str, Any]) -> str:
    """Write a share with its limits as percent."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    text = f"{100 * value:.0f} %"
    if low is None or high is None:
        return text
    return f"{text} [{100 * low:.0f}, {100 * high:.0f}]"


def _forests(cohort: Section) -> list[Forest]:
    """Lay out one forest plot per measure."""
    found = []
    for measure, (title, unit, places, factor) in MEASURES.items():
        estimates = [
            (f"{group['factor']}: {group['label']}", group["paired"][measure])
            for group in cohort["groups"]
            if measure in group["paired"]
        ]
        if measure in cohort["paired"]:
            estimates.insert(0, ("all joints", cohort["paired"][measure]))
        plot = forest(title, unit, estimates, places=places, factor=factor)
        if plot is not None:
            found.append(plot)
    return found

"""The result of an evaluation as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facetgrade.evaluate.agreement import GRADES
from facetgrade.evaluate.figures import confusion_figure, reliability_figure
from facetgrade.evaluate.summary import Section

UNDEFINED = "\N{EN DASH}"
AGREEMENT_NAMES = {
    "exact": "exact agreement",
    "within_one": "within one grade",
    "kappa_quadratic": "kappa, quadratic weights",
    "kappa_quadratic_missing": "the same, no grade taken for the farthest one",
    "kappa_linear": "kappa, linear weights",
    "ac2_ordinal": "Gwet AC2, ordinal weights",
    "graded_share": "share graded",
    "exact_graded": "exact, graded joints only",
    "within_one_graded": "within one, graded joints only",
}
CHANGE_NAMES = {
    "direction_right": "direction right, of changed pairs",
    "opposite": "opposite direction, of changed pairs",
    "unchanged_right": "no change seen, of unchanged pairs",
    "mean_direction_right": "direction of the mean grade right, of changed pairs",
    "mean_spearman": "change of the mean grade, Spearman, all pairs",
}
CALIBRATION_NAMES = {
    "ece": "calibration error, 10 equal-mass bins",
    "ece_corrected": "the same, corrected for chance",
    "rms_corrected": "root mean square error, unbiased",
    "every_ece_corrected": "all five grades, corrected for chance",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ranked_probability": "ranked probability score",
    "coverage": "grade sets that hold the truth",
    "mean_size": "mean size of the sets",
    "single_share": "sets of one grade",
}
AGREEMENT_TEXT = (
    "An ungradable joint counts as wrong in exact and within-one agreement wherever "
    "the truth is gradable. Kappa and AC2 have no place for a missing grade: they are "
    "over the graded joints, with the share graded beside them.",
    "Brackets are patient-cluster bootstrap intervals. Kappa depends on how often each "
    "grade occurs; read it with the prevalence and with AC2.",
)


@dataclass(frozen=True, slots=True)
class Table:
    """Table of a page; cells are ready to print."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Picture of a page, as a data URI."""

    uri: str
    caption: str


@dataclass(frozen=True, slots=True)
class Block:
    """Section of a page: title, sentences, tables, pictures."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Picture, ...] = ()


def render(
    title: str,
    lead: str,
    blocks: Sequence[Block],
    made: Sequence[tuple[str, str]],
) -> str:
    """Return the page as HTML that needs no other file.

    Parameters
    ----------
    title, lead : str
        Heading and the sentence under it.
    blocks : sequence of Block
        The sections.
    made : sequence of (str, str)
        Versions, seeds and files behind the numbers.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("facetgrade.evaluate"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    return template.render(title=title, lead=lead, blocks=blocks, made=made)


def readers_page(result: Section, made: Sequence[tuple[str, str]]) -> str:
    """Return the page of a comparison with readers' grades."""
    columns = _reader_columns(result)
    counts = result["counts"]
    lead = (
        f"{counts['grades_matched']} grades of {counts['readers']} "
        f"{'reader' if counts['readers'] == 1 else 'readers'}, "
        f"{result['pooled']['counts']['patients']} patients"
    )
    blocks = [
        Block(
            "Agreement",
            AGREEMENT_TEXT,
            (
                agreement_table(result),
                prevalence_table(columns),
            ),
            tuple(confusion_picture(name, column) for name, column in columns.items()),
        ),
        *_between_block(result["between_readers"]),
        *change_blocks(columns),
        *calibration_blocks(columns),
        *_unmatched_block(result["unmatched"]),
    ]
    return render("Agreement with readers", lead, blocks, made)


def agreement_table(result: Section) -> Table:
    """Lay out the agreement with each reader and pooled, also for the terminal.

    Parameters
    ----------
    result : dict
        From `readers.evaluate_tables`.
    """
    columns = _reader_columns(result)
    groups = {name: section["agreement"] for name, section in columns.items()}
    return estimate_table(AGREEMENT_NAMES, groups)


def estimate_table(
    names: Mapping[str, str],
    columns: Mapping[str, Mapping[str, Section]],
    *,
    caption: str = "",
) -> Table:
    """Lay out estimates, one row a statistic and one column a group."""
    rows = tuple(
        (label, *(estimate_text(group.get(name)) for group in columns.values()))
        for name, label in names.items()
        if any(name in group for group in columns.values())
    )
    return Table(("", *columns), rows, caption)


def prevalence_table(columns: Mapping[str, Section]) -> Table:
    """Lay out how often each grade occurs in truth and in prediction."""
    rows = []
    for name, section in columns.items():
        for kind in ("truth", "predicted"):
            shares = section["prevalence"][kind]
            rows.append((f"{name}, {kind}", *(number_text(share) for share in shares)))
    header = ("share of each grade", *(str(grade) for grade in range(GRADES)))
    return Table(header, tuple(rows))


def confusion_picture(name: str, section: Section) -> Picture:
    """Draw the confusion matrix of one group."""
    graded = sum(map(sum, section["confusion"]))
    return Picture(
        confusion_figure(section["confusion"], columns="predicted grade"),
        f"{name}: {graded} graded joints; shade is the share of each true grade",
    )


def change_blocks(columns: Mapping[str, Section]) -> list[Block]:
    """Return the section on change, if there are pairs of time points."""
    pairs = {
        name: section["change"]
        for name, section in columns.items()
        if section["change"]["counts"]["pairs"]
    }
    if not pairs:
        return []
    text = "; ".join(
        f"{name}: {section['counts']['pairs']} pairs, "
        f"{section['counts']['changed']} of them truly changed"
        for name, section in pairs.items()
    )
    groups = {name: section["change"] for name, section in pairs.items()}
    return [Block("Change", (text + ".",), (estimate_table(CHANGE_NAMES, groups),))]


def calibration_blocks(columns: Mapping[str, Section]) -> list[Block]:
    """Return the section on probabilities, if the predictions have any."""
    groups = {
        name: section["calibration"]
        for name, section in columns.items()
        if section["calibration"]["counts"]["joints"]
    }
    if not groups:
        return []
    text = (
        "Over graded joints. The plain calibration error is above zero by chance "
        "alone; the corrected ones allow for it. Their intervals lean upward, since "
        "resampling adds the same chance again.",
    )
    table = estimate_table(
        CALIBRATION_NAMES,
        {name: group["calibration"] for name, group in groups.items()},
    )
    pictures = tuple(
        Picture(
            reliability_figure(group["reliability"]),
            f"{name}: stated probability against truth, bins of equal mass",
        )
        for name, group in groups.items()
    )
    return [Block("Probabilities and grade sets", text, (table,), pictures)]


def estimate_text(estimate: Mapping[str, Any] | None) -> str:
    """Write an estimate as ``0.81 [0.74, 0.87]``."""
    if estimate is None or estimate["value"] is None:
        return UNDEFINED
    value = number_text(estimate["value"])
    if estimate["low"] is None:
        return value
    return f"{value} [{number_text(estimate['low'])}, {number_text(estimate['high'])}]"


def number_text(value: float | None) -> str:
    """Write a number with two decimals from 10 up, three below."""
    if value is None:
        return UNDEFINED
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _reader_columns(result: Section) -> dict[str, Section]:
    """Return the readers, with all of them pooled where there are several."""
    readers: dict[str, Section] = dict(result["readers"])
    return {**readers, "pooled": result["pooled"]} if len(readers) > 1 else readers


def _between_block(sections: Sequence[Section]) -> list[Block]:
    """Return the section on agreement between the readers."""
    if not sections:
        return []
    groups = {f"{s['first']} and {s['second']}": s["agreement"] for s in sections}
    text = "What one reader's grades say about another's: the yardstick for the above."
    between = ("exact", "within_one", "kappa_quadratic", "kappa_linear", "ac2_ordinal")
    names = {name: AGREEMENT_NAMES[name] for name in between}
    return [Block("Between readers", (text,), (estimate_table(names, groups),))]


def _unmatched_block(unmatched: Sequence[str]) -> list[Block]:
    """Return the section that names grades without a predicted joint."""
    if not unmatched:
        return []
    text = (
        f"{len(unmatched)} grades name a study, level or side that the predictions do "
        "not hold. They are in none of the figures above."
    )
    rows = tuple((line,) for line in unmatched)
    return [Block("Grades without a predicted joint", (text,), (Table(("",), rows),))]

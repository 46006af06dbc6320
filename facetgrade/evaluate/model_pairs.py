"""Paired differences of two models on the same joints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import agreement_statistics
from facetgrade.evaluate.summary import Bootstrap, Section

KAPPA = "kappa_quadratic_missing"
SHOWN = ("exact", "within_one", KAPPA, "graded_share")
SUBGROUPS = ("group", "level", "side", "reader", "true grade")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedJoint:
    """A joint with its true grade and the grades of both models.

    Attributes
    ----------
    patient : str
        Cluster of the bootstrap.
    truth, new, current : int
        0-4, or `UNGRADABLE`.
    factors : mapping of str to str
        Subgroups, by the names of `SUBGROUPS`.
    dice : mapping of str to pair of float
        Dice of each outline, new and current; empty without masks.
    """

    patient: str
    truth: int
    new: int
    current: int
    factors: Mapping[str, str]
    dice: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def compare_pairs(pairs: Sequence[PairedJoint], bootstrap: Bootstrap) -> Section:
    """Compare two models on the same joints, overall and by subgroup.

    Parameters
    ----------
    pairs : sequence of PairedJoint
        At least one.
    bootstrap : Bootstrap
        Resamples patients: both models see the same resample, so that what makes a
        patient hard does not blur the difference.

    Returns
    -------
    dict
        joints, patients, new, current, difference (with intervals), dice, subgroups.
    """
    section = _compare(pairs, bootstrap)
    section["dice"] = _dice(pairs, bootstrap)
    section["subgroups"] = {
        name: {value: _compare(part, bootstrap) for value, part in parts.items()}
        for name in SUBGROUPS
        if len(parts := _parts(pairs, name)) > 1
    }
    return section


def judge(
    own: Section, benchmark: Section | None, *, loss: float, benchmark_loss: float
) -> tuple[str, list[str]]:
    """Say whether the new model is worse, and why.

    Parameters
    ----------
    own, benchmark : dict
        From `compare_pairs`, on the held-out cases and on the benchmark.
    loss, benchmark_loss : float
        Largest loss of kappa on each that is accepted.

    Returns
    -------
    str
        ``worse``, ``better`` (kappa on the own cases rises beyond its interval) or
        ``not worse``.
    list of str
        One sentence for each set of cases.
    """
    reasons, worse = [], False
    for name, section, allowed in (
        ("held-out cases", own, loss),
        ("benchmark", benchmark, benchmark_loss),
    ):
        if section is None:
            reasons.append(f"{name}: not run")
            continue
        name_of = KAPPA if _value(section, KAPPA) is not None else "exact"
        value = _value(section, name_of) or 0.0
        worse |= value < -allowed - 1e-9
        low, high = (section["difference"][name_of][end] for end in ("low", "high"))
        interval = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
        on = f"{section['joints']} joints of {section['patients']} patients"
        reasons.append(f"{name}: {name_of} {value:+.3f}{interval} on {on}")
    low = own["difference"].get(KAPPA, {}).get("low")
    better = not worse and low is not None and low > 0
    return ("worse" if worse else "better" if better else "not worse"), reasons


def _value(section: Section, name: str) -> float | None:
    """Return the difference of a statistic, None where it is undefined."""
    value: float | None = section["difference"].get(name, {}).get("value")
    return value


def _compare(pairs: Sequence[PairedJoint], bootstrap: Bootstrap) -> Section:
    """Compare the grades of both models."""
    truth, new, current = (
        np.array([getattr(pair, name) for pair in pairs], np.int64)
        for name in ("truth", "new", "current")
    )
    patients = [pair.patient for pair in pairs]

    def of(grades: NDArray[np.int64], rows: NDArray[np.int64]) -> dict[str, float]:
        values = agreement_statistics(truth[rows], grades[rows])
        return {name: values[name] for name in SHOWN}

    def difference(rows: NDArray[np.int64]) -> dict[str, float]:
        after, before = of(new, rows), of(current, rows)
        return {name: after[name] - before[name] for name in SHOWN}

    return {
        "joints": len(pairs),
        "patients": len(set(patients)),
        "new": bootstrap.estimate(patients, lambda rows: of(new, rows)),
        "current": bootstrap.estimate(patients, lambda rows: of(current, rows)),
        "difference": bootstrap.estimate(patients, difference),
        "changed": int((new != current).sum()),
    }


def _dice(pairs: Sequence[PairedJoint], bootstrap: Bootstrap) -> Section:
    """Compare the mean Dice of the outlines that both models can be judged on."""
    result: Section = {}
    for name in sorted({name for pair in pairs for name in pair.dice}):
        rows = [pair for pair in pairs if name in pair.dice]
        values = np.array([pair.dice[name] for pair in rows], np.float64)

        def means(
            draw: NDArray[np.int64], values: NDArray[np.float64] = values
        ) -> dict[str, float]:
            new, current = values[draw].mean(axis=0)
            return {"new": new, "current": current, "difference": new - current}

        result[name] = bootstrap.estimate([pair.patient for pair in rows], means)
    return result


def _parts(pairs: Sequence[PairedJoint], name: str) -> dict[str, list[PairedJoint]]:
    """Split the joints by a factor."""
    parts: dict[str, list[PairedJoint]] = {}
    for pair in pairs:
        value = pair.factors.get(name, "")
        if value:
            parts.setdefault(value, []).append(pair)
    return dict(sorted(parts.items()))

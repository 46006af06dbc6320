"""Which series a study holds, and from which stream each of them is drawn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.streams import side_stream

NamedSeries = tuple[str, np.random.Generator]


def study_series(
    config: SimulateSettings, field_t: float, rng: np.random.Generator
) -> list[NamedSeries]:
    """Draw the series of one study, in the order in which they are acquired.

    Parameters
    ----------
    config : SimulateSettings
        What every study has and what some have.
    field_t : float
        Field strength of the scanner in tesla.
    rng : Generator
        Stream of the study. Protocols that are drawn aside neither change it nor what
        is drawn from it later.

    Returns
    -------
    list of (str, Generator)
        Names of protocols, each with the stream for its draws. Series drawn aside come
        last, but without contrast agent before those with.
    """
    aside = _apart(rng)
    names = list(config.study.always)
    added: list[str] = []
    for name, share in config.study.sometimes.items():
        apart = config.protocols[name].aside
        if (aside if apart else rng).random() < share:
            (added if apart else names).append(name)
    series = [(name, rng) for name in names]
    for name in added:
        agent = config.protocols[name].contrast_agent
        place = len(series) if agent else _first_with_agent(config, series)
        series.insert(place, (name, np.random.default_rng(aside.integers(2**32))))
    return _replaced(config, series, field_t, aside)


def view_series(
    config: SimulateSettings, field_t: float, rng: np.random.Generator
) -> list[NamedSeries]:
    """List every protocol that a scanner has, as `study_series` lists those of a study.

    Parameters
    ----------
    config : SimulateSettings
        Protocols; what takes the place of another does so in its share.
    field_t : float
        Field strength of the scanner in tesla.
    rng : Generator
        Stream of the case.
    """
    aside = _apart(rng)
    series = [
        (name, np.random.default_rng(aside.integers(2**32)) if ranges.aside else rng)
        for name, ranges in config.protocols.items()
        if ranges.instead is None
    ]
    return _replaced(config, series, field_t, aside)


def name_at_field(config: SimulateSettings, name: str, field_t: float) -> str:
    """Return a protocol, or that whose place it takes where the field is too low."""
    ranges = config.protocols[name]
    if ranges.instead is not None and field_t < ranges.least_field_t:
        return ranges.instead
    return name


def _apart(rng: np.random.Generator) -> np.random.Generator:
    """Seed a stream from the side stream: no two studies' draws then overlap."""
    return np.random.default_rng(side_stream(rng).integers(2**32, size=4))


def _first_with_agent(config: SimulateSettings, series: list[NamedSeries]) -> int:
    """Find the place of the first series after contrast agent, or the end."""
    agents = (config.protocols[name].contrast_agent for name, _ in series)
    return next((place for place, agent in enumerate(agents) if agent), len(series))


def _replaced(
    config: SimulateSettings,
    series: Iterable[NamedSeries],
    field_t: float,
    aside: np.random.Generator,
) -> list[NamedSeries]:
    """Let protocols take the place of others, in their share of the scanners."""
    successors = {
        ranges.instead: name
        for name, ranges in config.protocols.items()
        if ranges.instead is not None
        and field_t >= ranges.least_field_t
        and aside.random() < ranges.instead_share
    }
    return [(successors.get(name, name), stream) for name, stream in series]

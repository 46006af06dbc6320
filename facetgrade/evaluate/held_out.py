"""Held-out patients: which there are, and their simulated studies on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetgrade.config import (
    check_settings,
    config_values,
    merge,
    read_toml,
    shipped_path,
)
from facetgrade.errors import ConfigError
from facetgrade.evaluate.settings import BenchmarkSettings
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.study import simulate

NEEDS_NO_DATA = "parametric"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class HeldOutPatient:
    """One patient of the benchmark, before simulation.

    Attributes
    ----------
    name : str
        Cluster of the bootstrap, such as ``p0007``.
    group : str
        Name of the group the patient belongs to.
    seed : int
        Seed of everything about the patient.
    visits : int
        1 or 2.
    anatomy : str
        Source, with its folder, as `simulate` takes it.
    settings : SimulateSettings
        Simulator settings of the group.
    """

    name: str
    group: str
    seed: int
    visits: int
    anatomy: str
    settings: SimulateSettings

    def fingerprint(self, *others: Mapping[str, Any]) -> str:
        """Return a hash of all that decides the patient's result."""
        values = {
            "seed": self.seed,
            "visits": self.visits,
            "anatomy": self.anatomy.partition("=")[0],
            "settings": config_values(self.settings),
            "others": others,
        }
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def draw_patients(
    settings: BenchmarkSettings, *, prefix: str = "p"
) -> tuple[HeldOutPatient, ...]:
    """Return all patients of a set; they take turns through the groups.

    Names begin with `prefix`.

    Raises
    ------
    ConfigError
        If an override names an unknown key or an impossible value, or the data folder
        is missing.
    """
    _check_data(settings)
    visits = 2 if settings.pairs else 1
    path = shipped_path(settings.simulate_config)
    base = merge(read_toml(path), settings.overrides)
    simulators = [
        check_settings(merge(base, group.overrides), SimulateSettings, path)
        for group in settings.groups
    ]
    patients = []
    for number in range(-(-settings.studies // visits)):
        turn = number % len(settings.groups)
        group = settings.groups[turn]
        patients.append(
            HeldOutPatient(
                name=f"{prefix}{number + 1:04d}",
                group=group.name,
                seed=settings.seed + number + 1,
                visits=visits,
                anatomy=_source(group.anatomy, settings.data_folder),
                settings=simulators[turn],
            )
        )
    return tuple(patients)


def simulate_patient(
    patient: HeldOutPatient, folder: Path, rules: GradeSettings
) -> list[Path]:
    """Write all studies of one patient; return their folders in order of time."""
    studies: Iterator[Path] = simulate(
        folder,
        studies=patient.visits,
        seed=patient.seed,
        pairs=patient.visits > 1,
        anatomy=patient.anatomy,
        config=patient.settings,
        grade=rules,
    )
    return list(studies)


def _check_data(settings: BenchmarkSettings) -> None:
    """Refuse a data folder that is missing, before hours of work."""
    needed = any(group.anatomy != NEEDS_NO_DATA for group in settings.groups)
    if needed and not Path(settings.data_folder).is_dir():
        raise ConfigError(
            f"data folder {settings.data_folder} is missing; the held-out anatomy is "
            "not part of facetgrade, set benchmark.data_folder to where it is"
        )


def _source(anatomy: str, data_folder: str) -> str:
    """Name the anatomy with the folder that it needs."""
    return anatomy if anatomy == NEEDS_NO_DATA else f"{anatomy}={data_folder}"

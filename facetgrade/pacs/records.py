"""What archives are asked for, what they list, and what every archive can do."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Protocol

from facetgrade.errors import ConfigError

# Characters that would make a value match more than itself (PS3.4 C.2.2.2).
_MATCHING = set("*?\\")


@dataclass(frozen=True, slots=True)
class RemoteSeries:
    """A series as an archive lists it."""

    study_uid: str
    series_uid: str
    modality: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteStudy:
    """A study as an archive lists it; nothing of it is ever shown."""

    study_uid: str
    date: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RemoteInstance:
    """An instance as an archive lists it."""

    instance_uid: str
    class_uid: str


Keep = Callable[[bytes], None]


class Archive(Protocol):
    """Whatever studies come from and results go to.

    Every method raises ConnectionLostError if trying again may help, TransferError if
    not.
    """

    @property
    def name(self) -> str:
        """Name of the node."""

    def find_studies(self, query: StudyQuery) -> list[RemoteStudy]:
        """Search, as far as the protocol can."""

    def list_series(self, study_uid: str) -> list[RemoteSeries]:
        """List the series of a study."""

    def list_instances(self, series: RemoteSeries) -> list[RemoteInstance]:
        """List the instances of a series."""

    def fetch(
        self, series: RemoteSeries, wanted: Sequence[RemoteInstance], keep: Keep
    ) -> None:
        """Hand the wanted instances of a series to `keep`, each as a DICOM file."""

    def store(self, paths: Sequence[Path], stored: Callable[[Path], None]) -> None:
        """Send files of one study, telling of each that is safe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyQuery:
    """Which studies are wanted; all that is given must fit.

    Attributes
    ----------
    dates : str
        Range of StudyDate such as ``20200101-20201231``, either end may be missing.
    description : str
        Pattern of StudyDescription with ``*`` and ``?``.
    modalities : tuple of str
        Series of these modalities are wanted.
    accession_numbers, patient_ids : tuple of str
        Lists of which one must fit.
    """

    dates: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = field(default=(), repr=False)
    patient_ids: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_open(self) -> bool:
        """Tell whether everything of an archive would fit."""
        lists = self.accession_numbers or self.patient_ids
        return not (self.dates or self.description or lists)

    def requests(self, *, identifiers: bool) -> Iterator[dict[str, str]]:
        """Yield the searches that together find all that fits, by keyword.

        Parameters
        ----------
        identifiers : bool
            Accession numbers and PatientID may be part of a search.
        """
        base = {"StudyDate": self.dates, "StudyDescription": self.description}
        name = ""
        values: tuple[str, ...] = ("",)
        if identifiers and self.accession_numbers:
            name, values = "AccessionNumber", self.accession_numbers
        elif identifiers and self.patient_ids:
            name, values = "PatientID", self.patient_ids
        for value, modality in product(values, self.modalities or ("",)):
            keys = {**base, name: value, "ModalitiesInStudy": modality}
            yield {key: text for key, text in keys.items() if text}

    def fits(self, study: RemoteStudy) -> bool:
        """Tell whether a study fits; archives may ignore keys that they do not know."""
        first, _, last = self.dates.partition("-")
        day = study.date.replace(".", "")
        return (
            (not day or (first or day) <= day <= (last or day))
            and (
                not self.description
                or fnmatchcase(_plain(study.description), _plain(self.description))
            )
            and _is_listed(study.accession_number, self.accession_numbers)
            and _is_listed(study.patient_id, self.patient_ids)
        )

    def wants(self, series: RemoteSeries) -> bool:
        """Tell whether a series is wanted; research archives may strip Modality."""
        return not (
            self.modalities
            and series.modality
            and series.modality not in self.modalities
        )


def read_list(path: Path) -> tuple[str, ...]:
    """Read identifiers, one a line; empty lines and those with ``#`` first are not.

    Raises
    ------
    ConfigError
        If the file cannot be read, is empty, or a line would match more than itself.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        value = line.strip()
        if value and not value.startswith("#"):
            if _MATCHING & set(value) or not value.isprintable():
                raise ConfigError(f"{path}: line {number} is not one identifier")
            found[value] = None
    if not found:
        raise ConfigError(f"{path}: there is no identifier in it")
    return tuple(found)


def _is_listed(value: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


def _plain(text: str) -> str:
    """Drop case and accents, as archives do when they compare text."""
    spread = unicodedata.normalize("NFKD", text)
    return "".join(c for c in spread if not unicodedata.combining(c)).casefold()

"""A part of the studies of a run, the same on every machine."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from facetgrade.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One of several parts that share no study and leave none out.

    Attributes
    ----------
    number, count : int
        Part 1 to `count`.
    """

    number: int
    count: int

    @property
    def is_whole(self) -> bool:
        """Whether there is only one part."""
        return self.count == 1

    @property
    def label(self) -> str:
        """Name of the part in file names, such as ``2-of-8``."""
        return f"{self.number}-of-{self.count}"

    def holds(self, source: str, study_uid: str) -> bool:
        """Tell whether a study belongs to this part.

        Parameters
        ----------
        source : str
            Its true source, relative to the input.
        study_uid : str
            Its true StudyInstanceUID.
        """
        text = f"{source}\0{study_uid}".encode(errors="replace")
        digest = hashlib.sha256(text).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def parse_shard(text: str) -> Shard:
    """Read ``2/8``: the second of eight parts.

    Raises
    ------
    ConfigError
        If it is no such pair.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text.strip())
    if not match or int(match[1]) > int(match[2]):
        raise ConfigError(f"--shard must look like 2/8, from 1/8 to 8/8, got {text!r}")
    return Shard(number=int(match[1]), count=int(match[2]))

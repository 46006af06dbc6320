"""Settings of de-identification: configs/deidentify.toml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydicom.datadict import tag_for_keyword


def _known(keywords: tuple[str, ...]) -> tuple[str, ...]:
    """Accept only keywords of the DICOM dictionary."""
    unknown = [name for name in keywords if tag_for_keyword(name) is None]
    if unknown:
        raise ValueError(f"not in the DICOM dictionary: {', '.join(unknown)}")
    return keywords


def _compilable(pattern: str) -> str:
    """Accept only patterns that compile."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"bad regular expression: {error}") from error
    return pattern


Keywords = Annotated[tuple[str, ...], AfterValidator(_known)]
Pattern = Annotated[str, AfterValidator(_compilable)]


class SafePrivate(BaseModel):
    """Private numbers of one creator that tell nothing about a patient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    creator: str
    group: Annotated[int, Field(ge=9, le=0xFFFF)]
    elements: tuple[Annotated[int, Field(ge=0, le=0xFF)], ...]


class DeidentifySettings(BaseModel):
    """What is kept; everything else is removed.

    Attributes
    ----------
    min_shift_days, max_shift_days : int
        Range of the secret number of days by which a patient's dates move back.
    kept_groups : tuple of int
        Groups outside of which nothing is kept.
    kept_sequences : tuple of str
        Sequences of group 0008 that are kept.
    removed, emptied : tuple of str
        Removed, or left without a value.
    kept_texts, cleaned_texts : tuple of str
        Texts that are kept as they are, or of which only known words are kept.
    never_empty : tuple of str
        Cleaned texts that must have a value.
    kept_word : str
        Pattern that a word must match as a whole.
    safe_private : tuple of SafePrivate
        Private elements that are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_shift_days: Annotated[int, Field(ge=1)]
    max_shift_days: Annotated[int, Field(ge=1)]
    kept_groups: tuple[int, ...]
    kept_sequences: Keywords
    removed: Keywords
    emptied: Keywords
    kept_texts: Keywords
    cleaned_texts: Keywords
    never_empty: Keywords
    kept_word: Pattern
    safe_private: tuple[SafePrivate, ...]

    @model_validator(mode="after")
    def _shifts_are_a_range(self) -> DeidentifySettings:
        if self.min_shift_days > self.max_shift_days:
            raise ValueError("min_shift_days must not exceed max_shift_days")
        return self

"""De-identify one data set: keep what is known to be harmless, remove the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from facetgrade.deidentify.pseudonyms import Pseudonyms
from facetgrade.deidentify.settings import DeidentifySettings

# PS3.16 CID 7050: the profile and the options that were applied.
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    ("113111", "Retain Safe Private Option"),
)
METHOD = "facetgrade deidentify, DICOM PS3.15 E.2"

_TECHNICAL = frozenset(
    {"AT", "CS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "TM", "UL", "US", "UV"}
)
_NUMERIC = _TECHNICAL - {"AT", "CS", "TM"}
_DATES = frozenset({"DA", "DT"})
_PIXELS = frozenset(
    {0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010}
)
_TIME = re.compile(r"[0-9:. ]*")
_WORDS = re.compile(r"[A-Za-z0-9]+")
_FLOAT_BYTES = 4
_DUMMY = "UNKNOWN"


class Change(StrEnum):
    """What was done to an attribute, as written in the report."""

    REMOVED = "removed"
    EMPTIED = "emptied"
    CLEANED = "cleaned"
    SHIFTED = "date shifted"
    REPLACED = "replaced"
    ADDED = "added"


@dataclass(eq=False, slots=True)
class Changes:
    """How often each attribute was changed; never a value.

    Attributes
    ----------
    counts : Counter of (str, Change)
        Name of the attribute and change to its number.
    """

    counts: Counter[tuple[str, Change]] = field(default_factory=Counter)

    def note(self, element: DataElement | BaseTag, change: Change) -> None:
        """Count one change. Of a private attribute only its group is named."""
        tag = element.tag if isinstance(element, DataElement) else element
        name = element.keyword if isinstance(element, DataElement) else ""
        if tag.is_private or not name:
            name = f"({tag.group:04X},private)" if tag.is_private else str(tag)
        self.counts[name, change] += 1


def deidentify_dataset(
    dataset: Dataset,
    pseudonyms: Pseudonyms,
    settings: DeidentifySettings,
    changes: Changes,
) -> None:
    """De-identify a data set in place, nested sequences included.

    Parameters
    ----------
    dataset : Dataset
        An MR image.
    pseudonyms : Pseudonyms
        Of its patient.
    settings : DeidentifySettings
        What is kept.
    changes : Changes
        Counts what is done.

    References
    ----------
    .. [1] DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile.
    """
    _clean(dataset, pseudonyms, settings, changes)
    dataset.PatientName = dataset.PatientID = pseudonyms.subject
    for keyword in ("AccessionNumber", "ReferringPhysicianName", "StudyID"):
        setattr(dataset, keyword, "")
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [_code(*one) for one in METHODS]
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    for keyword in (
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    ):
        changes.note(dataset[keyword], Change.ADDED)


def clean_text(text: str, kept_word: str) -> str:
    """Keep the words of a text that match a pattern as a whole.

    What stood between two kept words becomes one sign: ``_``, ``+`` or a blank.
    """
    pattern = re.compile(kept_word)
    kept: list[str] = []
    last = 0
    for word in _WORDS.finditer(text):
        if pattern.fullmatch(word.group()):
            between = text[last : word.start()]
            sign = next((s for s in "_+*" if s in between), " ")
            kept.append((sign if kept or sign in "+*" else "") + word.group())
            last = word.end()
    return "".join(kept).strip()


def _clean(
    dataset: Dataset,
    pseudonyms: Pseudonyms,
    settings: DeidentifySettings,
    changes: Changes,
) -> None:
    """Keep, change or remove every element."""
    safe = _safe_private(dataset, settings)
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:
            # converting a damaged element raises whatever its bytes lead to
            del dataset[tag]
            changes.note(tag, Change.REMOVED)
            continue
        change = _treat(element, safe, pseudonyms, settings)
        if change is Change.REMOVED:
            del dataset[tag]
        if change is not None:
            changes.note(element, change)
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, pseudonyms, settings, changes)


def _treat(
    element: DataElement,
    safe: frozenset[BaseTag],
    pseudonyms: Pseudonyms,
    settings: DeidentifySettings,
) -> Change | None:
    """Change the value of one element in place; None where it stays."""
    keyword, tag = element.keyword, element.tag
    if tag.is_private:
        return None if tag in safe else Change.REMOVED
    if keyword in ("PatientName", "PatientID"):
        element.value = pseudonyms.subject
        return Change.REPLACED
    if keyword in settings.emptied:
        element.value = [] if element.VR == "SQ" else ""
        return Change.EMPTIED
    if tag.group not in settings.kept_groups or keyword in settings.removed:
        return Change.REMOVED
    if element.VR == "SQ":
        kept = tag.group != 0x0008 or keyword in settings.kept_sequences
        return None if kept else Change.REMOVED
    if keyword == "DeviceSerialNumber" and not element.is_empty:
        element.value = pseudonyms.device(str(element.value))
        return Change.REPLACED
    return _treat_value(element, pseudonyms, settings)


def _treat_value(
    element: DataElement, pseudonyms: Pseudonyms, settings: DeidentifySettings
) -> Change | None:
    """Change a value by its representation."""
    keyword = element.keyword
    if element.VR == "UI":
        return _replace(element, pseudonyms.uid, Change.REPLACED)
    if element.VR in _DATES:
        if element.is_empty:
            return None
        change = _replace(element, pseudonyms.date, Change.SHIFTED)
        return Change.EMPTIED if element.is_empty else change
    if element.VR == "TM":
        return _replace(element, _clean_time, Change.EMPTIED)
    if keyword in settings.cleaned_texts:
        pattern = settings.kept_word
        dummy = _DUMMY if keyword in settings.never_empty else ""
        return _replace(
            element, lambda t: clean_text(t, pattern) or dummy, Change.CLEANED
        )
    if keyword in settings.kept_texts or element.VR in _TECHNICAL:
        return None
    return None if element.tag in _PIXELS else Change.REMOVED


def _clean_time(text: str) -> str:
    """Keep a time of day, nothing of a text that someone wrote in its place."""
    return text if _TIME.fullmatch(text.strip("\0")) else ""


def _replace(
    element: DataElement, new: Callable[[str], str], change: Change
) -> Change | None:
    """Replace every value of an element; None if that changes nothing."""
    if element.is_empty:
        return None
    many = isinstance(element.value, MultiValue | list)
    before = [str(value) for value in (element.value if many else [element.value])]
    after = [new(value) for value in before]
    if before == after:
        return None
    element.value = after if many else after[0]
    return change


def _safe_private(dataset: Dataset, settings: DeidentifySettings) -> frozenset[BaseTag]:
    """Find the private elements that are kept, with the creators of their blocks."""
    kept: set[BaseTag] = set()
    for one in settings.safe_private:
        for creator in _creators(dataset, one.group, one.creator):
            block = creator.element << 8
            wanted = {BaseTag((one.group << 16) | block | e) for e in one.elements}
            found = {
                tag for tag in wanted if tag in dataset and _is_number(dataset, tag)
            }
            kept |= found | ({creator} if found else set())
    return frozenset(kept)


def _creators(dataset: Dataset, group: int, creator: str) -> list[BaseTag]:
    """Find the elements that reserve blocks for a creator."""
    tags = (BaseTag((group << 16) | element) for element in range(0x10, 0x100))
    return [
        tag
        for tag in tags
        if tag in dataset and str(dataset[tag].value).strip(" \0") == creator
    ]


def _is_number(dataset: Dataset, tag: BaseTag) -> bool:
    """Tell whether a private element is a number, or a sequence of such."""
    try:
        element = dataset[tag]
    except Exception:
        # converting a damaged element raises whatever its bytes lead to
        return False
    if element.VR == "UN":
        return isinstance(element.value, bytes) and len(element.value) == _FLOAT_BYTES
    return element.VR in _NUMERIC or isinstance(element.value, Sequence)


def _code(value: str, meaning: str) -> Dataset:
    """Build a code of the DICOM terminology."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, "DCM"
    item.CodeMeaning = meaning
    return item

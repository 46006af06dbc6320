"""Tables of a BIDS dataset: participants, sessions, labels, joints, dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.exchange.bids_names import Visit
from facetgrade.exchange.columns import JOINT_COLUMNS, Column, ColumnType
from facetgrade.report.nifti import joint_number, lesion_label, structure_label

UNKNOWN = "n/a"
_JOINT_COLUMNS = tuple(
    name for name, column in JOINT_COLUMNS.items() if not column.identifies
)
_UNITS = {"mm3": "mm^3", "mm": "mm"}
_INDEX = {"Description": "Value in the label map", "Format": "integer"}
_YES_NO = {"0": "no", "1": "yes"}
_LISTS = (ColumnType.CHOICES, ColumnType.INTEGERS)


def participants_table(visits: Iterable[Visit]) -> str:
    """Write participants.tsv."""
    names = sorted({f"sub-{visit.participant}" for visit in visits})
    return _tsv(("participant_id",), [(name,) for name in names])


def sessions_table(visits: Iterable[Visit]) -> str:
    """Write the sessions of one participant with the time between them."""
    rows = sorted(
        (f"ses-{v.session}", UNKNOWN if v.day is None else str(v.day)) for v in visits
    )
    return _tsv(("session_id", "days_since_first"), rows)


def structures_table() -> str:
    """Write what each number of a map of structures means."""
    rows = [
        (
            structure_label(joint, structure),
            f"{joint} {structure.name.lower().replace('_', ' ')}",
            joint.level.value,
            joint.side.value,
            structure.name.lower(),
        )
        for joint in _joints()
        for structure in Structure
        if structure is not Structure.SOFT_TISSUE
    ]
    return _tsv(("index", "name", "level", "side", "structure"), rows)


def lesions_table() -> str:
    """Write what each number of a map of lesions means."""
    rows = [
        (
            lesion_label(joint, lesion),
            f"{joint} {lesion.value.replace('_', ' ')}",
            joint.level.value,
            joint.side.value,
            lesion.value,
        )
        for joint in _joints()
        for lesion in Lesion
    ]
    return _tsv(("index", "name", "level", "side", "lesion"), rows)


def joints_table(rows: Iterable[Mapping[str, str]]) -> str:
    """Write what was found at the joints of one study.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of joints.csv; what may lead to a patient is left out.

    Returns
    -------
    str
        ``index`` is the number of the joint in maps of joints.
    """
    lines = []
    for row in rows:
        joint = FacetJoint(Level(row["level"]), Side(row["side"]))
        values = [row[name] or UNKNOWN for name in _JOINT_COLUMNS]
        lines.append((joint_index(joint), str(joint), *values))
    return _tsv(("index", "name", *_JOINT_COLUMNS), sorted(lines))


def joint_index(joint: FacetJoint) -> int:
    """Return 1 for L1-L2 left up to 10 for L5-S1 right."""
    return joint_number(joint) + 1


def joints_dictionary() -> dict[str, Any]:
    """Describe every column of the joints table."""
    own = {
        "index": _INDEX,
        "name": {"Description": "Level and side of the patient"},
    }
    return own | {name: _described(JOINT_COLUMNS[name]) for name in _JOINT_COLUMNS}


def labels_dictionary(kind: str) -> dict[str, Any]:
    """Describe every column of a table of labels, of structures or of lesions."""
    return {
        "index": _INDEX,
        "name": {"Description": f"Joint and {kind}"},
        "level": _described(JOINT_COLUMNS["level"]),
        "side": _described(JOINT_COLUMNS["side"]),
        kind: {"Description": f"Name of the {kind}"},
    }


def participants_dictionary() -> dict[str, Any]:
    """Describe participants.tsv."""
    return {
        "participant_id": {
            "Description": "Pseudonym of the patient, or the label of the BIDS source"
        }
    }


def sessions_dictionary() -> dict[str, Any]:
    """Describe the tables of sessions."""
    return {
        "session_id": {"Description": "Visits in the order of time"},
        "days_since_first": {
            "Description": "Days since the participant's first study",
            "Units": "day",
        },
    }


def _joints() -> list[FacetJoint]:
    return [FacetJoint(level, side) for level in Level for side in Side]


def _described(column: Column) -> dict[str, Any]:
    """Describe one column of joints.csv in the words of a BIDS dictionary."""
    entry: dict[str, Any] = {"Description": column.label}
    unit = column.label.rpartition(" ")[2].strip("()")
    if unit in _UNITS:
        entry["Units"] = _UNITS[unit]
    if column.type is ColumnType.NUMBER:
        entry["Format"] = "number"
    choices = _YES_NO if column.type is ColumnType.YES_NO else column.choices
    if column.type in _LISTS:
        entry["Delimiter"] = ";"
        # The validator takes a list for one value that must be among "Levels".
        entry |= {"Choices": dict(choices)} if choices else {}
    elif choices:
        entry["Levels"] = dict(choices)
    if column.low is not None:
        entry["Minimum"] = column.low
    if column.high is not None:
        entry["Maximum"] = column.high
    return entry


def _tsv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write tab-separated values."""
    lines = [names, *rows]
    return "".join("\t".join(str(value) for value in line) + "\n" for line in lines)

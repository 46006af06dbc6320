"""Put tuned numbers into the lines of a TOML file and leave all else as it is."""

from __future__ import annotations

import re

from facetgrade.evaluate.fitting import FittedSettings
from facetgrade.grade.confidence import replace_confidence


def put_fitted(
    fitted: FittedSettings, grade_toml: str, pipeline_toml: str, *, source: str
) -> tuple[str, str]:
    """Put fitted values into the texts of the shipped settings.

    Parameters
    ----------
    fitted : FittedSettings
        From `fit_settings`.
    grade_toml, pipeline_toml : str
        Texts of configs/grade.toml and configs/pipeline.toml.
    source : str
        Where the values come from, for the comments; one line.

    Returns
    -------
    tuple of str
        Both texts with the fitted values.

    Raises
    ------
    ValueError
        If a section or key is not in its text.
    """
    grade = replace_confidence(grade_toml, fitted.confidence, comment=source)
    for key in ("minimum_typicality", "flagged_typicality"):
        grade = set_value(grade, "acceptance", key, getattr(fitted, key), source)
    pipeline = pipeline_toml
    for key in ("min_numbering_probability", "min_sacrum_vote", "vote_temperature"):
        value = getattr(fitted.numbering, key)
        pipeline = set_value(pipeline, "localize", key, value, source)
    return grade, pipeline


def set_value(toml: str, section: str, key: str, value: float, comment: str) -> str:
    """Replace one number of a TOML file, and the comment behind it.

    Parameters
    ----------
    toml : str
        Text of the file.
    section, key : str
        Table and key; the value is one number on one line.
    value : float
        New number.
    comment : str
        Where it comes from, one line; a comment that went on in the next lines by
        itself is dropped.

    Raises
    ------
    ValueError
        If the section or the key is not in the text.
    """
    lines = toml.split("\n")
    start = _find(lines, rf"\[{re.escape(section)}\]", 0, f"section [{section}]")
    line = _find(lines, rf"{re.escape(key)}\s*=", start + 1, f"{key} in [{section}]")
    lines[line] = f"{f'{key} = {value:.4g}':<32}  # {comment}"
    while line + 1 < len(lines) and re.match(r"\s+#", lines[line + 1]):
        del lines[line + 1]
    return "\n".join(lines)


def _find(lines: list[str], pattern: str, start: int, words: str) -> int:
    """Return the number of the line that starts so, within the section."""
    for number in range(start, len(lines)):
        if re.match(pattern, lines[number]):
            return number
        if start and lines[number].startswith("["):
            break
    raise ValueError(f"toml must hold {words}")

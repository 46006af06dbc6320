"""What varies between simulated studies, in words that group them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facetgrade.study import Plane
from facetgrade.study import Sequence as Contrast

Entries = Sequence[Mapping[str, Any]]
_OPERATED = ("laminectomy", "pedicle_screws")


def factors_of(truth: Mapping[str, Any]) -> dict[str, str]:
    """Describe a patient and how the study was acquired.

    Parameters
    ----------
    truth : mapping
        What is in truth.json. Studies that were made before a factor was written down
        do not have it.
    """
    return {
        **_patient(truth["provenance"]),
        **_acquisition(truth["series"]),
        "header habit": truth["habit"],
    }


def _patient(drawn: Mapping[str, str]) -> dict[str, str]:
    """Describe the patient."""
    findings = drawn.get("lookalikes", "")
    factors = {
        "lumbar vertebrae": drawn.get("lumbar_type_vertebrae", "5"),
        "transitional vertebra": drawn.get("transitional", "no"),
        "operated": "yes" if any(one in findings for one in _OPERATED) else "no",
    }
    for name, key, limits, unit in (
        ("scoliosis", "scoliosis_deg", (8.0, 15.0), "degrees"),
        ("disc degeneration", "disc_degeneration", (0.3, 0.6), "of 1"),
        ("subcutaneous fat", "subcutaneous_mm", (20.0, 40.0), "mm"),
        ("fat of the muscles", "muscle_fat_fraction", (0.2, 0.5), "of 1"),
    ):
        if key in drawn:
            factors[name] = _within(float(drawn[key]), limits, unit)
    return factors


def _acquisition(series: Entries) -> dict[str, str]:
    """Describe the series."""
    by_plane = {p: [s for s in series if s["plane"] == p] for p in Plane}
    sagittal, axial = by_plane[Plane.SAGITTAL], by_plane[Plane.AXIAL]
    edema = [s for s in series if Contrast(s["sequence"]).shows_edema]
    post = any(s["sequence"] == Contrast.T1_FS_POST for s in series)
    factors = {
        "field": f"{series[0]['field_t']:g} T",
        "series": _planes(edema),
        "sagittal fat suppression": _suppression(sagittal),
        "axial fat suppression": _suppression(axial),
        "axial slices": _slices(axial),
        "slices that show edema": _within(
            min((s["slice_thickness_mm"] for s in edema), default=9.0),
            (3.3, 4.2),
            "mm",
        ),
        "contrast agent": "yes" if post else "no",
        "motion": "yes" if any(s.get("motion") for s in series) else "no",
    }
    if edema and all("snr" in s for s in edema):
        factors["signal to noise"] = _within(
            max(s["snr"] for s in edema), (20.0, 40.0), ""
        )
        failed = any(s["fat_failures"] for s in edema)
        factors["failed fat suppression"] = "yes" if failed else "no"
    return factors


def _planes(edema: Entries) -> str:
    """Name the planes of the series that show edema."""
    planes = {s["plane"] for s in edema}
    if planes == {Plane.SAGITTAL}:
        return "edema seen in sagittal slices only"
    if planes == {Plane.AXIAL}:
        return "edema seen in axial slices only"
    return "edema seen in both planes" if planes else "none shows edema"


def _suppression(series: Entries) -> str:
    """Name how the T2-weighted series suppress fat."""
    kinds = {s["fat_suppression"] for s in series if s["sequence"] == Contrast.T2_FS}
    return " ".join(sorted(kinds)) or "none"


def _slices(axial: Entries) -> str:
    """Tell whether axial slices are angled to the discs."""
    if not axial:
        return "none"
    return "angled blocks" if max(len(s["blocks"]) for s in axial) > 1 else "stack"


def _within(value: float, limits: tuple[float, float], unit: str) -> str:
    """Name the third of a range that holds a value."""
    low, high = limits
    if value < low:
        text = f"below {low:g}"
    elif value <= high:
        text = f"{low:g} to {high:g}"
    else:
        text = f"over {high:g}"
    return f"{text} {unit}".strip()

"""What varies between simulated studies, in words that group them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facetgrade.anatomy import FacetJoint
from facetgrade.study import Plane
from facetgrade.study import Sequence as Contrast

Entries = Sequence[Mapping[str, Any]]
_OPERATED = ("laminectomy", "pedicle_screws")
_NEVER_TRAINED_ON = "visible-human"
# Where several are there, the first one named counts.
_BESIDE_A_JOINT = {
    "synovial_cyst": "synovial cyst",
    "perineural_cyst": "nerve-root cyst",
    "facet_fat_pad": "fat pad",
}
_BRIGHT_MUSCLE = {
    "denervated_multifidus": "denervated multifidus",
    "remote_muscle_edema": "edema far from the joints",
}
_OTHER_BRIGHT = {
    "interspinous bursitis": "interspinous_bursitis",
    "endplate edema": "endplate_edema",
    "subcutaneous edema": "subcutaneous_edema",
}
_MOVED_MM = 1.0


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
        **_movement(truth),
        "header habit": truth["habit"],
    }


def factors_of_joint(truth: Mapping[str, Any], joint: FacetJoint) -> dict[str, str]:
    """Describe how worn one joint is, and what beside it looks like its synovitis.

    Parameters
    ----------
    truth : mapping
        What is in truth.json; empty where it does not list such findings.
    joint : FacetJoint
        Level and side.
    """
    provenance = truth["provenance"]
    drawn = provenance.get("lookalikes")
    if drawn is None:
        return {}
    named = (
        name
        for kind, name in _BESIDE_A_JOINT.items()
        if f"{kind} {joint}" in _list(drawn)
    )
    upper = joint.level.value.partition("-")[0]
    spur_mm = float(provenance.get(f"osteophyte_{upper}_{joint.side}_mm", 0.0))
    return {
        "beside the joint": next(named, "nothing"),
        "osteophytes": _within(spur_mm, (1.0, 3.0), "mm") if spur_mm else "none",
    }


def _patient(drawn: Mapping[str, str]) -> dict[str, str]:
    """Describe the patient."""
    findings = drawn.get("lookalikes", "")
    factors = {
        **_anatomy(drawn),
        "lumbar vertebrae": drawn.get("lumbar_type_vertebrae", "5"),
        "transitional vertebra": drawn.get("transitional", "no"),
        "operated": _yes(any(one in findings for one in _OPERATED)),
    }
    for name, key, limits, unit in (
        ("scoliosis", "scoliosis_deg", (8.0, 15.0), "degrees"),
        ("disc degeneration", "disc_degeneration", (0.3, 0.6), "of 1"),
        ("subcutaneous fat", "subcutaneous_mm", (20.0, 40.0), "mm"),
        ("fat of the muscles", "muscle_fat_fraction", (0.2, 0.5), "of 1"),
    ):
        if key in drawn:
            factors[name] = _within(float(drawn[key]), limits, unit)
    return factors | _lookalikes(drawn)


def _anatomy(drawn: Mapping[str, str]) -> dict[str, str]:
    """Tell whether training has seen anatomy from the same source."""
    if "anatomy_source" not in drawn:
        return {}
    source = drawn["anatomy_source"]
    if source == _NEVER_TRAINED_ON:
        return {"anatomy": "Visible Human, never trained on"}
    return {"anatomy": f"{source}, as in training"}


def _lookalikes(drawn: Mapping[str, str]) -> dict[str, str]:
    """Name what is bright and is no synovitis."""
    if "lookalikes" not in drawn:
        return {}
    found = _list(drawn["lookalikes"])
    muscle = (name for kind, name in _BRIGHT_MUSCLE.items() if kind in found)
    return {
        "bright muscle": next(muscle, "no"),
        **{name: _yes(kind in found) for name, kind in _OTHER_BRIGHT.items()},
    }


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
        "contrast agent": _yes(post),
        "motion": _yes(any(s.get("motion") for s in series)),
    }
    if edema and all("snr" in s for s in edema):
        factors["signal to noise"] = _within(
            max(s["snr"] for s in edema), (20.0, 40.0), ""
        )
        factors["failed fat suppression"] = _yes(any(s["fat_failures"] for s in edema))
    return factors | _scanner(series, edema)


def _scanner(series: Entries, edema: Entries) -> dict[str, str]:
    """Describe what later versions of the simulator write down of each series."""
    factors = {}
    if edema and all("acquired_pixel_mm" in s for s in edema):
        finest_mm = min(s["acquired_pixel_mm"] for s in edema)
        factors["pixels that show edema"] = _within(finest_mm, (0.75, 0.95), "mm")
    if edema and all("ghost_amplitude" in s for s in edema):
        strongest = 100.0 * max(s["ghost_amplitude"] for s in edema)
        factors["ghosts"] = _within(strongest, (0.8, 1.2), "%")
    if edema and all("pulsation_amplitude" in s for s in edema):
        strongest = 100.0 * max(s["pulsation_amplitude"] for s in edema)
        factors["pulsation of vessels"] = _within(strongest, (20.0, 40.0), "%")
    if all("wrap_share" in s for s in series):
        factors["wrap-around"] = _yes(any(s["wrap_share"] for s in series))
    return factors


def _movement(truth: Mapping[str, Any]) -> dict[str, str]:
    """Tell whether joints lay elsewhere in one series than where the truth is."""
    series = truth["series"]
    if not all("displacement_lps" in one for one in series):
        return {}
    centers = np.array([one["center_lps_mm"] for one in truth["joints"]], float)
    farthest_mm = 0.0
    for one in series:
        if one["displacement_lps"] is not None:
            moved = np.array(one["displacement_lps"], float)
            there = centers @ moved[:3, :3].T + moved[:3, 3]
            away_mm = np.linalg.norm(there - centers, axis=1)
            farthest_mm = max(farthest_mm, float(away_mm.max()))
    return {"moved between series": _yes(farthest_mm > _MOVED_MM)}


def _yes(holds: bool) -> str:
    """Answer in a word."""
    return "yes" if holds else "no"


def _list(lookalikes: str) -> list[str]:
    """Split what the simulator drew."""
    return lookalikes.split(";")


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

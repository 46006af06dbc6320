"""Which images are never graded, with the reason in words."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from facetgrade.ingest.dicom import SeriesTags
from facetgrade.ingest.elements import number, text
from facetgrade.ingest.settings import (
    IngestSettings,
    NiftiSettings,
    RejectRules,
    SeriesRules,
)

_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
_COLORS = ("RGB", "YBR", "PALETTE")
_HOUNSFIELD_INTERCEPT = -500.0


def reject_image(dataset: Dataset, rules: RejectRules) -> str:
    """Say why a DICOM object is not an MR image, or nothing.

    A missing Modality is accepted: archives strip it. An MR Modality is believed
    whatever the SOP class says.

    Parameters
    ----------
    dataset : Dataset
        Header of one object.
    rules : RejectRules
        Modalities that are never graded.
    """
    modality = text(dataset, "Modality").upper()
    if number(dataset, "SamplesPerPixel") > 1:
        return "color image (screenshot or rendering)"
    if text(dataset, "PhotometricInterpretation").upper().startswith(_COLORS):
        return "color image (screenshot or rendering)"
    if modality in rules.modalities:
        return f"modality {modality}, not MR"
    if not np.isfinite(number(dataset, "Rows")):
        return "holds no image"
    if modality:
        return ""
    if text(dataset, "SOPClassUID") in _CT_CLASSES:
        return "CT image, not MR"
    if number(dataset, "RescaleIntercept") <= _HOUNSFIELD_INTERCEPT:
        return "rescaled like CT (Hounsfield units), not MR"
    return ""


def reject_series(tags: SeriesTags, rules: SeriesRules) -> str:
    """Say why a series of MR images is not graded, or nothing.

    Parameters
    ----------
    tags : SeriesTags
        Header of the series.
    rules : SeriesRules
        Image types, words and body parts that are never graded.
    """
    return localizer_reason(tags, rules) or _reason_beside(tags, rules)


def localizer_reason(tags: SeriesTags, rules: SeriesRules) -> str:
    """Say by what a series is known as a localizer, or nothing."""
    if _types(tags) & set(rules.reject.localizer_image_types):
        return "localizer (ImageType)"
    if _found(rules.reject.localizer_text, tags.words):
        return "localizer (description)"
    return ""


def is_plain_localizer(tags: SeriesTags, rules: SeriesRules) -> bool:
    """Tell localizers that are nothing else that is never read."""
    return bool(localizer_reason(tags, rules)) and not _reason_beside(tags, rules)


def _reason_beside(tags: SeriesTags, rules: SeriesRules) -> str:
    """Say why a series is not graded, localizers apart."""
    reject = rules.reject
    if _types(tags) & set(reject.reformat_image_types):
        return "derived reformat or projection (ImageType)"
    if _found(reject.reformat_text, tags.words):
        return "derived reformat or screenshot (description)"
    if {part.upper() for part in tags.image_type[2:]} & set(reject.map_image_types):
        return "map or part image, not a magnitude image (ImageType)"
    if _found(reject.map_text, tags.words):
        return "diffusion, myelogram or map (description)"
    part = tags.body_part.replace(" ", "").replace("-", "")
    if part in reject.body_parts and not _found(rules.text.lumbar, tags.words):
        return f"body part {part}, not the lumbar spine"
    return ""


def reject_nifti(
    stem: str, values: NDArray[np.float32], settings: IngestSettings
) -> str:
    """Say why a NIfTI volume is a label map or CT, or nothing.

    Parameters
    ----------
    stem : str
        File name without suffix.
    values : (i, j, k) float32 ndarray
        Scaled values.
    settings : IngestSettings
        Names and limits.
    """
    rules, limits = settings.series_rules.reject, settings.nifti
    if re.search(rules.nifti_label_name, stem):
        return "label map (file name)"
    if re.search(rules.nifti_ct_name, stem):
        return "CT (file name)"
    if _is_hounsfield(values, limits):
        return "values of CT (Hounsfield units)"
    if _is_label_map(values, limits):
        return "label map (few whole numbers)"
    return ""


def _is_hounsfield(values: NDArray[np.float32], limits: NiftiSettings) -> bool:
    """Tell CT by much air, or in a crop without any by its fat in whole numbers."""
    if float(np.mean(values < limits.ct_below)) > limits.ct_fraction:
        return True
    fat = float(np.mean(values < limits.ct_fat_below))
    return fat > limits.ct_fat_fraction and bool(np.all(values == np.round(values)))


def _is_label_map(values: NDArray[np.float32], limits: NiftiSettings) -> bool:
    """Tell whether values are a few whole numbers in large uniform regions."""
    middle = values[tuple(size // 2 for size in values.shape)[:1]]
    if np.any(middle != np.round(middle)) or np.any(values != np.round(values)):
        return False
    count = len(np.unique(values))
    if count <= limits.max_label_values:
        return True
    inside = (values[1:] != 0) & (values[:-1] != 0)
    equal = (values[1:] == values[:-1])[inside]
    return bool(equal.size and equal.mean() >= limits.min_piecewise_constant)


def looks_like_hounsfield(values: NDArray[np.float32]) -> bool:
    """Tell CT from MR by values far below zero."""
    sample = values.ravel()[:: max(values.size // 100_000, 1)]
    return bool(np.mean(sample < _HOUNSFIELD_INTERCEPT) > 0.01)


def _types(tags: SeriesTags) -> set[str]:
    """Return the values of ImageType in upper case."""
    return {part.upper() for part in tags.image_type}


def _found(pattern: str, words: str) -> bool:
    """Search a pattern in lower-case words."""
    return re.search(pattern, words) is not None

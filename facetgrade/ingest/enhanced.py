"""Enhanced multi-frame MR: functional groups into frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.checked import checked_plane, checked_rescale
from facetgrade.ingest.dicom import (
    Frame,
    SeriesTags,
    philips_scale_slope,
    series_tags,
)
from facetgrade.ingest.elements import (
    first_item,
    items,
    number,
    numbers,
    raw,
    text,
    texts,
)

_PHILIPS_FRAME_GROUP = (0x2005, 0x140F)


def is_multi_frame(dataset: Dataset) -> bool:
    """Tell whether the geometry is in functional groups.

    The SOP class does not tell: archives write that of Enhanced MR on classic files.
    """
    return bool(items(dataset, "PerFrameFunctionalGroupsSequence"))


def enhanced_frames(dataset: Dataset, file: SourceFile) -> list[Frame]:
    """Describe every frame of an Enhanced MR image, without its pixels.

    Parameters
    ----------
    dataset : Dataset
        With shared and per-frame functional groups.
    file : SourceFile
        Where it came from.

    Raises
    ------
    IngestError
        If position, orientation or pixel spacing is missing or impossible.

    References
    ----------
    .. [1] DICOM PS3.3 A.36 Enhanced MR Image, C.7.6.16 Multi-frame Functional Groups.
    """
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    tags = series_tags(dataset)
    return [
        _frame(_Groups(shared, own), dataset, tags, file, k)
        for k, own in enumerate(
            items(dataset, "PerFrameFunctionalGroupsSequence"), start=1
        )
    ]


class _Groups:
    """Functional groups of one frame; its own come before the shared ones."""

    def __init__(self, shared: Dataset, own: Dataset) -> None:
        self.shared, self.own = shared, own

    def item(self, keyword: str) -> Dataset:
        """Return the macro of the frame, else the shared one, else nothing."""
        macro = first_item(self.own, keyword)
        return macro if len(macro) else first_item(self.shared, keyword)

    def philips_scale_slope(self) -> float:
        """Return Philips' private scale slope of the frame."""
        for groups in (self.own, self.shared):
            element = raw(groups, _PHILIPS_FRAME_GROUP)
            if element is not None and element.VR == "SQ" and element.value:
                return philips_scale_slope(element.value[0])
        return float("nan")


def _frame(
    groups: _Groups, dataset: Dataset, tags: SeriesTags, file: SourceFile, count: int
) -> Frame:
    """Describe one frame."""
    measures = groups.item("PixelMeasuresSequence")
    rescale = groups.item("PixelValueTransformationSequence")
    content = groups.item("FrameContentSequence")
    tags = _frame_tags(groups, tags)
    return Frame(
        file=file,
        frame_number=count,
        series_uid=text(dataset, "SeriesInstanceUID"),
        instance_uid=text(dataset, "SOPInstanceUID"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        tags=tags,
        **checked_plane(
            numbers(groups.item("PlanePositionSequence"), "ImagePositionPatient"),
            numbers(groups.item("PlaneOrientationSequence"), "ImageOrientationPatient"),
            numbers(measures, "PixelSpacing"),
        ),
        slice_thickness_mm=float(np.nan_to_num(number(measures, "SliceThickness"))),
        instance_number=float(count),
        acquisition_number=number(content, "FrameAcquisitionNumber"),
        temporal=number(content, "TemporalPositionIndex"),
        echo=tags.echo_time_ms,
        **checked_rescale(
            number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
        ),
        philips_scale_slope=groups.philips_scale_slope(),
    )


def _frame_tags(groups: _Groups, tags: SeriesTags) -> SeriesTags:
    """Complete the tags of the series by the macros of the frame."""
    timing = groups.item("MRTimingAndRelatedParametersSequence")
    echo = groups.item("MREchoSequence")
    modifier = groups.item("MRModifierSequence")
    kind = groups.item("MRImageFrameTypeSequence")
    suppression = text(modifier, "SpectrallySelectedSuppression").upper()
    inverted = text(modifier, "InversionRecovery").upper() == "YES"
    inversion_ms = number(modifier, "InversionTimes")
    return replace(
        tags,
        image_type=texts(kind, "FrameType") or tags.image_type,
        acquisition_contrast=text(kind, "AcquisitionContrast").upper()
        or tags.acquisition_contrast,
        fat_suppression=suppression,
        scanning_sequence=tags.scanning_sequence + (("IR",) if inverted else ()),
        repetition_time_ms=_first(
            number(timing, "RepetitionTime"), tags.repetition_time_ms
        ),
        echo_time_ms=_first(number(echo, "EffectiveEchoTime"), tags.echo_time_ms),
        inversion_time_ms=_first(inversion_ms, tags.inversion_time_ms),
        flip_angle_deg=_first(number(timing, "FlipAngle"), tags.flip_angle_deg),
        echo_train_length=_first(
            number(timing, "EchoTrainLength"), tags.echo_train_length
        ),
    )


def _first(value: float, otherwise: float) -> float:
    """Return the first of two numbers that is known."""
    return value if np.isfinite(value) else otherwise

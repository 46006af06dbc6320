"""Enhanced MR Image Storage: one multi-frame file for each block of a series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.protocols import FatSuppression
from facetgrade.simulate.vendors.classic import (
    MHZ_PER_T,
    header,
    orientation,
    position,
    set_instance_uid,
)
from facetgrade.simulate.vendors.pixels import add_pixels, store_pixels
from facetgrade.simulate.vendors.records import AcquiredSeries, Examination
from facetgrade.simulate.vendors.texts import series_texts, weighting

_FRAME_TYPE = ["ORIGINAL", "PRIMARY", "OTHER", "NONE"]
_SUPPRESSION = {
    FatSuppression.NONE: "NONE",
    FatSuppression.STIR: "NONE",
    FatSuppression.SPECTRAL: "FAT",
    FatSuppression.DIXON_WATER: "NONE",
}
_FRAME_VALUES: dict[str, Any] = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
}
_SEQUENCE_VALUES: dict[str, Any] = {
    "AcquisitionDuration": 180.0,
    "ContentQualification": "RESEARCH",
    "ResonantNucleus": "1H",
    "KSpaceFiltering": "FERMI",
    "ApplicableSafetyStandardAgency": "IEC",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
    "PulseSequenceName": "TSE",
    "MRAcquisitionType": "2D",
    "EchoPulseSequence": "SPIN",
    "MultipleSpinEcho": "YES",
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "EchoPlanarPulseSequence": "NO",
    "SaturationRecovery": "NO",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "SegmentedKSpaceTraversal": "PARTIAL",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "NumberOfKSpaceTrajectories": 1,
}


def enhanced_datasets(
    series: AcquiredSeries, examination: Examination, rng: np.random.Generator
) -> Iterator[Dataset]:
    """Yield one multi-frame object for each block of a series.

    An object could hold all blocks, but common readers then refuse it.

    Parameters
    ----------
    series : AcquiredSeries
        What was acquired.
    examination : Examination
        Patient and visit.
    rng : Generator
        Every frame has a rescale slope of its own.

    Yields
    ------
    Dataset
        Complete, with file meta and pixels.
    """
    stored = store_pixels(series, examination.habit)
    first = 0
    for number, volume in enumerate(series.volumes, start=1):
        count = volume.geometry.shape[0]
        factors = rng.uniform(1.0, 1.4, count)
        slopes = np.round(stored.slope * factors, 6)
        frames = stored.frames[first : first + count]
        rescaled = np.rint(frames * (stored.slope / slopes)[:, None, None])
        dataset = _block_dataset(series, examination, number)
        acquired = dataset.AcquisitionDateTime
        dataset.PerFrameFunctionalGroupsSequence = [
            _frame_groups(volume.geometry, index, slope=float(slope), acquired=acquired)
            for index, slope in enumerate(slopes)
        ]
        dataset.NumberOfFrames = count
        integers = rescaled.clip(0, 4095).astype(np.uint16)
        add_pixels(dataset, integers, examination.transfer_syntax)
        yield dataset
        first += count


def _block_dataset(
    series: AcquiredSeries, examination: Examination, number: int
) -> Dataset:
    """Write what all frames of one block share."""
    texts = series_texts(series.protocol, examination.habit)
    dataset = header(series, examination, texts)
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.ImageType = _FRAME_TYPE
    dataset.InstanceNumber = number
    _add_sequence(dataset, series)
    _add_dimensions(dataset, f"{series.uid}.{number}.1")
    dataset.SharedFunctionalGroupsSequence = [_shared_groups(series)]
    set_instance_uid(dataset, f"{series.uid}.{number}")
    return dataset


def _item(**values: Any) -> Dataset:
    """Make a data set of named elements."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _add_sequence(dataset: Dataset, series: AcquiredSeries) -> None:
    """Write the image, pulse sequence and acquisition attributes."""
    protocol = series.protocol
    for keyword, value in (_FRAME_VALUES | _SEQUENCE_VALUES).items():
        setattr(dataset, keyword, value)
    dataset.AcquisitionContrast = _contrast(series)
    dataset.AcquisitionDateTime = f"{dataset.AcquisitionDate}{dataset.AcquisitionTime}"
    del dataset.AcquisitionDate, dataset.AcquisitionTime
    dataset.SpectrallySelectedSuppression = _SUPPRESSION[protocol.fat_suppression]
    dataset.AcquisitionContextSequence = []
    if protocol.contrast_agent:
        dataset.ContrastBolusAgentSequence = [_contrast_agent()]


def _contrast(series: AcquiredSeries) -> str:
    """Return the defined term of AcquisitionContrast."""
    stir = series.protocol.fat_suppression is FatSuppression.STIR
    return "STIR" if stir else weighting(series.protocol).upper()


def _contrast_agent() -> Dataset:
    """Name the agent and its way."""
    agent = _item(
        CodeValue="407976008", CodingSchemeDesignator="SCT", CodeMeaning="Gadobutrol"
    )
    route = _item(
        CodeValue="47625008",
        CodingSchemeDesignator="SCT",
        CodeMeaning="Intravenous route",
    )
    agent.ContrastBolusAgentNumber = 1
    agent.ContrastBolusAdministrationRouteSequence = [route]
    agent.ContrastBolusIngredientCodeSequence = []
    agent.ContrastBolusVolume = 7.5
    agent.ContrastBolusIngredientConcentration = 604.72
    return agent


def _add_dimensions(dataset: Dataset, uid: str) -> None:
    """Index frames by stack and position in the stack."""
    organization = _item(DimensionOrganizationUID=uid)
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=0x00209111,
        )
        for pointer in (0x00209056, 0x00209057)
    ]


def _shared_groups(series: AcquiredSeries) -> Dataset:
    """Write the functional groups that all frames share."""
    protocol = series.protocol
    receive, transmit = _coils()
    frame_type = _item(
        FrameType=_FRAME_TYPE, AcquisitionContrast=_contrast(series), **_FRAME_VALUES
    )
    measures = _item(
        PixelSpacing=[protocol.pixel_mm, protocol.pixel_mm],
        SliceThickness=protocol.slice_thickness_mm,
        SpacingBetweenSlices=round(float(protocol.spacing_mm[0]), 4),
    )
    groups = _item(
        PixelMeasuresSequence=[measures],
        MRTimingAndRelatedParametersSequence=[_timing(series)],
        MREchoSequence=[_item(EffectiveEchoTime=protocol.te_ms)],
        MRModifierSequence=[_modifier(series)],
        MRImagingModifierSequence=[_imaging_modifier(series)],
        MRFOVGeometrySequence=[_field_of_view(series)],
        MRImageFrameTypeSequence=[frame_type],
        MRAveragesSequence=[_item(NumberOfAverages=2)],
        MRReceiveCoilSequence=[receive],
        MRTransmitCoilSequence=[transmit],
        FrameAnatomySequence=[_anatomy()],
    )
    if protocol.contrast_agent:
        usage = _item(
            ContrastBolusAgentNumber=1,
            ContrastBolusAgentAdministered="YES",
            ContrastBolusAgentDetected="YES",
        )
        groups.ContrastBolusUsageSequence = [usage]
    return groups


def _timing(series: AcquiredSeries) -> Dataset:
    """Write MR Timing and Related Parameters."""
    return _item(
        RepetitionTime=series.protocol.tr_ms,
        FlipAngle=150.0,
        EchoTrainLength=series.protocol.echo_train_length,
        RFEchoTrainLength=series.protocol.echo_train_length,
        GradientEchoTrainLength=0,
        SpecificAbsorptionRateSequence=[
            _item(
                SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                SpecificAbsorptionRateValue=1.0,
            )
        ],
        GradientOutputType="DB_DT",
        GradientOutput=20.0,
        OperatingModeSequence=[
            _item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL")
        ],
    )


def _modifier(series: AcquiredSeries) -> Dataset:
    """Write MR Modifier: inversion and saturation."""
    modifier = _item(
        InversionRecovery="YES" if series.protocol.ti_ms else "NO",
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    if series.protocol.ti_ms:
        modifier.InversionTimes = [series.protocol.ti_ms]
    return modifier


def _imaging_modifier(series: AcquiredSeries) -> Dataset:
    """Write MR Imaging Modifier: frequency and bandwidth."""
    return _item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=round(series.protocol.field_t * MHZ_PER_T, 4),
        PixelBandwidth=220.0,
    )


def _field_of_view(series: AcquiredSeries) -> Dataset:
    """Write MR FOV/Geometry: phase direction and encoded lines."""
    kept, matrix = series.imperfections.kept_phase, series.protocol.matrix
    rows = series.imperfections.phase_axis == 1
    return _item(
        InPlanePhaseEncodingDirection="COLUMN" if rows else "ROW",
        MRAcquisitionFrequencyEncodingSteps=matrix,
        MRAcquisitionPhaseEncodingStepsInPlane=round(matrix * kept),
        MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
        PercentSampling=round(100.0 * kept, 2),
        PercentPhaseFieldOfView=100.0,
    )


def _anatomy() -> Dataset:
    """Name the lumbar spine."""
    region = _item(
        CodeValue="122496007", CodingSchemeDesignator="SCT", CodeMeaning="Lumbar spine"
    )
    return _item(FrameLaterality="U", AnatomicRegionSequence=[region])


def _coils() -> tuple[Dataset, Dataset]:
    """Describe the receiving spine coil and the transmitting body coil."""
    receive = _item(
        ReceiveCoilName="SPINE",
        ReceiveCoilManufacturerName="",
        ReceiveCoilType="MULTICOIL",
        QuadratureReceiveCoil="YES",
        MultiCoilDefinitionSequence=[
            _item(MultiCoilElementName="SPINE1", MultiCoilElementUsed="YES")
        ],
    )
    transmit = _item(
        TransmitCoilName="BODY",
        TransmitCoilManufacturerName="",
        TransmitCoilType="BODY",
    )
    return receive, transmit


def _frame_groups(
    geometry: VolumeGeometry, index: int, *, slope: float, acquired: str
) -> Dataset:
    """Write place, orientation and rescale of one frame."""
    content = _item(
        StackID="1",
        InStackPositionNumber=index + 1,
        DimensionIndexValues=[1, index + 1],
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=acquired,
        FrameAcquisitionDateTime=acquired,
        FrameAcquisitionDuration=180000.0,
        TemporalPositionIndex=1,
    )
    transformation = _item(RescaleIntercept=0, RescaleSlope=slope, RescaleType="US")
    return _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=position(geometry, index))],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=orientation(geometry))],
        PixelValueTransformationSequence=[transformation],
        FrameVOILUTSequence=[_item(WindowCenter=600, WindowWidth=1200)],
    )

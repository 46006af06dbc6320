"""MR Image Storage: one file for each slice."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import date

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, MRImageStorage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.vendors.pixels import StoredPixels, add_pixels, store_pixels
from facetgrade.simulate.vendors.records import AcquiredSeries, Examination, Habit
from facetgrade.simulate.vendors.texts import SeriesTexts, series_texts

MACHINES: dict[Habit, tuple[str, str, str]] = {
    Habit.SIEMENS: ("SIEMENS", "Simulated Aera", "syngo MR E11"),
    Habit.GE: ("GE MEDICAL SYSTEMS", "Simulated Signa", "25\\LX\\MR Software"),
    Habit.PHILIPS: ("Philips Medical Systems", "Simulated Ingenia", "5.4.1"),
    Habit.ENHANCED: ("Philips Medical Systems", "Simulated Ingenia", "5.4.1"),
    Habit.STRIPPED: ("", "", ""),
}
MHZ_PER_T = 42.577


def classic_datasets(
    series: AcquiredSeries, examination: Examination, rng: np.random.Generator
) -> Iterator[Dataset]:
    """Yield the files of a series in the order of their InstanceNumber.

    Parameters
    ----------
    series : AcquiredSeries
        What was acquired.
    examination : Examination
        Patient, visit and vendor.
    rng : Generator
        SOP instance UIDs follow from its state; half of the scanners number the
        slices of a block against the order of the volume.

    Yields
    ------
    Dataset
        Complete, with file meta and pixels.
    """
    texts = series_texts(series.protocol, examination.habit)
    stored = store_pixels(series, examination.habit)
    shared = header(series, examination, texts)
    _add_timing(shared, series, texts)
    if examination.habit is Habit.PHILIPS:
        _add_philips_scaling(shared, stored)
    backward = bool(rng.integers(2))
    first_frame = 0
    number = 0
    for volume in series.volumes:
        count = volume.geometry.shape[0]
        order = range(count - 1, -1, -1) if backward else range(count)
        for index in order:
            number += 1
            dataset = deepcopy(shared)
            _place(dataset, volume.geometry, index, number)
            set_instance_uid(dataset, f"{series.uid}.{number}")
            frame = stored.frames[first_frame + index]
            add_pixels(dataset, frame, examination.transfer_syntax)
            yield dataset
        first_frame += count


def header(
    series: AcquiredSeries, examination: Examination, texts: SeriesTexts
) -> Dataset:
    """Write the patient, study, series, frame of reference and equipment modules.

    Parameters
    ----------
    series : AcquiredSeries
        Number, UID, protocol.
    examination : Examination
        Patient and visit.
    texts : SeriesTexts
        Description.
    """
    patient, protocol = examination.patient, series.protocol
    maker, model, software = MACHINES[examination.habit]
    day = dicom_date(examination.study_date)
    time = f"{examination.hour:02d}{10 + 5 * series.number:02d}00"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = list(texts.image_type)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = day
    dataset.ContentDate = day
    dataset.StudyTime = f"{examination.hour:02d}1000"
    dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = time
    dataset.AccessionNumber = ""
    dataset.Modality = "MR"
    dataset.Manufacturer = maker
    dataset.ManufacturerModelName = model
    dataset.SoftwareVersions = software.split("\\")
    dataset.DeviceSerialNumber = "00001"
    dataset.InstitutionName = "Simulated hospital"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Simulated MRI lumbar spine"
    dataset.SeriesDescription = texts.description
    dataset.ProtocolName = texts.description
    dataset.PatientName = patient.name
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = dicom_date(patient.birth_date)
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{examination.age_years:03d}Y"
    dataset.PatientWeight = patient.weight_kg
    dataset.BodyPartExamined = "LSPINE"
    dataset.PatientPosition = "HFS"
    dataset.MagneticFieldStrength = protocol.field_t
    dataset.StudyInstanceUID = examination.study_uid
    dataset.SeriesInstanceUID = series.uid
    dataset.StudyID = "1"
    dataset.SeriesNumber = series.number
    dataset.AcquisitionNumber = 1
    dataset.FrameOfReferenceUID = examination.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    return dataset


def dicom_date(day: date) -> str:
    """Format a date as DA."""
    return day.strftime("%Y%m%d")


def set_instance_uid(dataset: Dataset, uid: str) -> None:
    """Give a data set its identity and file meta."""
    dataset.SOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    dataset.SOPInstanceUID = UID(uid)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta = meta


def orientation(geometry: VolumeGeometry) -> list[float]:
    """Return ImageOrientationPatient: directions of growing column and row index."""
    return [round(float(v), 9) for v in (*geometry.axes[2], *geometry.axes[1])]


def position(geometry: VolumeGeometry, index: int) -> list[float]:
    """Return ImagePositionPatient of one slice."""
    return [round(float(v), 6) for v in geometry.to_lps((index, 0, 0))]


def _add_timing(dataset: Dataset, series: AcquiredSeries, texts: SeriesTexts) -> None:
    """Write the MR image module and what is equal in all slices."""
    protocol, imperfections = series.protocol, series.imperfections
    dataset.ScanningSequence = list(texts.scanning_sequence)
    dataset.SequenceVariant = list(texts.sequence_variant)
    dataset.ScanOptions = list(texts.scan_options) or None
    dataset.MRAcquisitionType = "2D"
    if texts.sequence_name:
        dataset.SequenceName = texts.sequence_name
    dataset.AngioFlag = "N"
    dataset.SliceThickness = protocol.slice_thickness_mm
    dataset.RepetitionTime = protocol.tr_ms
    dataset.EchoTime = protocol.te_ms
    if protocol.ti_ms:
        dataset.InversionTime = protocol.ti_ms
    dataset.NumberOfAverages = 2
    dataset.ImagingFrequency = round(protocol.field_t * MHZ_PER_T, 4)
    dataset.ImagedNucleus = "1H"
    dataset.EchoNumbers = 1
    dataset.SpacingBetweenSlices = round(float(protocol.spacing_mm[0]), 4)
    dataset.EchoTrainLength = protocol.echo_train_length
    dataset.PercentSampling = round(100.0 * imperfections.kept_phase, 2)
    dataset.PixelBandwidth = 220
    rows = imperfections.phase_axis == 1
    dataset.InPlanePhaseEncodingDirection = "COL" if rows else "ROW"
    dataset.FlipAngle = 150
    dataset.PixelSpacing = [protocol.pixel_mm, protocol.pixel_mm]
    if protocol.contrast_agent:
        dataset.ContrastBolusAgent = "GADOBUTROL"
        dataset.ContrastBolusRoute = "IV"


def _place(dataset: Dataset, geometry: VolumeGeometry, index: int, number: int) -> None:
    """Write where one slice lies."""
    place = position(geometry, index)
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = place
    dataset.ImageOrientationPatient = orientation(geometry)
    dataset.SliceLocation = round(float(geometry.axes[0] @ np.array(place)), 4)


def _add_philips_scaling(dataset: Dataset, stored: StoredPixels) -> None:
    """Write the rescale slope and Philips' private scale slope and intercept."""
    dataset.RescaleIntercept = 0
    dataset.RescaleSlope = stored.slope
    dataset.RescaleType = "normalized"
    dataset.add_new((0x2005, 0x0010), "LO", "Philips MR Imaging DD 001")
    dataset.add_new((0x2005, 0x0014), "LO", "Philips MR Imaging DD 005")
    dataset.add_new((0x2005, 0x100D), "FL", 0.0)
    dataset.add_new((0x2005, 0x100E), "FL", 0.004 * 1000.0 / 4095.0 / stored.slope)
    dataset.add_new((0x2005, 0x1409), "DS", 0)
    dataset.add_new((0x2005, 0x140A), "DS", stored.slope)

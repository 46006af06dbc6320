"""Patient and study of the source, taken over so that new objects file with it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

# Required in every object, empty when unknown (PS3.3 C.7.1.1, C.7.2.1: type 2).
_REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_OPTIONAL = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "StudyInstanceUID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "PatientBirthTime",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "PatientComments",
    "QualityControlSubject",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianIdentificationSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "RequestingService",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "MedicalAlerts",
    "Allergies",
    "PregnancyStatus",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "ClinicalTrialCoordinatingCenterName",
)
_SEXES = ("", "M", "F", "O")


def neutral_header(source: Dataset) -> Dataset:
    """Return a header with the study's UID and no other value of patient or study.

    highdicom checks and logs the values that it is given; with this header it has
    none, and `adopt_study` puts the true ones in place.
    """
    header = Dataset()
    for keyword in _REQUIRED:
        setattr(header, keyword, "")
    header.StudyInstanceUID = source.StudyInstanceUID
    return header


def adopt_study(target: Dataset, source: Dataset) -> None:
    """Replace patient and study attributes of `target` by those of `source`.

    Parameters
    ----------
    target : Dataset
        New object, changed in place.
    source : Dataset
        Any image of the study.

    References
    ----------
    .. [1] DICOM PS3.3 C.7.1.1 Patient, C.7.2.1 General Study, C.7.2.2 Patient Study,
       C.7.1.3 and C.7.2.3 Clinical Trial.
    """
    for keyword in (*_REQUIRED, *_OPTIONAL):
        if keyword in target:
            delattr(target, keyword)
        if keyword in source:
            element = source[keyword]
            target[element.tag] = deepcopy(element)
        elif keyword in _REQUIRED:
            setattr(target, keyword, "")


def illegal_elements(source: Dataset) -> Iterator[str]:
    """Yield the keywords that `adopt_study` takes over with values that are illegal.

    Parameters
    ----------
    source : Dataset
        Any image of the study.
    """
    for keyword in (*_REQUIRED, *_OPTIONAL):
        if keyword in source and not is_legal(source[keyword]):
            yield keyword


def is_legal(element: DataElement) -> bool:
    """Tell whether every value of an element is one of its VR (PS3.5 6.2)."""
    if element.VR == "SQ" or element.value is None:
        return True
    several = isinstance(element.value, MultiValue)
    values = [str(value) for value in (element.value if several else [element.value])]
    if element.keyword == "PatientSex" and not set(values) <= set(_SEXES):
        return False
    try:
        for value in values:
            validate_value(element.VR, value, config.RAISE)
    except ValueError:
        return False
    return True

"""Patient and study of the source, taken over so that new objects file with it."""

from __future__ import annotations

from copy import deepcopy

from pydicom.dataset import Dataset

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

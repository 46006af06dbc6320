"""An archive that speaks C-FIND, C-GET or C-MOVE, and C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.presentation import PresentationContext, build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from facetgrade.errors import TransferError
from facetgrade.exchange.tolerant import tolerant
from facetgrade.ingest.elements import quiet, text
from facetgrade.pacs.credentials import Login
from facetgrade.pacs.dimse_calls import DimseCaller, check_status
from facetgrade.pacs.receive import Reception
from facetgrade.pacs.records import (
    Keep,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    StudyQuery,
)
from facetgrade.pacs.server import SYNTAXES, serve
from facetgrade.pacs.settings import DimseNode, PacsSettings

_MR, _ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
_STUDY_KEYS = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "PatientID",
    "AccessionNumber",
    "ModalitiesInStudy",
)
_DUPLICATE = 0x0111
# UIDs of one request; a longer list may not fit into what archives accept.
_MOST_UIDS = 100
_PENDING = (0xFF00, 0xFF01)


class DimseArchive:
    """Speaks to one machine.

    Parameters
    ----------
    name : str
        Name of the node.
    node : DimseNode
        Where it is.
    settings : PacsSettings
        Our side, timeouts.
    login : Login or None
        User and password, or a token.
    """

    def __init__(
        self, name: str, node: DimseNode, settings: PacsSettings, login: Login | None
    ) -> None:
        self._name, self._node, self._settings = name, node, settings
        self._caller = DimseCaller(
            name, node, settings.timeouts, settings.local.ae_title, login
        )

    @property
    def name(self) -> str:
        """Name of the node."""
        return self._name

    def find_studies(self, query: StudyQuery) -> list[RemoteStudy]:
        """Search with C-FIND."""
        found = {}
        for keys in query.requests(identifiers=True):
            for answer in self._find("STUDY", keys, _STUDY_KEYS):
                study = _study(answer)
                found[study.study_uid] = study
        return [study for uid, study in found.items() if uid]

    def list_series(self, study_uid: str) -> list[RemoteSeries]:
        """List the series of a study."""
        answers = self._find(
            "SERIES",
            {"StudyInstanceUID": study_uid},
            ("SeriesInstanceUID", "Modality"),
        )
        return [
            RemoteSeries(
                study_uid, text(one, "SeriesInstanceUID"), text(one, "Modality")
            )
            for one in answers
        ]

    def list_instances(self, series: RemoteSeries) -> list[RemoteInstance]:
        """List the instances of a series."""
        answers = self._find(
            "IMAGE",
            {
                "StudyInstanceUID": series.study_uid,
                "SeriesInstanceUID": series.series_uid,
            },
            ("SOPInstanceUID", "SOPClassUID"),
        )
        return [
            RemoteInstance(text(one, "SOPInstanceUID"), text(one, "SOPClassUID"))
            for one in answers
        ]

    def fetch(
        self, series: RemoteSeries, wanted: Sequence[RemoteInstance], keep: Keep
    ) -> None:
        """Retrieve instances with C-GET or C-MOVE."""
        reception = Reception(keep)
        for start in range(0, len(wanted), _MOST_UIDS):
            some = wanted[start : start + _MOST_UIDS]
            identifier = _identifier(
                "IMAGE",
                {
                    "StudyInstanceUID": series.study_uid,
                    "SeriesInstanceUID": series.series_uid,
                    "SOPInstanceUID": "\\".join(one.instance_uid for one in some),
                },
            )
            if self._node.retrieve == "get":
                self._get(identifier, some, reception)
            else:
                self._move(identifier, reception)

    def store(self, paths: Sequence[Path], stored: Callable[[Path], None]) -> None:
        """Send files with C-STORE; an object that is already there is safe."""
        with tolerant():
            sent = [pydicom.dcmread(path) for path in paths]
        contexts = _store_contexts(sent)
        with self._caller.associate(contexts) as association:
            for path, dataset in zip(paths, sent, strict=True):
                try:
                    with tolerant():
                        status = association.send_c_store(dataset)
                except ValueError:
                    raise TransferError(
                        f"{self._name} does not store objects like {path.name}"
                    ) from None
                if status.get("Status") != _DUPLICATE:
                    check_status(status, self._name, f"store {path.name}")
                stored(path)

    def _find(
        self, level: str, keys: Mapping[str, str], returned: Sequence[str]
    ) -> Iterator[Dataset]:
        """Yield the answers of one C-FIND."""
        model = StudyRootQueryRetrieveInformationModelFind
        identifier = _identifier(level, {**dict.fromkeys(returned, ""), **keys})
        with self._caller.associate([build_context(model)]) as association, quiet():
            for status, answer in association.send_c_find(identifier, model):
                code = check_status(status, self._name, "search")
                if code in _PENDING and answer is not None:
                    yield answer

    def _get(
        self,
        identifier: Dataset,
        wanted: Sequence[RemoteInstance],
        reception: Reception,
    ) -> None:
        """Receive over the connection that asks."""
        model = StudyRootQueryRetrieveInformationModelGet
        classes = {one.class_uid for one in wanted if one.class_uid}
        classes = classes or {_MR, _ENHANCED_MR}
        contexts = [build_context(model)]
        for name in sorted(classes):
            contexts += [build_context(name, syntax) for syntax in SYNTAXES]
        roles = [build_role(UID(name), scp_role=True) for name in sorted(classes)]
        handlers = [(evt.EVT_C_STORE, reception.take)]
        with self._caller.associate(contexts, roles, handlers) as association:
            for status, _ in association.send_c_get(identifier, model):
                reception.check()
                check_status(status, self._name, "give images")
        reception.check()

    def _move(self, identifier: Dataset, reception: Reception) -> None:
        """Receive where the archive calls us."""
        model = StudyRootQueryRetrieveInformationModelMove
        local = self._settings.local
        with (
            serve(local, self._settings.timeouts, reception.take),
            self._caller.associate([build_context(model)]) as association,
        ):
            for status, _ in association.send_c_move(identifier, local.ae_title, model):
                reception.check()
                check_status(status, self._name, "send images")
        reception.check()


def _identifier(level: str, values: Mapping[str, str]) -> Dataset:
    """Build the data set of a request."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    if not all(value.isascii() for value in values.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def _study(answer: Dataset) -> RemoteStudy:
    return RemoteStudy(
        study_uid=text(answer, "StudyInstanceUID"),
        date=text(answer, "StudyDate"),
        description=text(answer, "StudyDescription"),
        patient_id=text(answer, "PatientID"),
        accession_number=text(answer, "AccessionNumber"),
    )


def _store_contexts(sent: Sequence[Dataset]) -> list[PresentationContext]:
    """Propose each class with the syntaxes of its files and the plain ones."""
    syntaxes: dict[str, dict[str, None]] = {}
    for dataset in sent:
        proposed = syntaxes.setdefault(str(dataset.SOPClassUID), {})
        proposed[str(dataset.file_meta.TransferSyntaxUID)] = None
    return [
        build_context(
            name,
            list({**own, ExplicitVRLittleEndian: None, ImplicitVRLittleEndian: None}),
        )
        for name, own in syntaxes.items()
    ]

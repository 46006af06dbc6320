"""An archive that speaks DICOMweb: QIDO-RS, WADO-RS and STOW-RS."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlencode

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.datadict import tag_for_keyword
from requests.auth import AuthBase, HTTPBasicAuth

from facetgrade.errors import ConnectionLostError, FacetGradeError, TransferError
from facetgrade.pacs.credentials import Login
from facetgrade.pacs.multipart import boundary_of, split_parts
from facetgrade.pacs.records import (
    Keep,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    StudyQuery,
)
from facetgrade.pacs.settings import DicomwebNode, PacsSettings
from facetgrade.pacs.stow import JSON, check_stored, packed

_CHUNK_BYTES = 1 << 18
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# All but unreserved characters and the signs of patterns (RFC 3986 section 2.3).
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._~*?-]")
_STUDY_FIELDS = ("StudyDate", "StudyDescription", "PatientID", "AccessionNumber")
# Beside a few missing instances, asking for the whole series again wastes less.
_MOST_SINGLE = 8


class DicomwebArchive:
    """Speaks to one server; holds its HTTP session.

    Parameters
    ----------
    name : str
        Name of the node.
    node : DicomwebNode
        Where it is.
    settings : PacsSettings
        Timeouts and page size.
    login : Login or None
        User and password, or a bearer token.
    """

    def __init__(
        self, name: str, node: DicomwebNode, settings: PacsSettings, login: Login | None
    ) -> None:
        self._name, self._node, self._page = name, node, settings.pull.page_size
        self._timeout = (settings.timeouts.connect_s, settings.timeouts.answer_s)
        self._session = requests.Session()
        # Neither proxies, certificates nor logins come from the environment.
        self._session.trust_env = False
        self._session.auth = _authentication(login)
        if node.tls:
            self._session.verify = node.tls.ca_file or True
            own = (node.tls.cert_file, node.tls.key_file)
            self._session.cert = own if node.tls.cert_file else None
        self._client = DICOMwebClient(
            node.url, self._session, timeout=self._timeout, permissive_uid=True
        )
        self._client.set_http_retry_params(retry=False)

    @property
    def name(self) -> str:
        """Name of the node."""
        return self._name

    def find_studies(self, query: StudyQuery) -> list[RemoteStudy]:
        """Search with QIDO-RS, page by page."""
        found: dict[str, RemoteStudy] = {}
        for keys in query.requests(identifiers=self._node.identifiers_in_url):
            for answer in self._pages(keys):
                study = _study(answer)
                found[study.study_uid] = study
        return list(found.values())

    def list_series(self, study_uid: str) -> list[RemoteSeries]:
        """List the series of a study."""
        with self._translated():
            answers = self._client.search_for_series(
                study_uid, fields=["Modality", "SeriesInstanceUID"]
            )
        return [
            RemoteSeries(
                study_uid, _value(one, "SeriesInstanceUID"), _value(one, "Modality")
            )
            for one in answers
        ]

    def list_instances(self, series: RemoteSeries) -> list[RemoteInstance]:
        """List the instances of a series."""
        with self._translated():
            answers = self._client.search_for_instances(
                series.study_uid, series.series_uid
            )
        return [
            RemoteInstance(_value(one, "SOPInstanceUID"), _value(one, "SOPClassUID"))
            for one in answers
        ]

    def fetch(
        self, series: RemoteSeries, wanted: Sequence[RemoteInstance], keep: Keep
    ) -> None:
        """Retrieve a series with WADO-RS, or one by one what is missing of it."""
        place = f"{self._node.url}/studies/{series.study_uid}/series/"
        place += series.series_uid
        few = len(wanted) <= _MOST_SINGLE
        singles = [f"{place}/instances/{one.instance_uid}" for one in wanted]
        for address in singles if few else [place]:
            for content in self._retrieve(address):
                keep(content)

    def store(self, paths: Sequence[Path], stored: Callable[[Path], None]) -> None:
        """Send files with STOW-RS; an object that is already there is safe."""
        for path in paths:
            body, kind = packed(path.read_bytes())
            with self._translated():
                answer = self._session.post(
                    f"{self._node.url}/studies",
                    data=body,
                    headers={"Content-Type": kind, "Accept": JSON},
                    timeout=self._timeout,
                    # Followed, it would become a search, which succeeds.
                    allow_redirects=False,
                )
                check_stored(answer, self._name, path.name)
            stored(path)

    def _pages(self, keys: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Ask for page after page until one brings nothing new."""
        seen: set[str] = set()
        terms = [f"{key}={_pattern(value)}" for key, value in keys.items()]
        terms += [f"includefield={name}" for name in _STUDY_FIELDS]
        address = f"{self._node.url}/studies?{'&'.join(terms)}"
        while True:
            page = {"limit": str(self._page), "offset": str(len(seen))}
            answers = self._search(f"{address}&{urlencode(page)}")
            fresh = [a for a in answers if _value(a, "StudyInstanceUID") not in seen]
            seen |= {_value(answer, "StudyInstanceUID") for answer in fresh}
            yield from fresh
            if not fresh or len(answers) < self._page:
                return

    def _search(self, address: str) -> list[Mapping[str, Any]]:
        """Return one page; dicomweb-client would encode the signs of patterns."""
        with self._translated():
            answer = self._session.get(
                address,
                headers={"Accept": JSON},
                timeout=self._timeout,
            )
            answer.raise_for_status()
            found: list[Mapping[str, Any]] = answer.json() if answer.content else []
        return found

    def _retrieve(self, address: str) -> Iterator[bytes]:
        """Yield the instances of a WADO-RS answer while they come."""
        with (
            self._translated(),
            self._session.get(
                address,
                headers={"Accept": _ACCEPT},
                stream=True,
                timeout=self._timeout,
            ) as answer,
        ):
            answer.raise_for_status()
            kind = answer.headers.get("Content-Type", "")
            chunks = answer.iter_content(_CHUNK_BYTES)
            if kind.startswith("application/dicom") and "json" not in kind:
                yield b"".join(chunks)
                return
            yield from split_parts(chunks, boundary_of(kind))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the libraries raise into one sentence without any address."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (FacetGradeError, GeneratorExit):
            raise
        except requests.HTTPError as error:
            raise self._http_error(error) from None
        except requests.exceptions.SSLError:
            raise TransferError(
                f"{self._name} shows no certificate that is trusted; check tls.ca_file"
            ) from None
        except requests.Timeout:
            raise ConnectionLostError(f"{self._name} does not answer in time") from None
        except requests.ConnectionError as error:
            refused = "NewConnectionError" in repr(error)
            what = "cannot be reached" if refused else "lost the connection"
            raise ConnectionLostError(f"{self._name} {what}") from None
        except requests.exceptions.ChunkedEncodingError:
            raise ConnectionLostError(f"{self._name} lost the connection") from None
        except (requests.RequestException, ValueError, KeyError) as error:
            raise TransferError(
                f"{self._name} gives an answer that is not DICOMweb "
                f"({type(error).__name__}); check the URL"
            ) from None

    def _http_error(self, error: requests.HTTPError) -> TransferError:
        answer = error.response
        code = answer.status_code if answer is not None else 0
        if answer is not None and code in _PASSING:
            wait_s = _asked_wait_s(answer.headers.get("Retry-After", ""))
            return ConnectionLostError(f"{self._name} answers HTTP {code}", wait_s)
        if code in (401, 403):
            return TransferError(
                f"{self._name} refuses the login (HTTP {code}); check credentials"
            )
        if answer is not None and answer.is_redirect:
            return TransferError(
                f"{self._name} sends us elsewhere (HTTP {code}); check the URL"
            )
        return TransferError(f"{self._name} refuses the request (HTTP {code})")


class _Bearer(AuthBase):
    """Adds a bearer token to each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _authentication(login: Login | None) -> AuthBase | None:
    if login is None:
        return None
    if login.token:
        return _Bearer(login.token)
    return HTTPBasicAuth(login.user.encode(), login.password.encode())


def _asked_wait_s(header: str) -> float:
    """Read Retry-After: seconds or a date."""
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except (ValueError, TypeError):
        return 0.0


def _pattern(value: str) -> str:
    """Write a value so that it needs no encoding, which some servers do not undo.

    Other signs become ``?``, which matches any; what then fits too much is dropped
    by the query afterwards.
    """
    return _NOT_PLAIN.sub("?", value)


def _study(answer: Mapping[str, Any]) -> RemoteStudy:
    return RemoteStudy(
        study_uid=_value(answer, "StudyInstanceUID"),
        date=_value(answer, "StudyDate"),
        description=_value(answer, "StudyDescription"),
        patient_id=_value(answer, "PatientID"),
        accession_number=_value(answer, "AccessionNumber"),
    )


def _value(answer: Mapping[str, Any], keyword: str) -> str:
    """Return the first value of an attribute in DICOM JSON (PS3.18 F.2)."""
    values = answer.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value") or [""]
    return str(values[0]).strip(" \0")

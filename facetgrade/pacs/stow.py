"""STOW-RS: pack an object, and read from the answer whether it is safe."""

from __future__ import annotations

import secrets

import requests
from pydicom.dataset import Dataset

from facetgrade.errors import TransferError
from facetgrade.pacs.dimse_calls import check_status

JSON = "application/dicom+json"
_FAILED_SOP_SEQUENCE, _FAILURE_REASON = "00081198", "00081197"
_PROCESSING_FAILURE = 0x0110
# B00E is what the Azure DICOM service says.
_THERE_ALREADY = (0x0111, 0xB00E)
_OK, _REDIRECT, _ALL_FAILED = 200, 300, 409


def packed(content: bytes) -> tuple[bytes, str]:
    """Return the body of a request that stores one object, and its Content-Type."""
    boundary = secrets.token_hex(16)
    body = (
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        + content
        + f"\r\n--{boundary}--\r\n".encode()
    )
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return body, kind


def check_stored(answer: requests.Response, name: str, what: str) -> None:
    """Return if an object is safe: stored now, or there already.

    Servers tell with any status why they did not store an object, 409 if it was the
    only one. What comes from elsewhere, such as the page of a login, is no answer.

    Parameters
    ----------
    answer : requests.Response
        To a request that stores one object.
    name : str
        Name of the node.
    what : str
        Name of the object.

    Raises
    ------
    ConnectionLostError
        If the server lacks something at present, such as room.
    TransferError
        If it refuses the object.
    requests.HTTPError
        If it refuses the request.
    ValueError
        If this is no answer of STOW-RS.

    References
    ----------
    .. [1] DICOM PS3.18 10.5.3 Store Transaction, I.2 Store Instances Response Module.
    """
    code = answer.status_code
    if not (_OK <= code < _REDIRECT or code == _ALL_FAILED):
        raise requests.HTTPError(response=answer)
    reasons = _failure_reasons(answer)
    if code == _ALL_FAILED and not reasons:
        raise requests.HTTPError(response=answer)
    for reason in reasons:
        if reason not in _THERE_ALREADY:
            status = Dataset()
            status.Status = reason
            check_status(status, name, f"store {what}")
            raise TransferError(f"{name} refuses to store {what} (status {reason:04X})")


def _failure_reasons(answer: requests.Response) -> list[int]:
    """List the reasons for which objects were not stored."""
    if not answer.content or "xml" in answer.headers.get("Content-Type", ""):
        return []
    told = answer.json()
    if not isinstance(told, dict):
        raise ValueError("the answer is not one data set")
    failed = told.get(_FAILED_SOP_SEQUENCE, {}).get("Value") or []
    reasons = [one.get(_FAILURE_REASON, {}).get("Value") for one in failed]
    return [int(reason[0]) if reason else _PROCESSING_FAILURE for reason in reasons]

"""An object counts as safe only where the answer of STOW-RS says so."""

import json

import pytest
import requests

from facetgrade.errors import ConnectionLostError, TransferError
from facetgrade.pacs import read_pacs
from facetgrade.pacs.dicomweb import DicomwebArchive
from facetgrade.pacs.stow import check_stored
from tests.pacs.proxies import answering


def answer(status, body=b"", kind="application/dicom+json; charset=utf-8"):
    made = requests.Response()
    made.status_code, made._content = status, body
    made.headers["Content-Type"] = kind
    return made


def failed(*reasons):
    items = [{"00081197": {"vr": "US", "Value": [reason]}} for reason in reasons]
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


@pytest.mark.parametrize(
    "safe",
    [
        answer(200, b"{}"),
        answer(200),
        answer(200, b"<NativeDicomModel/>", "application/dicom+xml"),
        answer(409, failed(0x0111)),
        answer(202, failed(0xB00E)),
    ],
)
def test_what_was_stored_now_or_before_is_safe(safe):
    check_stored(safe, "web", "sr.dcm")


@pytest.mark.parametrize(
    ("refused", "error", "message"),
    [
        (answer(409, failed(0xA700)), ConnectionLostError, "store sr.dcm .*A700"),
        (answer(202, failed(0xA700)), ConnectionLostError, "store sr.dcm .*A700"),
        (answer(200, failed(0x0110)), TransferError, "refuses to store sr.dcm .*0110"),
        (answer(409, failed(0xA901)), TransferError, "refuses to store sr.dcm .*A901"),
        (answer(409, failed(0xB00F)), TransferError, "refuses to store sr.dcm .*B00F"),
        (answer(200, b"[]"), ValueError, "not one data set"),
        (answer(200, b"<html>Login</html>", "text/html"), ValueError, None),
        (answer(409), requests.HTTPError, None),
        (answer(302), requests.HTTPError, None),
        (answer(500), requests.HTTPError, None),
    ],
)
def test_what_was_not_stored_is_never_taken_for_safe(refused, error, message):
    with pytest.raises(error, match=message):
        check_stored(refused, "web", "sr.dcm")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (301, r"web sends us elsewhere \(HTTP 301\); check the URL"),
        (200, "web gives an answer that is not DICOMweb"),
    ],
)
def test_a_page_or_a_redirect_is_no_success(status, message, tmp_path):
    path = tmp_path / "sr.dcm"
    path.write_bytes(b"an object")
    stored = []
    with answering(status, b"<html>Log in</html>") as port:
        (tmp_path / "pacs.toml").write_text(
            f"[nodes.web]\nprotocol = 'dicomweb'\nurl = 'http://127.0.0.1:{port}'\n"
            "identifiers_in_url = false\ncredentials = 'none'\n"
        )
        settings = read_pacs(tmp_path / "pacs.toml")
        archive = DicomwebArchive("web", settings.node("web"), settings, None)
        with pytest.raises(TransferError, match=message):
            archive.store([path], stored.append)
    assert stored == []

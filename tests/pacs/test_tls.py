import gc
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facetgrade.errors import ConfigError, ConnectionLostError, TransferError
from facetgrade.pacs import StudyQuery, open_archive, read_pacs
from facetgrade.pacs.receive import Reception
from facetgrade.pacs.server import serve
from tests.ingest.builders import gradient_volume, write_series
from tests.pacs.conftest import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing"),
    # Servers leave the sockets of callers whom they refused to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket"),
]


@pytest.fixture(autouse=True)
def refused_sockets():
    """Collect them here, not during a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a certificate of it for this machine, and a stranger."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=folder, check=True, capture_output=True
        )

    def authority(name):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )

    authority("ca")
    authority("stranger")
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=localhost", "-keyout", "own.key", "-out", "own.csr"),
    )
    openssl(
        *("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "own.pem"),
    )
    return folder


def node_file(folder, port, *, authority="ca", own="own", web=False):
    where = (
        f'protocol = "dicomweb"\nurl = "https://localhost:{port}/dicom-web"\n'
        "identifiers_in_url = false\n"
        if web
        else f'protocol = "dimse"\nhost = "localhost"\nport = {port}\n'
        'ae_title = "ANY"\nretrieve = "get"\n'
    )
    mine = (f"{own}.pem", f"{own}.key") if own else ("", "")
    path = folder / f"{port}.toml"
    path.write_text(f"""
[local]
port = {port}
[local.tls]
ca_file = "ca.pem"
cert_file = "own.pem"
key_file = "own.key"
[timeouts]
connect_s = 5.0
answer_s = 5.0
[nodes.secure]
{where}
credentials = "login.toml"
[nodes.secure.tls]
ca_file = "{authority}.pem"
cert_file = "{mine[0]}"
key_file = "{mine[1]}"
""")
    login = folder / "login.toml"
    login.write_text('[secure]\nuser = "me"\npassword = "s3cret"\n')
    login.chmod(0o600)
    return read_pacs(path)


@pytest.fixture
def image(tmp_path):
    (path,) = write_series(tmp_path, gradient_volume((1, 8, 10)))
    return path


def test_images_travel_encrypted_between_known_machines(certificates, image):
    settings, received = node_file(certificates, free_port()), []
    reception = Reception(received.append)
    with serve(settings.local, settings.timeouts, reception.take):
        open_archive("secure", settings).store([image], lambda _: None)
    assert len(received) == 1


@pytest.mark.parametrize("trust", [{"authority": "stranger"}, {"own": "stranger"}])
def test_strangers_get_nothing(trust, certificates, image):
    settings = node_file(certificates, free_port(), **trust)
    received = []
    reception = Reception(received.append)
    archive = open_archive("secure", settings)
    with (
        serve(settings.local, settings.timeouts, reception.take),
        pytest.raises(ConnectionLostError, match="secure cannot be reached"),
    ):
        archive.store([image], lambda _: None)
    assert received == []


def test_certificates_that_are_not_there_are_named(certificates):
    settings = node_file(certificates, free_port(), own="lost")
    with pytest.raises(ConfigError, match=r"cannot be used .*lost\.pem"):
        open_archive("secure", settings).find_studies(StudyQuery(dates="20200101-"))


@contextmanager
def web_server(certificates, port):
    """Answer every search with nothing, over TLS; remember the logins."""
    logins = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            logins.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield logins
    finally:
        server.shutdown()
        server.server_close()


def test_searches_travel_encrypted_with_the_login(certificates):
    port = free_port()
    archive = open_archive("secure", node_file(certificates, port, web=True))
    with web_server(certificates, port) as logins:
        assert archive.find_studies(StudyQuery(dates="20200101-")) == []
    # "me:s3cret" in Base64.
    assert logins == ["Basic bWU6czNjcmV0"]


def test_a_server_of_an_unknown_authority_is_not_asked(certificates):
    port = free_port()
    settings = node_file(certificates, port, web=True, authority="stranger")
    archive = open_archive("secure", settings)
    with (
        web_server(certificates, port) as logins,
        pytest.raises(TransferError, match="shows no certificate that is trusted"),
    ):
        archive.find_studies(StudyQuery(dates="20200101-"))
    assert logins == []

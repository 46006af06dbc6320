"""Things between us and the archive that go wrong on purpose."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


class CuttingProxy:
    """Passes bytes on and cuts connections after some bytes of answer.

    `cuts` is how many connections are cut, `after_bytes` how much each may bring.
    """

    def __init__(self, target_port: int, *, cuts: int, after_bytes: int) -> None:
        self.cuts, self.after_bytes, self.cut = cuts, after_bytes, 0
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, sink, counted in (
                (client, server, False),
                (server, client, True),
            ):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, counted), daemon=True
                ).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, counted: bool
    ) -> None:
        passed = 0
        with suppress(OSError):
            while content := source.recv(4096):
                passed += len(content)
                if counted and passed > self.after_bytes and self.cut < self.cuts:
                    self.cut += 1
                    break
                sink.sendall(content)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
        source.close()


@contextmanager
def cutting(target_port: int, *, cuts: int, after_bytes: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(target_port, cuts=cuts, after_bytes=after_bytes)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def grumpy_server(
    target: str, *, status: int, times: int, path: str = "/"
) -> Iterator[ThreadingHTTPServer]:
    """Answer the first requests below `path` with an error, then pass them on.

    `asked` of the server lists the URLs.
    """
    left, asked = [times], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer("POST", self.rfile.read(length))

        def _answer(self, method: str, body: bytes | None) -> None:
            asked.append(self.path)
            if left[0] and path in self.path:
                left[0] -= 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            kept = ("Accept", "Content-Type")
            headers = {k: self.headers[k] for k in kept if k in self.headers}
            answer = requests.request(
                method, target + self.path, data=body, headers=headers, timeout=10
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.left, server.asked = left, asked  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """Answer every request with the same page, a redirect with an empty search."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, b"[]", "application/dicom+json")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(status, body, "text/html")

        def _answer(self, code: int, content: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()

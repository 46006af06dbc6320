"""A PostgreSQL server of its own: temporary folder, loopback only, ended at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "facetgrade"


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes
    ----------
    port : int
        On 127.0.0.1.
    password_file : Path
        Password of its only user.
    """

    port: int
    password_file: Path

    def url(self, name: str) -> str:
        """Return the address of a database, without password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """Make an empty database; return its address."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            dbname="postgres",
            password=self.password_file.read_text().strip(),
            autocommit=True,
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps it off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def running_postgres(
    bin_folder: Path, *, options: str = ""
) -> Iterator[PostgresServer]:
    """Start a server that asks for a password, and end it."""
    with tempfile.TemporaryDirectory(prefix="facetgrade-postgres-") as name:
        folder = Path(name)
        password_file = folder / "password"
        password_file.write_text(secrets.token_hex(16) + "\n")
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            shutil.chown(password_file, "postgres")
        port = _free_port()
        cluster = str(folder / "cluster")
        _run(
            [
                str(bin_folder / "initdb"),
                *("-D", cluster, "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"),
                *("-N", f"--pwfile={password_file}"),
            ]
        )
        control = [str(bin_folder / "pg_ctl"), "-D", cluster, "-w"]
        options += f" -c listen_addresses=127.0.0.1 -c port={port}"
        options += " -c unix_socket_directories=''"
        log = str(folder / "log")
        _run([*control, "-l", log, "-o", options, "start"])
        try:
            yield PostgresServer(port=port, password_file=password_file)
        finally:
            _run([*control, "-m", "immediate", "stop"])


def _run(command: list[str]) -> None:
    """Run a program of PostgreSQL, which refuses to be root."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

"""Let readers lock reads over HTTP while the server is killed; count what is lost."""

from __future__ import annotations

import argparse
import hmac
import http.client
import json
import os
import platform
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "review")]

from postgres_server import programs, running_postgres  # noqa: E402

from facetgrade.review.chain import read_head, read_or_make_key  # noqa: E402
from facetgrade.review.store import Store, open_store  # noqa: E402
from facetgrade.review.verify import verify_database  # noqa: E402

COOKIE, CSRF_HEADER = "facetgrade_session", "X-CSRF-Token"
CASES = 24
LEVELS = ("L3-L4", "L4-L5")
RETRY_S = 0.25  # growing and random, as in api.js
START_TIMEOUT_S = 900.0


@dataclass
class Places:
    """Where one review keeps what it needs."""

    out: Path
    charter: Path
    db: str
    password_file: Path | None
    key_file: Path
    head_file: Path

    def command(self, port: int) -> list[str]:
        """Return the command that serves it."""
        password = ["--db-password-file", self.password_file]
        return [
            str(Path(sys.executable).with_name("facetgrade")),
            *("review", "serve", str(self.out), "--charter", str(self.charter)),
            *("--db", self.db, "--port", str(port)),
            *("--audit-key", str(self.key_file), "--head", str(self.head_file)),
            *(map(str, password) if self.password_file else ()),
        ]

    def open(self) -> Store:
        """Open its database."""
        return open_store(
            self.db,
            key_file=self.key_file,
            head_file=self.head_file,
            password_file=self.password_file,
        )


@dataclass
class Tally:
    """What the readers saw."""

    answered: list[str] = field(default_factory=list)
    elapsed_ms: list[float] = field(default_factory=list)
    retries: int = 0
    refused: list[str] = field(default_factory=list)


class Server:
    """The running server; killed and started again on the same port."""

    def __init__(self, places: Places) -> None:
        self.port = _free_port()
        self._places = places
        self._process: subprocess.Popen[str] | None = None
        self.links: dict[str, str] = {}
        self.starts_s: list[float] = []
        self._earlier_s = 0.0
        self._up_since: float | None = None

    @property
    def up_s(self) -> float:
        """Time during which it listened."""
        since = self._up_since
        return self._earlier_s + (time.monotonic() - since if since else 0.0)

    def start(self) -> None:
        """Start, and wait until it listens."""
        began = time.monotonic()
        # What it says of the missing images is of no interest here.
        self._process = subprocess.Popen(
            self._places.command(self.port),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        threading.Thread(
            target=self._listen, args=(self._process.stdout,), daemon=True
        ).start()
        while not _answers(self.port):
            if self._process.poll() is not None:
                raise RuntimeError("the server ended")
            if time.monotonic() > began + START_TIMEOUT_S:
                raise RuntimeError("the server does not start")
            time.sleep(0.02)
        self.starts_s.append(time.monotonic() - began)
        self._up_since = time.monotonic()

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        assert self._process is not None
        self._earlier_s, self._up_since = self.up_s, None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _listen(self, lines: Any) -> None:
        for line in lines:
            found = re.match(r"(\S+): (http\S+/enter\?token=\S+)", line)
            if found:
                self.links.setdefault(found[1], found[2])


def main() -> None:
    """Run the demonstration on each database and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--pause", type=float, default=1.0, help="mean, between reads")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    results = {name: run(name, options) for name in options.databases}
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "facetgrade": version("facetgrade"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "load_average": round(os.getloadavg()[0], 1),
        "readers": options.readers,
        "seconds": options.seconds,
        "mean_pause_s": options.pause,
        "databases": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    failed = [n for n, r in results.items() if not r["nothing_lost_or_doubled"]]
    sys.exit(3 if failed else 0)


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run the demonstration on one database."""
    with tempfile.TemporaryDirectory() as folder, _database(name, folder) as database:
        url, password_file = database
        readers = [f"reader-{k + 1}" for k in range(options.readers)]
        places = _review(Path(folder), url, password_file, readers)
        server, tally = Server(places), Tally()
        try:
            server.start()
            sessions = {reader: _enter(server, reader) for reader in readers}
            _read_all(server, places, sessions, tally, options)
        finally:
            server.kill()
        return _result(places, tally, server, options)


def _read_all(
    server: Server,
    places: Places,
    sessions: dict[str, str],
    tally: Tally,
    options: argparse.Namespace,
) -> None:
    """Let all readers read, and kill the server meanwhile; time is time up."""
    store = places.open()
    work = {reader: store.work_list(reader) for reader in sessions}
    store.close()
    began_s = server.up_s
    end_s = began_s + options.seconds
    threads = [
        threading.Thread(
            target=_read, args=(server, work[r], token, tally, end_s, options.pause)
        )
        for r, token in sessions.items()
    ]
    for thread in threads:
        thread.start()
    for at_s in np.linspace(began_s, end_s, options.kills + 2)[1:-1]:
        at_s += random.uniform(-0.3, 0.3)
        while server.up_s < at_s:
            time.sleep(0.01)
        server.kill()
        server.start()
    for thread in threads:
        thread.join()


def _read(
    server: Server, items: Any, token: str, tally: Tally, end_s: float, pause: float
) -> None:
    """Read one work list; try the same key again until it is answered."""
    csrf = hmac.new(token.encode(), b"csrf", sha256).hexdigest()
    headers = {
        "Cookie": f"{COOKIE}={token}",
        CSRF_HEADER: csrf,
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for item in items:
        for joint in item.joints:
            time.sleep(random.uniform(0.0, 2.0 * pause))
            if server.up_s > end_s:
                return
            key = secrets.token_hex(16)
            findings = [{"slot": s, "grade": random.randrange(5)} for s in item.slots]
            body = json.dumps({"key": key, "findings": findings, "elapsed_s": pause})
            path = f"/api/items/{item.item_id}/{joint.level}-{joint.side}/read"
            _post(connection, path, body, headers, key, tally)


def _post(
    connection: http.client.HTTPConnection,
    path: str,
    body: str,
    headers: dict[str, str],
    key: str,
    tally: Tally,
) -> None:
    """Send one read until the server answers."""
    for attempt in count(1):
        began = time.monotonic()
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            tally.retries += 1
            time.sleep(RETRY_S * min(attempt, 8) * random.uniform(0.5, 1.5))
            continue
        if answer.status == 200:
            tally.elapsed_ms.append(1000.0 * (time.monotonic() - began))
            tally.answered.append(key)
        else:
            tally.refused.append(f"{answer.status} {text[:200]!r}")
        return


def _result(
    places: Places, tally: Tally, server: Server, options: argparse.Namespace
) -> dict[str, Any]:
    """Hold what the readers were told against what the database holds."""
    store = places.open()
    reads = store.reads()
    keys = Counter(read.submission.key for read in reads)
    joints = Counter((read.submission.item_id, read.joint) for read in reads)
    key = read_or_make_key(places.key_file, may_make=False)
    head = read_head(places.head_file)
    found = verify_database(store.trail.engine, key, head)
    store.close()
    lost = len(set(tally.answered) - set(keys))
    doubled = sum(n > 1 for n in (*keys.values(), *joints.values()))
    unasked = len(set(keys) - set(tally.answered))
    p50, p95, p99 = np.percentile(tally.elapsed_ms or [np.nan], [50, 95, 99])
    return {
        "kills": options.kills,
        "answered": len(tally.answered),
        "locked": len(reads),
        "lost": lost,
        "doubled": doubled,
        "locked_without_answer": unasked,
        "refused": tally.refused[:5],
        "retries": tally.retries,
        "audit_entries": found.entries,
        "audit_problems": list(found.problems[:5]),
        "nothing_lost_or_doubled": not (
            lost or doubled or unasked or tally.refused or found.problems
        ),
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "median_restart_s": round(float(np.median(server.starts_s)), 1),
    }


def _review(
    folder: Path, url: str, password_file: Path | None, readers: list[str]
) -> Places:
    """Write a graded folder without images, and a charter for many readers."""
    out = folder / "graded"
    for case in range(CASES):
        for visit in range(2):
            study = out / "studies" / f"s{case:02d}-{visit}"
            study.mkdir(parents=True)
            record = _study(case, visit)
            (study / "study.json").write_text(json.dumps(record))
    (out / "run.json").write_text(json.dumps({"inputs": []}))
    charter = folder / "charter.toml"
    text = (ROOT / "configs" / "charter.toml").read_text(encoding="utf-8")
    text = re.sub(r"\[\[people\]\]\n(?:\w+ = .*\n)+\n?", "", text)
    text = text.replace('"any-difference"', '"none"').replace(
        "share = 0.1", "share = 0"
    )
    people = [f'[[people]]\nname = "{name}"\nrole = "reader"\n' for name in readers]
    charter.write_text(text.replace("[repeats]", "\n".join([*people, "[repeats]"]), 1))
    return Places(
        out=out,
        charter=charter,
        db=url,
        password_file=password_file,
        key_file=folder / "audit.key",
        head_file=folder / "head.json",
    )


def _study(case: int, visit: int) -> dict[str, Any]:
    """Return what a review reads of study.json."""
    joint = {"status": "graded", "reason": "", "grade": 1}
    return {
        "schema_version": "1",
        "study_uid": f"2.25.{case + 1}{visit}",
        "source": f"s{case:02d}-{visit}",
        "subject": f"P{case:02d}",
        "study_date": f"202{visit}-01-01",
        "content_sha256": "",
        "model_sha256": {},
        "joints": [
            {"level": level, "side": side, **joint}
            for level in LEVELS
            for side in ("left", "right")
        ],
    }


@contextmanager
def _database(name: str, folder: str) -> Iterator[tuple[str, Path | None]]:
    """Make an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/review.sqlite", None
        return
    found = programs()
    if found is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    with running_postgres(found) as server:
        yield server.create("review"), server.password_file


def _enter(server: Server, reader: str) -> str:
    """Open the one-time link of a reader; return the session."""
    while reader not in server.links:
        time.sleep(0.02)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    link = server.links[reader]
    connection.request("GET", link[link.index("/enter") :])
    answer = connection.getresponse()
    answer.read()
    connection.close()
    found = re.search(rf"{COOKIE}=([^;]+)", answer.getheader("Set-Cookie") or "")
    if found is None:
        raise RuntimeError(f"{reader} cannot enter: {answer.status}")
    return found[1]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return result.stdout.strip()


if __name__ == "__main__":
    main()

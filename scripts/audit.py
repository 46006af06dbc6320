"""Audit the installed dependencies without a network, and write a bill of materials.

    python scripts/audit.py [--advisories osv.zip] [--bom bom.json]

Checks that what is installed is what requirements.lock says, that requirements fit each
other and that licenses may be combined with Apache-2.0. With --advisories, the archive
of all PyPI records that OSV publishes (fetched by hand where there is a network), no
installed version may be one that a record names. --bom writes CycloneDX 1.6 with all
packages and the weight files. Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
MANIFEST = ROOT / "models" / "manifest.toml"
STRONG_COPYLEFT = re.compile(r"\b(AGPL|GPL|Affero)", re.IGNORECASE)
NOT_STRONG = re.compile(r"LGPL|Lesser|exception", re.IGNORECASE)


def main() -> None:
    """Run all checks and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--advisories", type=Path)
    parser.add_argument("--bom", type=Path)
    options = parser.parse_args()
    pins = read_pins(LOCK)
    problems = [*_not_as_locked(pins), *_misfits(), *_licenses(pins)]
    if options.advisories:
        records = read_advisories(options.advisories)
        problems += [text for record in records for text in affected(pins, record)]
    else:
        print("no advisories given: known vulnerabilities were not looked for")
    if options.bom:
        options.bom.write_text(json.dumps(bill_of_materials(pins), indent=1) + "\n")
    for problem in problems:
        print(problem)
    print(f"{len(pins)} packages, {len(problems)} problems")
    sys.exit(bool(problems))


def read_pins(lock: Path) -> dict[str, str]:
    """Return versions by normalized name."""
    lines = [line.split("#")[0].strip() for line in lock.read_text().splitlines()]
    pairs = (line.split("==") for line in lines if "==" in line)
    return {_normalized(name): version for name, version in pairs}


def read_advisories(archive: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of an archive of OSV."""
    with zipfile.ZipFile(archive) as records:
        for name in records.namelist():
            if name.endswith(".json"):
                yield json.loads(records.read(name))


def affected(pins: dict[str, str], record: dict[str, Any]) -> Iterator[str]:
    """Say which pinned versions a record names.

    References
    ----------
    .. [1] Open Source Vulnerability format 1.7, affected[].
    """
    if record.get("withdrawn"):
        return
    for one in record.get("affected", ()):
        name = _normalized(one.get("package", {}).get("name", ""))
        if name in pins and _is_named(pins[name], one):
            yield f"{name} {pins[name]}: {record['id']} {record.get('summary', '')}"


def bill_of_materials(pins: dict[str, str]) -> dict[str, Any]:
    """Describe packages and models as CycloneDX 1.6."""
    models = tomllib.loads(MANIFEST.read_text())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "facetgrade",
                "version": distribution("facetgrade").version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            *(_package(name, version) for name, version in sorted(pins.items())),
            *(_model(name, entry) for name, entry in sorted(models.items())),
        ],
    }


def _not_as_locked(pins: dict[str, str]) -> Iterator[str]:
    """Say which packages are missing or of another version."""
    for name, version in pins.items():
        found = _installed(name)
        if found is None:
            yield f"{name} {version}: not installed"
        elif found.version.split("+")[0] != version:
            yield f"{name}: {found.version} is installed, the lock says {version}"


def _misfits() -> Iterator[str]:
    """Say which requirements do not fit each other."""
    check = [sys.executable, "-m", "pip", "check"]
    run = subprocess.run(check, capture_output=True, text=True)
    if run.returncode:
        yield from run.stdout.splitlines()


def _licenses(pins: dict[str, str]) -> Iterator[str]:
    """Say which licenses do not go with Apache-2.0."""
    for name in pins:
        found = _installed(name)
        words = _license(found) if found else ""
        if STRONG_COPYLEFT.search(words) and not NOT_STRONG.search(words):
            yield f"{name}: license {words}"


def _license(package: Distribution) -> str:
    """Return the license of a package in its own words, of one line."""
    said = package.metadata.get("License-Expression") or ""
    classes = package.metadata.get_all("Classifier") or []
    names = [line.split(" :: ")[-1] for line in classes if line.startswith("License")]
    written = (package.metadata.get("License") or "").splitlines()
    return said or ", ".join(names) or (written[0] if written else "")


def _package(name: str, version: str) -> dict[str, Any]:
    """Describe one package."""
    found = _installed(name)
    words = (_license(found) if found else "") or "unknown"
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"license": {"name": words}}],
    }


def _model(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Describe one weight file."""
    return {
        "type": "machine-learning-model",
        "name": name,
        "description": entry.get("summary", ""),
        "hashes": [{"alg": "SHA-256", "content": entry["sha256"]}],
        "licenses": [{"license": {"id": entry["license"]}}],
    }


def _is_named(version: str, one: dict[str, Any]) -> bool:
    """Tell whether a version is listed, or lies in a range."""
    if version in one.get("versions", ()):
        return True
    return any(
        _in_range(version, span.get("events", ()))
        for span in one.get("ranges", ())
        if span.get("type") == "ECOSYSTEM"
    )


def _in_range(version: str, events: list[dict[str, str]]) -> bool:
    """Walk the events of a range in their order."""
    inside = False
    try:
        here = Version(version)
        for event in events:
            if "introduced" in event:
                inside = inside or here >= Version(event["introduced"])
            elif "fixed" in event:
                inside = inside and here < Version(event["fixed"])
            elif "last_affected" in event:
                inside = inside and here <= Version(event["last_affected"])
    except InvalidVersion:
        return False
    return inside


def _installed(name: str) -> Distribution | None:
    """Return an installed package."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _normalized(name: str) -> str:
    """Write a name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower().strip()


if __name__ == "__main__":
    main()

"""Who made a result: version, commit, date, settings, models."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

from facetgrade.config import config_values
from facetgrade.evaluate.summary import Section


def made_by(
    config_name: str, settings: BaseModel, hashes: Mapping[str, str]
) -> Section:
    """Return what is needed to make a result again.

    Parameters
    ----------
    config_name : str
        Name of the settings file.
    settings : BaseModel
        The settings, resolved.
    hashes : mapping of str to str
        SHA-256 of each weight file by model name.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "version": _package_version(),
        "commit": _commit(),
        "config": config_name,
        "settings": config_values(settings),
        "model_sha256": dict(hashes),
    }


def made_text(made: Section) -> list[tuple[str, str]]:
    """Return the lines of a page on how a result was made."""
    lines = [("date", made["date"]), ("facetgrade", made["version"])]
    if made["commit"]:
        lines.append(("commit", made["commit"]))
    lines.append(("settings", made["config"]))
    lines += [(f"weights {name}", sha) for name, sha in made["model_sha256"].items()]
    settings = made["settings"]
    benchmark = settings.get("benchmark") or settings.get("studies")
    if benchmark:
        lines.append(("seed", str(benchmark["seed"])))
        groups = ", ".join(f"{g['name']}: {g['anatomy']}" for g in benchmark["groups"])
        lines.append(("held-out groups", groups))
    return lines


def _package_version() -> str:
    """Return the installed version, empty in an uninstalled checkout."""
    try:
        return version("facetgrade")
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the commit of a checkout, with ``+`` if files differ; else empty."""
    here = Path(__file__).parent
    head = _git(here, "rev-parse", "HEAD")
    changed = head and _git(here, "status", "--porcelain", "--untracked-files=no", ".")
    return f"{head}+" if changed else head


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command, empty where it fails."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()

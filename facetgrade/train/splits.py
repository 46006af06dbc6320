"""Splits by subject: drawn once, written down, never changed."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from facetgrade.errors import ConfigError
from facetgrade.report.atomic import write_text
from facetgrade.train.manifest import SPLITS, Manifest, ManifestError
from facetgrade.train.settings import DataSettings


def lock_splits(manifest: Manifest, settings: DataSettings) -> dict[str, str]:
    """Return the split of every subject, keeping what was decided before.

    A subject that the file `settings.splits` names stays where it is. A new one goes
    where the manifest says, or where a hash of its name says, and is written down.

    Parameters
    ----------
    manifest : Manifest
        All annotated cases.
    settings : DataSettings
        File of the splits, shares and seed.

    Raises
    ------
    ManifestError
        If the manifest puts a subject into two splits.
    ConfigError
        If the manifest contradicts the file.
    """
    kept = read_splits(settings.splits)
    wanted = _wanted(manifest)
    for subject, split in wanted.items():
        before = kept.get(subject)
        if before and split and before != split:
            raise ConfigError(
                f"{settings.splits}: subject {subject} is in {before}, the manifest "
                f"says {split}; splits are locked, so that held-out cases stay unseen"
            )
    fresh = {
        subject: split or draw_split(subject, settings)
        for subject, split in wanted.items()
        if subject not in kept
    }
    if fresh:
        write_text(settings.splits, _as_csv(kept | fresh))
    return {subject: (kept | fresh)[subject] for subject in wanted}


def read_splits(path: Path) -> dict[str, str]:
    """Read the locked splits, empty if there are none yet.

    Raises
    ------
    ConfigError
        If the file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    rows = list(csv.DictReader(text.splitlines()))
    if any(
        set(row) != {"subject", "split"} or row["split"] not in SPLITS for row in rows
    ):
        raise ConfigError(f"{path}: needs columns subject, split with {SPLITS}")
    return {row["subject"]: row["split"] for row in rows}


def draw_split(subject: str, settings: DataSettings) -> str:
    """Choose a split by a hash of the name, whatever other subjects there are."""
    digest = hashlib.sha256(f"{settings.split_seed}\0{subject}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < settings.test_share:
        return "test"
    held_out = settings.test_share + settings.validation_share
    return "validation" if place < held_out else "train"


def _wanted(manifest: Manifest) -> dict[str, str]:
    """Return the split that the manifest gives each subject, empty if none."""
    wanted: dict[str, str] = {}
    for row in manifest.rows:
        before = wanted.get(row.subject, "")
        if before and row.split and before != row.split:
            raise ManifestError(
                manifest.path,
                row.number,
                f"subject {row.subject} is in {before} and in {row.split}",
            )
        wanted[row.subject] = before or row.split
    return wanted


def _as_csv(splits: dict[str, str]) -> str:
    """Write the file, sorted by subject."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["subject", "split"])
    writer.writerows(sorted(splits.items()))
    return stream.getvalue()

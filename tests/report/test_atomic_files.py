"""What is written for good is on the disk when the call returns."""

import errno
import os
from pathlib import Path

import pytest

from facetgrade.report.atomic import sync_folder, write_durable


@pytest.fixture
def synced(monkeypatch):
    """Record the names of what is put on the disk, in order."""
    names, sync = [], os.fsync

    def record(opened):
        names.append(Path(f"/proc/self/fd/{opened}").readlink())
        sync(opened)

    monkeypatch.setattr(os, "fsync", record)
    return names


def test_content_is_on_the_disk_before_the_name_and_every_new_folder(synced, tmp_path):
    write_durable(tmp_path / "a/b/image.dcm", b"pixels", top=tmp_path)
    beside, *folders = synced
    assert beside.suffix == ".part"
    assert folders == [tmp_path / "a/b", tmp_path / "a", tmp_path]
    assert (tmp_path / "a/b/image.dcm").read_bytes() == b"pixels"


def test_a_disk_that_fails_leaves_no_file(monkeypatch, tmp_path):
    def fail(_opened):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_durable(tmp_path / "image.dcm", b"pixels", top=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_synced_are_passed_over(monkeypatch, tmp_path):
    def refuse(_opened):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)

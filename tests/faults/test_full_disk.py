"""A whole command on a small tmpfs, and on one that is read-only."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SELF_TEST = Path(__file__).parents[2] / "models" / "self_test.zip"
MOUNTED = """
set -e
mount -t tmpfs -o size=$2 none "$1"
[ "$3" = rw ] || mount -o remount,ro "$1"
set +e
"$4" -m facetgrade grade "$5" -o "$1/out"
echo "exit code $?"
"""


def grade_into(folder, *, size, mode):
    """Grade the small study into a tmpfs of a private mount namespace."""
    script = [folder, size, mode, sys.executable, SELF_TEST]
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "sh"]
    return subprocess.run(
        [*unshare, *map(str, script)], capture_output=True, text=True, check=False
    )


def can_mount():
    """Tell whether this system lets us have a tmpfs of our own."""
    if not shutil.which("unshare"):
        return False
    probe = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=64k none /mnt"
    return subprocess.run([*probe, mount], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="no mount namespaces")


def test_a_read_only_output_folder_is_one_sentence(tmp_path):
    run = grade_into(tmp_path, size="1m", mode="ro")
    assert "exit code 2" in run.stdout, run.stdout + run.stderr
    assert "out: cannot be written (Read-only file system)" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_no_success(tmp_path):
    run = grade_into(tmp_path, size="400k", mode="rw")
    shown = " ".join((run.stdout + run.stderr).split())
    assert "No space left on device" in shown or "disk is full" in shown, shown
    assert "Traceback" not in shown
    assert "exit code 2" in run.stdout or "exit code 3" in run.stdout, shown

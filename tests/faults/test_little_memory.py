"""Large inputs under a limit of memory, in processes of their own."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from pathlib import Path
from facetgrade.ingest import scan_inputs, shipped_settings

settings = shipped_settings()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
print("\\n".join(scan_inputs([Path(sys.argv[1])], settings).problems))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_file_larger_than_the_memory_is_one_sentence(tmp_path):
    large = tmp_path / "in" / "large.nii"
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(3_000_000_000)  # takes no room on the disk

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, large.parent], capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    assert "large.nii cannot be read (MemoryError)" in run.stdout

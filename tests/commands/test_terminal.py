import os
import subprocess
import sys

CODE = """
import sys
from pathlib import Path
from facetgrade.commands.terminal import open_console

out = Path(sys.argv[1])
console = open_console(out)
for number in range(100):
    console.print("line", number)
(out / "finished").touch()
"""


def test_a_command_goes_on_when_nobody_reads_what_it_prints(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "finished").exists()

"""Run the commands of models/RETRAINING.md as they stand."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facetgrade.cli import app

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "models" / "RETRAINING.md"


def commands(block: int = 0) -> list[list[str]]:
    """Return the words of one block of commands, without the program's name."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return [shlex.split(line)[1:] for line in blocks[block].splitlines()]


def test_the_command_that_calibrates_asks_for_nothing_but_anatomy(
    tmp_path, monkeypatch
):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    (words,) = commands(-1)

    result = CliRunner().invoke(app, words)

    assert words[0] == "calibrate"
    assert "the held-out anatomy is not part of facetgrade" in str(result.exception)


@pytest.mark.slow
def test_the_five_commands_end_with_a_study_graded_by_the_installed_model(
    tmp_path, monkeypatch
):
    home = tmp_path / "home"
    (tmp_path / "data_samples").symlink_to(ROOT / "data_samples")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    words = commands()

    assert len(words) == 5
    for line in words:
        line = [word.replace("~", str(home)) for word in line]
        result = CliRunner().invoke(app, line)
        assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"

    compared = json.loads((tmp_path / "runs/compared/comparison.json").read_text())
    assert compared["new"]["name"] == "segmenter-site"  # wherever the file lies
    table = (tmp_path / "runs" / "graded" / "joints.csv").read_text()
    assert (
        json.loads((tmp_path / "runs/check/findings.json").read_text())["findings"]
        == []
    )
    assert table.count("L4-L5") == 2
    assert "segmenter-site" in (tmp_path / "runs" / "graded" / "run.json").read_text()

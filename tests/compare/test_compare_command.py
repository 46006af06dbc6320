import csv
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch

from facetgrade import networks
from tests.ingest.builders import gradient_volume, write_series

LOCALIZER = ("spine-localizer", {"channels": [4, 4, 4, 4, 4]})
SEGMENTER = ("joint-segmenter", {"channels": [4, 4]})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder with untrained weights, their configuration, and room for a key."""
    folder = tmp_path_factory.mktemp("home")
    manifest = []
    for name, (architecture, sizes) in {"l": LOCALIZER, "s": SEGMENTER}.items():
        network = networks.build(architecture, **sizes)
        content = safetensors.torch.save(network.state_dict())
        (folder / f"{name}.safetensors").write_bytes(content)
        manifest.append(
            f"""[{name}]
file = "{name}.safetensors"
sha256 = "{hashlib.sha256(content).hexdigest()}"
license = "Apache-2.0"
input = "untrained"
architecture = "{architecture}"
sizes = {{ channels = {sizes["channels"]} }}
"""
        )
    (folder / "manifest.toml").write_text("\n".join(manifest))
    (folder / "tiny.toml").write_text(
        f'[localize]\nweights = "{folder}/l"\n[segment]\nweights = "{folder}/s"\n'
    )
    return folder


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """One patient twice, with nothing to see."""
    folder = tmp_path_factory.mktemp("input")
    for year, name in ((2024, "before"), (2025, "after")):
        write_series(
            folder / name,
            gradient_volume((18, 40, 40)) + np.uint16(year - 2024),
            series=f"sag T2 {year}",
            study=name,
            StudyDate=f"{year}0304",
        )
    return folder


def facetgrade(command, *arguments, home, cwd):
    program = [sys.executable, "-m", "facetgrade", command, *map(str, arguments)]
    options = ["--config", str(home / "tiny.toml"), "--device", "cpu"]
    env = {**os.environ, "HOME": str(home), "COLUMNS": "200"}
    return subprocess.run(
        program + options,
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        check=False,
    )


def rows(out):
    with (out / "changes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_pair_is_graded_on_the_fly_and_each_joint_has_its_reason(
    home, visits, tmp_path
):
    found = facetgrade(
        "compare",
        visits / "before",
        visits / "after",
        "-o",
        "out",
        home=home,
        cwd=tmp_path,
    )
    assert found.stderr == ""
    out = tmp_path / "out"
    changes = rows(out)
    assert [(row["level"], row["side"]) for row in changes] == [
        (level, side) for level in ("L3-L4", "L4-L5") for side in ("left", "right")
    ]
    assert {row["change"] for row in changes} == {"not-comparable"}
    assert all(row["reason"] for row in changes)
    pages = {path.name for path in out.rglob("*.html")}
    assert pages >= {"index.html", "cohort.html", "comparison.html"}
    assert (out / "graded" / "joints.csv").is_file()


def test_neither_inputs_nor_pairs_is_code_2(home, tmp_path):
    found = facetgrade("compare", "-o", "out", home=home, cwd=tmp_path)
    assert (found.returncode, "give BASELINE" in found.stderr) == (2, True)


def test_a_table_of_pairs_takes_graded_folders(home, visits, tmp_path):
    graded = facetgrade(
        "grade", visits / "before", "-o", "graded", home=home, cwd=tmp_path
    )
    assert graded.returncode == 0
    table = tmp_path / "pairs.csv"
    table.write_text(f"pair,baseline,followup\nx,graded,{visits / 'after'}\n")
    found = facetgrade(
        "compare", "--pairs", table, "-o", "out", home=home, cwd=tmp_path
    )
    assert found.stderr == ""
    assert {row["pair"] for row in rows(tmp_path / "out")} == {"x"}

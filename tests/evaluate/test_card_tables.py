"""What scripts/card_tables.py prints of a benchmark."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "benchmark" / "joints.json"


def test_both_tables_have_a_line_for_each_kind_of_anatomy(tmp_path):
    rows = json.loads(SHIPPED.read_text())
    meshes = [one for one in rows if one["factors"]["group"] == "Visible Human"][:6]
    own = [one for one in rows if one["factors"]["group"] == "old and heavy"][::8]
    own = [one | {"grade": one["truth_grade"]} for one in own]
    (tmp_path / "joints.json").write_text(json.dumps(meshes + own))

    script = ROOT / "scripts" / "card_tables.py"
    ran = subprocess.run(
        [sys.executable, script, tmp_path / "joints.json", "--resamples", "5"],
        capture_output=True,
        text=True,
        check=True,
    )

    lines = [line.split(" | ") for line in ran.stdout.splitlines()]
    own_lines = [line for line in lines if line[0] == "| parametric, all groups"]
    assert [line[1] for line in own_lines] == [f"{len(own)} (6)", "100 % [100, 100]"]
    assert f"| all | {6 + len(own)} (7) | 100 %" in ran.stdout

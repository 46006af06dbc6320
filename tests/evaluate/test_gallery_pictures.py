"""What scripts/gallery_pictures.py takes out of a failure gallery."""

import base64
import subprocess
import sys
from pathlib import Path

from facetgrade.evaluate.page import Block, Picture, render

SCRIPT = Path(__file__).parents[2] / "scripts" / "gallery_pictures.py"
JOINTS = (("p1 L3-L4 left", "old"), ("p2 L4-L5 left", "old"), ("p3 L4-L5 right", "new"))


def block(title: str, group: str) -> Block:
    text = (
        "True grade 4, grade 2; center 0.9 mm off.",
        "perimeter fraction 0.76, measured 0.32.",
        f"group: {group}, lumbar vertebrae: 5, operated: no.",
    )
    picture = base64.b64encode(f"picture of {title}+/".encode()).decode()
    uri = f"data:image/jpeg;base64,{picture}"
    return Block(title, text, (), (Picture(uri, ""),))


def test_the_worst_joint_of_each_group_becomes_a_file(tmp_path):
    page = tmp_path / "failures.html"
    page.write_text(render("Gallery", "", [block(*one) for one in JOINTS], []))

    ran = subprocess.run(
        [sys.executable, SCRIPT, page], capture_output=True, text=True, check=True
    )

    pictures = sorted((tmp_path / "failures").iterdir())
    assert [one.name for one in pictures] == ["p1_L3-L4_left.jpg", "p3_L4-L5_right.jpg"]
    assert pictures[0].read_text() == "picture of p1 L3-L4 left+/"
    assert "measured 0.32. (old)" in ran.stdout
    assert f"]({tmp_path.name}/failures/p1_L3-L4_left.jpg)" in ran.stdout

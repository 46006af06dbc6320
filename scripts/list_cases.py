"""List simulated studies as a manifest of annotated cases, with masks or grades only.

Usage: list_cases.py FOLDER OUT.csv [--train N] [--grades-only] [--named TEXT]
       [--levels L3-L4,L4-L5]

FOLDER holds studies of `facetgrade simulate`; TEXT is a part of the names of those that
are wanted. The first N subjects are for training, the others are held out.
`list_cases.py data_samples data_samples/cases.csv --train 1 --named baseline` made
data_samples/cases.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

COLUMNS = [
    *("subject", "study", "source", "level", "side", "mask", "labels"),
    *("reader", "grade", "x_mm", "y_mm", "z_mm", "split"),
]


def main() -> None:
    """Read the truth of every study and write the manifest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=1)
    parser.add_argument("--grades-only", action="store_true")
    parser.add_argument("--named", default="")
    parser.add_argument("--levels", default="L3-L4,L4-L5")
    asked = parser.parse_args()
    found = sorted(path.parent.parent for path in asked.folder.rglob("truth.json"))
    studies = [study for study in found if asked.named in study.name]
    subjects = sorted({study.name.split("_")[0] for study in studies})
    rows = [
        row
        for study in studies
        for row in list_study(
            study,
            asked.out.parent,
            split="train"
            if study.name.split("_")[0] in subjects[: asked.train]
            else "test",
            levels=asked.levels.split(","),
            masks=not asked.grades_only,
        )
    ]
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{asked.out}: {len(rows)} rows of {len(studies)} studies")


def list_study(
    study: Path, base: Path, *, split: str, levels: list[str], masks: bool
) -> list[dict[str, Any]]:
    """Return the rows of one study."""
    truth = json.loads((study / "truth" / "truth.json").read_text())
    return [
        _row(study, base, joint, split=split, masks=masks)
        for joint in truth["joints"]
        if joint["level"] in levels
    ]


def _row(
    study: Path, base: Path, joint: dict[str, Any], *, split: str, masks: bool
) -> dict[str, Any]:
    """Return the row of one joint, with paths as seen from the manifest."""
    where = study.absolute().relative_to(base.absolute())
    x_mm, y_mm, z_mm = joint["center_lps_mm"]
    row = {
        "subject": study.name.split("_")[0],
        "study": study.name,
        "source": f"{where}/dicom",
        "level": joint["level"],
        "side": joint["side"],
        "reader": "truth",
        "grade": joint["grade"],
        "x_mm": f"{x_mm:.1f}",
        "y_mm": f"{y_mm:.1f}",
        "z_mm": f"{z_mm:.1f}",
        "split": split,
    }
    if masks:
        files = joint["masks"]
        names = [f"{where}/truth/{files[kind]}" for kind in ("structures", "lesions")]
        row |= {"mask": ";".join(names), "labels": "structures;lesions"}
    return row


if __name__ == "__main__":
    main()

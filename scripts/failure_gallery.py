"""Draw the joints that went most wrong in a benchmark, with the truth beside.

    python scripts/failure_gallery.py [-o PAGE] [--joints 12]
                                      [--benchmark DIR] [--simulated DIR]

Needs what scripts/benchmark.sh left in `out/`. Studies of the worst joints are graded
again; the page is models/benchmark/failures.html.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from facetgrade.config import read_config
from facetgrade.evaluate.gallery import gallery_page
from facetgrade.evaluate.provenance import made_text
from facetgrade.evaluate.rows import row_from_json
from facetgrade.inference import choose_device, load_models
from facetgrade.report.atomic import write_text


def main() -> None:
    """Draw the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("models/benchmark/failures.html")
    )
    parser.add_argument("--joints", type=int, default=12)
    parser.add_argument("--benchmark", type=Path, default=Path("out/benchmark"))
    parser.add_argument("--simulated", type=Path, default=Path("out/benchmark-studies"))
    options = parser.parse_args()
    rows = json.loads((options.benchmark / "joints.json").read_text("utf-8"))
    made = json.loads((options.benchmark / "benchmark.json").read_text("utf-8"))["made"]

    def folder_of(study: str) -> Path:
        patient, _, visit = study.partition("_")
        folders = sorted(options.simulated.glob(f"{patient}-*/*_{visit}"))
        return max(folders, key=lambda folder: folder.stat().st_mtime)

    config = read_config()
    page = gallery_page(
        [row_from_json(row) for row in rows],
        folder_of,
        load_models(config, choose_device("auto")),
        config,
        joints=options.joints,
        made=made_text(made),
    )
    write_text(options.out, page)
    print(f"page: {options.out}")


if __name__ == "__main__":
    main()

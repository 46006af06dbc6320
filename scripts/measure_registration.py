"""Say how far the registrations of a comparison are from the truth of its pairs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from facetgrade.compare.settings import CompareSettings
from facetgrade.config import read_shipped
from facetgrade.errors import FacetGradeError
from facetgrade.evaluate.registration import (
    direction_of_change,
    registration_errors,
    summarize_errors,
)
from facetgrade.report.atomic import write_json


def main() -> None:
    """Print medians and write every joint beside the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that `facetgrade compare` wrote")
    parser.add_argument("truth", type=Path, help="folder of the simulated studies")
    options = parser.parse_args()
    radius_mm = read_shipped(
        "configs/compare.toml", CompareSettings
    ).registration.error_radius_mm
    try:
        joints = registration_errors(options.out, options.truth, radius_mm=radius_mm)
        change = direction_of_change(options.out, options.truth)
    except FacetGradeError as error:
        sys.exit(str(error))
    summary = summarize_errors(joints)
    record = {
        "registration": summary,
        "change": change,
        "joints": [asdict(one) | {"joint": str(one.joint)} for one in joints],
    }
    write_json(options.out / "registration.json", record)
    print(f"registered joints: {summary['joints']}, trusted {summary['trusted']}")
    if summary["trusted"]:
        print(
            f"error, median: {summary['error_mm_median']:.2f} mm, "
            f"{summary['error_deg_median']:.2f} degrees; 95th percentile: "
            f"{summary['error_mm_p95']:.2f} mm, {summary['error_deg_p95']:.2f} degrees"
        )
    print(
        f"direction of change right in {change['direction_right']:.0%} of "
        f"{change['changed']} changed joints; unchanged in "
        f"{change['unchanged_right']:.0%} of {change['unchanged']} others"
    )


if __name__ == "__main__":
    main()

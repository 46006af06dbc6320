import csv
import math
from dataclasses import replace

import pytest

from facetgrade.anatomy import Level, Side
from facetgrade.findings import Flag, Interval, Reason, Ungradable
from facetgrade.report.tables import (
    COLUMNS,
    format_fraction,
    format_mm,
    format_probabilities,
    harmless_path,
    harmless_text,
    joint_rows,
    write_joints_csv,
)

PUBLISHED = (
    "source, study_uid, subject, study_date, level, side, status, reason, grade, p0, "
    "p1, p2, p3, p4, grade_set, x_mm, y_mm, z_mm, level_probability, effusion_mm3, "
    "effusion_width_mm, edema_mm3, soft_tissue_edema_mm3, marrow_edema_mm3, "
    "perimeter_fraction, perimeter_fraction_low, perimeter_fraction_high, extension, "
    "borderline, flags, series_used"
)


def rows_of(phantom, *outcomes):
    return joint_rows(phantom.report(outcomes))


def test_columns_are_those_published():
    assert ", ".join(COLUMNS) == PUBLISHED


def test_graded_row_is_written_in_full(phantom):
    (row,) = rows_of(phantom, phantom.outcomes()[7])

    assert list(row.values()) == [
        *("phantoms/ring_01", "1.2.3", "subj-9f3a61", "2024-05-17"),
        *("L4-L5", "right", "graded", "", "4"),
        *("0.000", "0.000", "0.020", "0.160", "0.820", "3;4"),
        # x: 4 - (16 + 3), y: 30 + 2 * 1, z: 70 - 3 * 35
        *("-15.0", "32.0", "-35.0", "0.970"),
        # 4000 * 0.81 = 3240, + 120 of marrow
        *("212.4", "2.3", "3360.0", "3240.0", "120.0"),
        *("0.810", "0.730", "0.880", "foramen", "0", "", "1.2.3.1;1.2.3.3;1.2.3.2"),
    ]


def test_without_fat_suppression_only_the_effusion_is_known(phantom):
    (row,) = rows_of(phantom, phantom.effusion_only(Level.L1_L2, Side.RIGHT))

    filled = {name for name, value in row.items() if value}
    assert filled == {
        *("source", "study_uid", "subject", "study_date", "level", "side", "status"),
        *("reason", "x_mm", "y_mm", "z_mm", "level_probability"),
        *("effusion_mm3", "effusion_width_mm", "borderline", "series_used"),
    }
    assert row["reason"] == "no-fat-suppression"


def test_edema_that_could_not_be_judged_is_not_called_zero(phantom):
    outcome = phantom.effusion_only(Level.L1_L2, Side.LEFT)
    zero = replace(outcome, extents=phantom.extents(0.0))

    (row,) = rows_of(phantom, zero)

    assert row["edema_mm3"] == row["perimeter_fraction"] == ""


def test_a_joint_that_was_not_found_still_has_its_row(phantom):
    (row,) = rows_of(phantom, phantom.not_found(Level.L2_L3, Side.RIGHT))

    assert [row[k] for k in ("level", "side", "status", "reason")] == [
        "L2-L3",
        "right",
        "ungradable",
        "not-found",
    ]
    assert row["x_mm"] == row["level_probability"] == row["effusion_mm3"] == ""


def test_position_is_written_for_a_located_joint_that_is_not_graded(phantom):
    (row,) = rows_of(phantom, phantom.level_assumed(Level.L5_S1, Side.LEFT))

    # 4 + 16 + 4, 30 + 2 * 4, 70 - 4 * 35
    assert (row["x_mm"], row["y_mm"], row["z_mm"]) == ("24.0", "38.0", "-70.0")
    assert row["flags"] == "level-assumed"
    assert row["grade"] == row["grade_set"] == row["p0"] == ""
    assert row["borderline"] == "0"


def test_flags_follow_the_published_order(phantom):
    flags = (Flag.MISSING_SLICES, Flag.CYST, Flag.LEVEL_ASSUMED)
    outcome = replace(phantom.outcomes()[0], flags=flags)

    (row,) = rows_of(phantom, outcome)

    assert row["flags"] == "level-assumed;cyst;missing-slices"


def test_rows_are_sorted_by_source_study_level_and_side(phantom, tmp_path):
    rows = joint_rows(phantom.report())
    other = [
        row | {"source": "a", "study_uid": uid} for uid in "21" for row in rows[:2]
    ]
    write_joints_csv(tmp_path / "joints.csv", [*reversed(rows), *other])

    with (tmp_path / "joints.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))

    keys = [(r["source"], r["study_uid"], r["level"], r["side"]) for r in read]
    assert keys[:5] == [
        ("a", "1", "L1-L2", "left"),
        ("a", "1", "L1-L2", "right"),
        ("a", "2", "L1-L2", "left"),
        ("a", "2", "L1-L2", "right"),
        ("phantoms/ring_01", "1.2.3", "L1-L2", "left"),
    ]
    assert keys == sorted(keys)


def test_the_file_has_a_header_commas_and_line_feeds(phantom, tmp_path):
    write_joints_csv(tmp_path / "joints.csv", joint_rows(phantom.report()))

    content = (tmp_path / "joints.csv").read_bytes()

    assert content.startswith(PUBLISHED.replace(", ", ",").encode() + b"\n")
    assert b"\r" not in content
    assert content.count(b"\n") == 1 + 10
    assert [p.name for p in tmp_path.iterdir()] == ["joints.csv"]


def test_an_empty_run_has_a_table_with_a_header(tmp_path):
    write_joints_csv(tmp_path / "joints.csv", [])

    assert (tmp_path / "joints.csv").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("study_1/dicom", "study_1/dicom"),
        ("-3/dicom", "./-3/dicom"),
        ("=1+1", "./=1+1"),
        ("@home.zip/inner", "./@home.zip/inner"),
        (" =cmd", "./ =cmd"),
        (".", "."),
        ("../=x", "../=x"),
        ("a\nb\t\x00", "a\ufffdb\ufffd\ufffd"),
        ("caf\udce9", "caf\ufffd"),
    ],
)
def test_a_path_cannot_be_run_as_a_formula(path, written):
    assert harmless_path(path) == written


def test_a_subject_cannot_be_run_as_a_formula():
    assert harmless_text("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert harmless_text("subj-1") == "subj-1"


def test_file_names_in_series_used_cannot_be_run_as_a_formula(phantom):
    outcome = replace(phantom.outcomes()[0], series_used=("=a.nii.gz", "b.nii.gz"))

    (row,) = rows_of(phantom, outcome)

    assert row["series_used"] == "./=a.nii.gz;b.nii.gz"


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.04, "0.0"), (12.25, "12.2"), (1e5, "100000.0"), (math.nan, ""), (None, "")],
)
def test_millimeters_have_one_decimal(value, text):
    assert format_mm(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.0, "1.000"), (math.inf, "")])
def test_fractions_have_three_decimals(value, text):
    assert format_fraction(value) == text


def test_written_probabilities_sum_to_one():
    # thousandths 166.6 five times and 167 once would sum to 0.999 or 1.002
    texts = format_probabilities([0.1666, 0.1666, 0.1666, 0.1666, 0.3336])

    assert sum(round(1000 * float(t)) for t in texts) == 1000
    assert all(
        abs(float(t) - p) < 1e-3 for t, p in zip(texts, [0.1666] * 4, strict=False)
    )


def test_the_most_probable_grade_stays_the_only_most_probable_one():
    # rounding would write 0.400 twice
    assert format_probabilities([0.1, 0.4004, 0.3996, 0.1, 0.0]) == [
        *("0.100", "0.401", "0.399", "0.100", "0.000")
    ]


def test_unknown_extents_are_empty(phantom):
    unknown = Interval(math.nan, math.nan, math.nan)
    outcome = Ungradable(
        joint=phantom.outcomes()[0].joint,
        reason=Reason.METAL,
        explanation="",
        extents=replace(phantom.extents(0.3), effusion_mm3=unknown),
    )

    (row,) = rows_of(phantom, outcome)

    assert row["effusion_mm3"] == ""
    assert row["perimeter_fraction"] == "0.300"

import math

import pytest

from facetgrade.report import StudyEntry
from facetgrade.report.cohort import modified_z_scores, summarize_cohort
from facetgrade.report.tables import COLUMNS


def joint(side="left", level="L4-L5", **values):
    return dict.fromkeys(COLUMNS, "") | {"level": level, "side": side, **values}


def study(name, *rows, **values):
    return StudyEntry(
        folder=f"studies/{name}",
        source=name,
        study_uid=name,
        content_sha256="",
        rows=rows,
        **values,
    )


def test_the_modified_z_score_is_that_of_the_handbook():
    # median 3, deviations 2 1 0 1 97, their median 1: 0.6745 * 97 / 1
    scores = modified_z_scores([1.0, 2.0, 3.0, 4.0, 100.0])
    assert scores == pytest.approx([-1.349, -0.6745, 0.0, 0.6745, 65.4265])


def test_values_that_do_not_vary_have_no_outlier():
    assert modified_z_scores([2.0, 2.0, 2.0, 9.0]) == [0.0] * 4


def test_grades_are_counted_by_level_and_side():
    cohort = summarize_cohort(
        [
            study("a", joint(grade="1"), joint("right", reason="metal")),
            study("b", joint(grade="1", borderline="1"), joint("right", grade="4")),
        ]
    )
    left, right = cohort.shares
    assert (left.side, left.counts, left.ungradable) == ("left", (0, 2, 0, 0, 0), 0)
    assert (right.side, right.counts, right.ungradable) == ("right", (0, 0, 0, 0, 1), 1)
    assert (cohort.joints, cohort.graded, cohort.borderline) == (4, 3, 1)
    assert cohort.reasons["metal"][0] == 1
    assert "Metal" in cohort.reasons["metal"][1]


def test_flags_are_counted_frequent_ones_first():
    rows = joint(flags="cyst;sagittal-only"), joint(flags="sagittal-only")
    assert list(summarize_cohort([study("a", *rows)]).flags) == [
        "sagittal-only",
        "cyst",
    ]


def test_the_time_of_a_study_is_the_median():
    studies = [study(str(s), joint(), stage_seconds={"read": s}) for s in (1, 2, 9)]
    assert summarize_cohort(studies).seconds == 2
    assert math.isnan(summarize_cohort([]).seconds)


def test_a_volume_far_from_all_others_is_an_outlier():
    # 19 volumes from 100 to 118 mm3 and one of 10 litres
    volumes = [*map(str, range(100, 119)), "10000000"]
    studies = [study(v, joint(effusion_mm3=v)) for v in volumes]
    (outlier,) = summarize_cohort(studies).outliers
    assert (outlier.study.source, outlier.value) == ("10000000", 1e7)
    assert outlier.typical == pytest.approx(109.5)


def test_a_mirrored_pair_of_joints_is_an_outlier():
    studies = [
        study(str(k), joint("left", x_mm=f"{20 + k / 10}"), joint("right", x_mm="-20"))
        for k in range(20)
    ]
    swapped = study("swapped", joint("left", x_mm="-20"), joint("right", x_mm="20"))
    (outlier,) = summarize_cohort([*studies, swapped]).outliers
    assert (outlier.study.source, outlier.value) == ("swapped", -40.0)


def test_few_values_have_no_outliers():
    studies = [study(v, joint(effusion_mm3=v)) for v in ("1", "2", "100000")]
    assert summarize_cohort(studies).outliers == ()

import pytest

from facetgrade.anatomy import Level, Side
from facetgrade.evaluate.readers import evaluate_tables
from facetgrade.evaluate.summary import Bootstrap
from facetgrade.evaluate.tables import (
    TableError,
    read_grades,
    read_predictions,
)

BOOTSTRAP = Bootstrap(resamples=50, seed=1, coverage=0.95)
JOINTS = """source,study_uid,subject,study_date,level,side,status,reason,grade,\
p0,p1,p2,p3,p4,grade_set
a,1.1,s1,2024-01-01,L3-L4,left,graded,,0,0.9,0.1,0,0,0,0
a,1.1,s1,2024-01-01,L4-L5,right,graded,,4,0,0,0,0.2,0.8,3;4
b,1.2,s1,2025-01-01,L4-L5,right,graded,,2,0,0.1,0.6,0.2,0.1,1;2
c,1.3,s2,2024-02-01,L4-L5,right,ungradable,metal,,,,,,,
"""
GRADES = """source,level,side,reader,grade
a,L3-L4,left,ann,1
a,L4-L5,right,ann,4
b,L4-L5,right,ann,2
c,L4-L5,right,ann,3
a,L4-L5,right,bob,3
c,L4/5,R,bob,3
z,L4-L5,right,bob,2
"""


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def evaluate(tmp_path, joints=JOINTS, grades=GRADES):
    return evaluate_tables(
        write(tmp_path, "joints.csv", joints),
        write(tmp_path, "grades.csv", grades),
        bootstrap=BOOTSTRAP,
    )


def test_agreement_is_given_for_each_reader_and_pooled(tmp_path):
    result = evaluate(tmp_path)

    # ann: 0 vs 1, 4 = 4, 2 = 2, ungradable vs 3; bob: 4 vs 3, ungradable vs 3
    ann = result["readers"]["ann"]["agreement"]
    assert ann["exact"]["value"] == pytest.approx(2 / 4)
    assert ann["within_one"]["value"] == pytest.approx(3 / 4)
    assert result["readers"]["bob"]["agreement"]["exact"]["value"] == 0.0
    assert result["pooled"]["agreement"]["exact"]["value"] == pytest.approx(
        2 / 6, abs=1e-6
    )
    assert result["pooled"]["agreement"]["exact"]["patients"] == 2


def test_a_grade_without_a_predicted_joint_is_named(tmp_path):
    result = evaluate(tmp_path)

    assert result["unmatched"] == ["line 8: z L4-L5 right (bob)"]
    assert result["counts"]["grades_matched"] == 6


def test_readers_are_compared_on_the_joints_that_both_graded(tmp_path):
    (between,) = evaluate(tmp_path)["between_readers"]

    assert (between["first"], between["second"]) == ("ann", "bob")
    assert between["agreement"]["exact"]["value"] == pytest.approx(1 / 2)


def test_change_is_judged_between_the_dates_of_one_subject(tmp_path):
    change = evaluate(tmp_path)["readers"]["ann"]["change"]

    assert change["counts"] == {"pairs": 1, "changed": 1}
    assert change["change"]["direction_right"]["value"] == 1.0


def test_study_uid_finds_the_study_without_a_source(tmp_path):
    result = evaluate(tmp_path, grades="study_uid,level,side,grade\n1.1,L3-L4,left,0\n")

    assert result["readers"]["reference"]["agreement"]["exact"]["value"] == 1.0


def test_a_source_with_several_studies_needs_the_study_uid(tmp_path):
    joints = JOINTS + "a,1.9,s1,2026-01-01,L3-L4,left,graded,,0,,,,,,\n"

    with pytest.raises(TableError, match=r"grades.csv, line 2: 'a' holds several"):
        evaluate(tmp_path, joints=joints)


def test_an_empty_grade_of_a_reader_is_left_out(tmp_path):
    result = evaluate(
        tmp_path, grades="source,level,side,grade\na,L3-L4,left,\na,L4-L5,right,4\n"
    )

    counts = result["pooled"]["counts"]
    assert counts["truth_gradable"] == 1
    assert counts["graded_where_truth_ungradable"] == 1
    assert result["pooled"]["agreement"]["exact"]["value"] == 1.0


def test_levels_and_sides_may_be_abbreviated(tmp_path):
    (row,) = read_grades(
        write(tmp_path, "g.csv", "source,level,side,grade\na,l5/s1,R,2\n")
    )

    assert (row.joint.level, row.joint.side) == (Level.L5_S1, Side.RIGHT)


def test_predictions_keep_probabilities_and_sets(tmp_path):
    joints = read_predictions(write(tmp_path, "joints.csv", JOINTS))

    assert joints[1].probabilities == (0.0, 0.0, 0.0, 0.2, 0.8)
    assert joints[1].grade_set == (3, 4)
    assert joints[3].probabilities == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,level,side\n", "line 1: no column grade"),
        ("level,side,grade\n", "line 1: no column source or study_uid"),
        ("source,level,side,grade\na,L4-L5,left,5\n", "line 2: grade must be 0-4"),
        ("source,level,side,grade\na,L4-L6,left,1\n", "got 'L4-L6' and 'left'"),
        ("source,level,side,grade\na,L4-L5,up,1\n", "got 'L4-L5' and 'up'"),
        ("source,level,side,grade\n,L4-L5,left,1\n", "neither source nor study_uid"),
        (
            "source,level,side,grade\na,L4-L5,left,1\na,L4-L5,left,1\n",
            "line 3: L4-L5 left of a is twice for reference",
        ),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(TableError, match=message):
        read_grades(write(tmp_path, "grades.csv", text))


def test_a_spreadsheet_file_is_refused(tmp_path):
    path = tmp_path / "grades.csv"
    path.write_bytes(b"PK\x03\x04\xff\xfe")

    with pytest.raises(TableError, match="not UTF-8 text; export it as CSV"):
        read_grades(path)


def test_a_joint_predicted_twice_is_refused(tmp_path):
    twice = JOINTS + JOINTS.splitlines()[1] + "\n"

    with pytest.raises(TableError, match="L3-L4 left of a is twice"):
        read_predictions(write(tmp_path, "joints.csv", twice))


def test_calibration_is_over_graded_joints_with_a_true_grade(tmp_path):
    calibration = evaluate(tmp_path)["readers"]["ann"]["calibration"]

    # sets 0, 3;4 and 1;2 against 1, 4 and 2; the ungradable joint has none
    assert calibration["counts"]["joints"] == 3
    assert calibration["calibration"]["coverage"]["value"] == pytest.approx(
        2 / 3, abs=1e-6
    )


def test_tables_without_probabilities_have_no_calibration(tmp_path):
    joints = "source,level,side,grade\na,L3-L4,left,0\n"
    result = evaluate(tmp_path, joints=joints)

    assert result["readers"]["ann"]["calibration"]["calibration"] == {}


def test_grades_of_other_studies_are_refused(tmp_path):
    with pytest.raises(TableError, match="none of 1 grades names a joint"):
        evaluate(tmp_path, grades="source,level,side,grade\nelsewhere,L3-L4,left,1\n")

import json

import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.train.manifest import ManifestError, read_manifest

HEADER = "subject,source,level,side,mask,labels,reader,grade,x_mm,y_mm,z_mm,split\n"
ROW = (
    "P1,study/a,L4-L5,right,m/a.nii.gz;m/b.nii.gz,structures;lesions,R1,3,"
    "-16,40.5,-30,train\n"
)


def write(folder, text, name="cases.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_row_names_joint_masks_reader_grade_and_center(tmp_path):
    (row,) = read_manifest(write(tmp_path, HEADER + ROW)).rows

    assert row.joint == FacetJoint(Level.L4_L5, Side.RIGHT)
    assert row.masks == (tmp_path / "m/a.nii.gz", tmp_path / "m/b.nii.gz")
    assert row.schemes == ("structures", "lesions")
    assert (row.reader, row.grade, row.split) == ("R1", 3, "train")
    assert row.center_lps_mm == (-16.0, 40.5, -30.0)
    assert row.study == "study/a"


def test_json_rows_may_hold_lists_and_numbers(tmp_path):
    rows = [
        {"subject": "P1", "source": "a", "level": "L3-L4", "side": "left", "grade": 0},
        {
            "subject": "P1",
            "source": "a",
            "level": "L4-L5",
            "side": "left",
            "mask": ["x.nii.gz", "y.dcm"],
            "annotated": ["effusion", "soft-tissue-edema"],
        },
    ]

    first, second = read_manifest(write(tmp_path, json.dumps(rows), "cases.json")).rows

    assert first.grade == 0
    assert second.schemes == ("study", "study")
    assert second.annotated == {"effusion", "soft_tissue_edema"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("P1,a,L9-L9,left,m.nii,,,,,,,", "row 1: 'L9-L9' is not a valid Level"),
        ("P1,a,L4-L5,left,,,,,,,,", "neither a mask nor a grade"),
        ("P1,a,L4-L5,left,,,,7,,,,", "grade '7'"),
        ("P1,a,L4-L5,left,,,,1,1,2,,", "three numbers"),
        ("P1,a,L4-L5,left,,,,1,,,,dev", "split 'dev'"),
        ("P1,a,L4-L5,left,m.nii,bones,,,,,,", "labels 'bones'"),
        (",a,L4-L5,left,m.nii,,,,,,,", "subject is empty"),
    ],
)
def test_an_impossible_cell_is_named_with_its_row(tmp_path, row, problem):
    with pytest.raises(ManifestError, match=problem):
        read_manifest(write(tmp_path, HEADER + row + "\n"))


def test_unknown_and_missing_columns_are_named(tmp_path):
    with pytest.raises(ManifestError, match="unknown column sid"):
        read_manifest(write(tmp_path, "subject,source,level,side,sid\n"))
    with pytest.raises(ManifestError, match="column side is missing"):
        read_manifest(write(tmp_path, "subject,source,level\n"))

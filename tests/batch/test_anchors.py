import pytest

from facetgrade.batch.anchors import Anchors, parse_anchor, read_anchors
from facetgrade.errors import ConfigError

HEADER = "source,level,x_mm,y_mm,z_mm\n"


def write(folder, text):
    path = folder / "anchors.csv"
    path.write_text(text)
    return path


def test_an_anchor_is_a_vertebra_and_a_point():
    assert parse_anchor("L5=1.5,-20,310") == ("L5", (1.5, -20.0, 310.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L5", "anchor must look like"),
        ("L5=1,2", "anchor must look like"),
        ("L9=1,2,3", "'L9' is no vertebra"),
        ("L5=1,b,3", "must be three numbers"),
        ("L5=1,nan,3", "must be finite"),
    ],
)
def test_a_wrong_anchor_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_anchor(text)


def test_a_table_gives_anchors_by_source(tmp_path):
    rows = "a/b,L5,1,2,3\na/b,S1,1,2,-30\n./c,L4,0,0,0\n"
    anchors = read_anchors(write(tmp_path, HEADER + rows))
    assert anchors == {
        "a/b": {"L5": (1.0, 2.0, 3.0), "S1": (1.0, 2.0, -30.0)},
        "c": {"L4": (0.0, 0.0, 0.0)},
    }


def test_a_table_without_a_column_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no column z_mm"):
        read_anchors(write(tmp_path, "source,level,x_mm,y_mm\n"))


def test_a_wrong_row_is_named_by_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"line 3: coordinates must be three"):
        read_anchors(write(tmp_path, HEADER + "a,L5,1,2,3\na,L4,1,2\n"))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read"):
        read_anchors(tmp_path / "none.csv")


def test_anchors_for_one_study_refuse_several():
    anchors = Anchors(only_study={"L5": (0.0, 0.0, 0.0)})
    anchors.check(["a"])
    with pytest.raises(ConfigError, match="for one study and 2 were found"):
        anchors.check(["a", "b"])


def test_an_unknown_source_is_refused():
    anchors = Anchors(by_source={"c": {"L5": (0.0, 0.0, 0.0)}})
    with pytest.raises(ConfigError, match="'c', which 0 of the studies have"):
        anchors.check(["a", "b"])


def test_each_study_gets_its_own_anchors():
    anchors = Anchors(by_source={"a": {"L5": (1.0, 2.0, 3.0)}})
    assert anchors.of("a") == {"L5": (1.0, 2.0, 3.0)}
    assert anchors.of("b") == {}

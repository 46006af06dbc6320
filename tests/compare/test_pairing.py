import pytest

from facetgrade.compare.pairing import (
    Examination,
    name_pair,
    pair_by_date,
    pair_by_subject,
)
from facetgrade.compare.pairs_table import read_pairs
from facetgrade.errors import ConfigError


def examination(key, subject="", date=""):
    return Examination(key=key, source=key, subject=subject, date=date)


def test_a_subject_is_paired_by_date():
    found = pair_by_date(
        [
            examination("late", "P1", "2021-05-01"),
            examination("early", "P1", "2020-05-01"),
            examination("other", "P2", "2020-05-01"),
        ]
    )
    (pair,) = found.pairs
    assert (pair.name, pair.baseline.key, pair.followup.key) == ("P1", "early", "late")
    (left,) = found.unpaired
    assert (left.sources, left.obstacle.reason) == (
        ("other",),
        "only-one-examination",
    )


@pytest.mark.parametrize(
    ("examinations", "reason"),
    [
        ([("a", "P1", ""), ("b", "P1", "2020-01-01")], "no-study-date"),
        ([("a", "P1", "2020-01-01"), ("b", "P1", "2020-01-01")], "same-study-date"),
        ([("a", "P1", "365"), ("b", "P1", "2020-01-01")], "no-study-date"),
        ([("a", "", "2020-01-01")], "no-subject"),
    ],
)
def test_without_subject_or_order_nothing_is_paired(examinations, reason):
    found = pair_by_date([examination(*one) for one in examinations])
    assert found.pairs == ()
    assert [one.obstacle.reason for one in found.unpaired] == [reason]


def test_the_middle_of_three_examinations_is_left_over():
    dates = ("2020-01-01", "2020-06-01", "2021-01-01")
    found = pair_by_date([examination(date, "P1", date) for date in dates])
    assert (found.pairs[0].baseline.key, found.pairs[0].followup.key) == (
        dates[0],
        dates[2],
    )
    assert found.unpaired[0].sources == (dates[1],)


def test_masked_dates_are_ordered_as_numbers_of_days():
    found = pair_by_date([examination(day, "P1", day) for day in ("0", "365", "90")])
    (pair,) = found.pairs
    assert (pair.baseline.key, pair.followup.key) == ("0", "365")


def test_two_single_examinations_are_a_pair_whatever_their_subject():
    found = pair_by_subject([examination("a")], [examination("b")])
    assert [pair.name for pair in found.pairs] == ["1"]


def test_two_groups_are_paired_by_subject():
    found = pair_by_subject(
        [examination("a1", "A"), examination("b1", "B")],
        [examination("b2", "B"), examination("c2", "C")],
    )
    assert [(p.name, p.baseline.key, p.followup.key) for p in found.pairs] == [
        ("B", "b1", "b2")
    ]
    assert {one.sources for one in found.unpaired} == {("a1",), ("c2",)}


@pytest.mark.parametrize(
    ("name", "subject", "expected"),
    [("7", "", ("7", "P1")), ("", "", ("P1", "P1")), ("", "X", ("X", "X"))],
)
def test_a_pair_is_named_as_given_or_after_the_subject(name, subject, expected):
    pair = name_pair(name, subject, examination("a", "P1"), examination("b", "P1"))
    assert (pair.name, pair.subject) == expected


def write(folder, text):
    for name in ("a", "b"):
        (folder / name).mkdir()
    path = folder / "pairs.csv"
    path.write_text(text)
    return path


def test_pairs_are_read_with_paths_from_the_folder_of_the_table(tmp_path):
    path = write(tmp_path, "pair,baseline,followup\nfirst,a,b\n")
    (pair,) = read_pairs(path)
    assert (pair.pair, pair.subject) == ("first", "")
    assert (pair.baseline, pair.followup) == (tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("baseline\na\n", "no column followup"),
        ("pair,baseline,followup,date\n1,a,b,x\n", "unknown column date"),
        ("pair,baseline,followup\n1,a,none\n", "line 2: none does not exist"),
        ("pair,baseline,followup\n1,,b\n", "line 2: no baseline"),
        ("pair,baseline,followup\n1,a,b\n1,b,a\n", "pair 1 is listed more than once"),
        ("pair,baseline,followup\n", "no pair is listed"),
    ],
)
def test_an_impossible_table_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_pairs(write(tmp_path, text))

import pytest

from facetgrade.errors import ConfigError
from facetgrade.review.charter import read_charter
from facetgrade.review.errors import NotAllowedError
from facetgrade.review.planning import plan_items
from facetgrade.review.records import Purpose, Visit


@pytest.fixture
def cases(review):
    return [review.case(k) for k in range(40)]


def lists(items):
    """Cases and visits of each reader, in order."""
    found = {}
    for item in items:
        found.setdefault(item.reader, []).append((item.case_id, item.visits))
    return found


def test_the_shipped_charter_can_be_read():
    assert read_charter().reading == "paired"


def test_every_reader_has_an_order_of_his_own_that_the_seed_repeats(review, cases):
    plans = [
        lists(plan_items(cases, review.charter(seed=seed), batch=0, taken=0))
        for seed in (1, 1, 2)
    ]

    assert plans[0] == plans[1]
    assert plans[0]["ann"] != plans[2]["ann"]
    assert [case for case, _ in plans[0]["ann"]] != [c for c, _ in plans[0]["bob"]]
    assert sorted(c for c, _ in plans[0]["ann"]) == sorted(c.case_id for c in cases)


def test_masked_time_order_shows_either_visit_first_about_equally(review, cases):
    items = plan_items(cases, review.charter(), batch=0, taken=0)

    first = [item.visits[0] for item in items if item.reader == "ann"]

    # 40 fair draws: fewer than 10 of either has a probability below 0.001.
    assert min(first.count(visit) for visit in (Visit.BASELINE, Visit.FOLLOWUP)) >= 10


def test_shown_time_order_always_begins_with_the_baseline(review, cases):
    items = plan_items(cases, review.charter(time_order="shown"), batch=0, taken=0)

    assert {item.visits[0] for item in items} == {Visit.BASELINE}


def test_repeats_come_after_all_first_reads(review, cases):
    rules = review.charter(repeats={"share": 0.1, "washout_days": 0.0})

    items = [i for i in plan_items(cases, rules, batch=0, taken=0) if i.reader == "ann"]

    # 10 % of 40 cases.
    purposes = [item.purpose for item in items]
    assert purposes == [Purpose.READ] * 40 + [Purpose.REPEAT] * 4


def test_item_names_say_nothing_of_the_case(review, cases):
    items = plan_items(cases, review.charter(), batch=0, taken=0)

    assert len({item.item_id for item in items}) == len(items)
    assert not any(item.case_id in item.item_id for item in items)


def test_a_begun_review_refuses_another_charter(open_review, review):
    store = open_review()
    store.begin(review.charter(), [review.case(1)], review.SYSTEM)

    with pytest.raises(NotAllowedError, match="fixed before the first read"):
        store.begin(review.charter(seed=8), [review.case(1)], review.SYSTEM)


def test_new_cases_are_added_behind_the_known_ones(open_review, review):
    store = open_review()
    store.begin(review.charter(), [review.case(1)], review.SYSTEM)
    known = store.work_list("ann")

    store.begin(review.charter(), [review.case(1), review.case(2)], review.SYSTEM)

    later = store.work_list("ann")
    assert later[:1] == known
    assert [item.position for item in later] == [1, 2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('time_order = "hidden"', "time_order"),
        ("seed = -1", "seed"),
        ('order = "random"', "unknown key order"),
        ("levels = []", "levels"),
    ],
)
def test_a_wrong_charter_is_refused_with_its_key(tmp_path, line, message):
    from facetgrade.config_files import shipped_path

    text = shipped_path("configs/charter.toml").read_text()
    key = line.split(" = ")[0]
    lines = [one for one in text.splitlines() if not one.startswith(f"{key} = ")]
    path = tmp_path / "charter.toml"
    path.write_text("\n".join([line, *lines]))

    with pytest.raises(ConfigError, match=message):
        read_charter(path)


def test_a_rule_of_adjudication_needs_an_adjudicator(review):
    with pytest.raises(ValueError, match="needs an adjudicator"):
        review.charter(people={"ann": "reader", "bob": "reader"})

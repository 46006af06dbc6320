import pytest

from facetgrade.errors import ConfigError
from facetgrade.review.database import READY_CONNECTIONS, open_database
from facetgrade.review.errors import (
    KeyReusedError,
    LockedError,
    NotAllowedError,
    NotFoundError,
)
from facetgrade.review.records import (
    AFTER_FIRST_READ,
    Basis,
    Finding,
    Purpose,
    Visit,
)


@pytest.fixture
def begun(open_review, review):
    """Begin a review by its charter; gives the store."""

    def run(cases=2, clock=None, **changes):
        store = open_review(**({"clock": clock} if clock else {}))
        listed = [review.case(k) for k in range(cases)]
        store.begin(review.charter(**changes), listed, review.SYSTEM)
        return store

    return run


def test_a_read_is_locked_with_the_visits_that_its_slots_showed(begun, review):
    store = begun()
    item = store.work_list("ann")[0]
    grades = {Visit.BASELINE: 3, Visit.FOLLOWUP: 1}

    record = store.submit(review.submission(item, grades=grades), review.origin("ann"))

    assert record.finding_at(Visit.BASELINE).grade == 3
    assert record.finding_at(Visit.FOLLOWUP).grade == 1
    assert store.reads(reader="ann") == (record,)
    assert store.item(item.item_id, "ann").locked == {review.LEFT}


def test_the_same_key_returns_the_same_read(begun, review):
    store = begun()
    submission = review.submission(store.work_list("ann")[0])

    first = store.submit(submission, review.origin("ann"))
    again = store.submit(submission, review.origin("ann"))

    assert again == first
    assert len(store.reads()) == 1


def test_a_key_is_not_taken_for_another_content(begun, review):
    store = begun()
    item = store.work_list("ann")[0]
    store.submit(review.submission(item, key="k"), review.origin("ann"))

    with pytest.raises(KeyReusedError, match="make a new key"):
        store.submit(review.submission(item, grades=2, key="k"), review.origin("ann"))


def test_a_second_read_needs_a_reason_and_the_first_one_stays(begun, review):
    store = begun()
    item = store.work_list("ann")[0]
    first = store.submit(review.submission(item), review.origin("ann"))

    with pytest.raises(LockedError, match="a correction needs a reason"):
        store.submit(review.submission(item, grades=2), review.origin("ann"))
    second = store.submit(
        review.submission(item, grades=2, correction_reason="wrong key"),
        review.origin("ann"),
    )

    assert second.replaces == first.read_id
    assert second.ai_visible
    assert not first.ai_visible
    assert store.reads() == (first, second)
    assert store.current_reads() == (second,)


def test_a_reader_cannot_read_the_item_of_another(begun, review):
    store = begun()
    item = store.work_list("ann")[0]

    with pytest.raises(NotFoundError, match="no such item in your work list"):
        store.submit(review.submission(item), review.origin("bob"))


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        ((Finding(slot="A", grade=1),), "a finding is needed for each"),
        ((Finding(slot="A", grade=5), Finding(slot="B", grade=1)), "grades are 0-4"),
        (
            (Finding(slot="A", grade=None), Finding(slot="B", grade=1)),
            "needs a reason",
        ),
    ],
)
def test_impossible_findings_are_refused(begun, review, findings, message):
    store = begun(cases=1)
    item = store.work_list("ann")[0]

    with pytest.raises(NotAllowedError, match=message):
        store.submit(review.submission(item, findings=findings), review.origin("ann"))
    assert store.reads() == ()


def test_text_that_a_database_cannot_hold_is_cleaned(begun, review):
    store = begun(cases=1)
    item = store.work_list("ann")[0]

    record = store.submit(
        review.submission(item, comment="a\0b\ud800"), review.origin("ann")
    )

    assert record.submission.comment == "a b\ufffd"


def test_facetgrade_is_seen_only_after_the_lock(begun, review):
    store = begun(cases=1)
    item = store.work_list("ann")[0]

    assert store.visible_ai(item) == ()
    store.submit(review.submission(item, review.LEFT), review.origin("ann"))
    seen = store.visible_ai(store.item(item.item_id, "ann"))

    assert {one.joint for one in seen} == {review.LEFT}


def test_a_repeat_waits_for_the_first_read_and_the_washout(begun, review):
    clock = review.SlowClock()
    store = begun(cases=1, clock=clock, repeats={"share": 1.0, "washout_days": 14.0})
    first, repeat = store.work_list("ann")
    assert (first.purpose, repeat.purpose) == (Purpose.READ, Purpose.REPEAT)
    assert repeat.available_from == AFTER_FIRST_READ

    for joint in first.joints:
        store.submit(review.submission(first, joint), review.origin("ann"))
    with pytest.raises(NotAllowedError, match="may be read from 2026-04-15"):
        store.submit(review.submission(repeat), review.origin("ann"))
    clock.wait(days=14.1)

    assert store.submit(review.submission(repeat), review.origin("ann"))


def test_an_adjudicator_gets_the_joints_on_which_all_readers_differ(begun, review):
    store = begun(cases=1)
    assert store.work_list("judy") == ()
    ann, bob = store.work_list("ann")[0], store.work_list("bob")[0]
    for joint in (review.LEFT, review.RIGHT):
        store.submit(review.submission(ann, joint, 1), review.origin("ann"))
    store.submit(review.submission(bob, review.LEFT, 1), review.origin("bob"))
    grades = {Visit.BASELINE: 1, Visit.FOLLOWUP: 2}
    store.submit(review.submission(bob, review.RIGHT, grades), review.origin("bob"))

    (item,) = store.work_list("judy")

    assert item.joints == (review.RIGHT,)
    store.submit(review.submission(item, review.RIGHT, 4), review.origin("judy"))
    found = {(r.joint, r.visit): (r.grade, r.basis) for r in store.results()}
    assert found[review.LEFT, Visit.BASELINE] == (1, Basis.AGREED)
    assert found[review.RIGHT, Visit.BASELINE] == (1, Basis.AGREED)
    assert found[review.RIGHT, Visit.FOLLOWUP] == (4, Basis.ADJUDICATED)


def test_a_difference_of_one_grade_may_be_left_to_the_rule(begun, review):
    rule = {"rule": "more-than-one-grade", "minor_difference": "lower"}
    store = begun(cases=1, adjudication=rule)
    for reader, grade in (("ann", 3), ("bob", 2)):
        item = store.work_list(reader)[0]
        store.submit(review.submission(item, review.LEFT, grade), review.origin(reader))

    result = store.results()[0]

    assert (result.grade, result.basis) == (2, Basis.MINOR_DIFFERENCE)
    assert store.work_list("judy") == ()


def test_an_ungradable_joint_and_a_grade_always_differ(begun, review):
    store = begun(cases=1, adjudication={"rule": "more-than-one-grade"})
    for reader, grade in (("ann", 3), ("bob", None)):
        item = store.work_list(reader)[0]
        store.submit(review.submission(item, review.LEFT, grade), review.origin(reader))

    assert store.work_list("judy")[0].joints == (review.LEFT,)


@pytest.mark.parametrize(("view", "seen"), [("blind", 0), ("sees-both", 2)])
def test_an_adjudicator_sees_both_reads_only_by_charter(begun, review, view, seen):
    store = begun(cases=1, adjudication={"view": view})
    grades = {"ann": {v: k for k, v in enumerate(list(Visit)[:2])}, "bob": 4}
    for reader, given in grades.items():
        item = store.work_list(reader)[0]
        store.submit(review.submission(item, review.LEFT, given), review.origin(reader))
    (item,) = store.work_list("judy")

    peers = store.peer_findings(item, review.LEFT)

    assert len(peers) == seen
    if seen:
        # Baseline was 0 and follow-up 1 to ann, whatever her slots were.
        by_ann = next(p for p in peers if p[0].grade != 4)
        assert {item.visit_of(f.slot): f.grade for f in by_ann} == {
            Visit.BASELINE: 0,
            Visit.FOLLOWUP: 1,
        }


def test_a_mask_is_kept_once_per_key_with_its_grid(begun, review, mask_of_one_voxel):
    store = begun(cases=1)
    item = store.work_list("ann")[0]

    first = store.save_mask(mask_of_one_voxel(item), review.origin("ann"))
    again = store.save_mask(mask_of_one_voxel(item), review.origin("ann"))

    assert again == first
    assert store.masks(reader="ann") == (first,)
    assert first.visit is item.visits[0]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:secret@localhost/db",
        "postgresql://ann@localhost/db?password=secret",
    ],
)
def test_a_password_in_the_address_is_refused_without_repeating_it(address):
    with pytest.raises(ConfigError, match="--db-password-file") as caught:
        open_database(address)
    assert "secret" not in str(caught.value)


def test_connections_are_open_before_the_first_reader_comes(database):
    url, password_file = database

    engine = open_database(url, password_file=password_file)

    assert engine.pool.checkedin() == READY_CONNECTIONS
    engine.dispose()

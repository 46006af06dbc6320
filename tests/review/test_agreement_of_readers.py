import csv
import json

import numpy as np
import pytest

from facetgrade.review.agreement import (
    Comparison,
    GradePair,
    Kind,
    adjudication_rate,
    compare_grades,
)
from facetgrade.review.export import write_export
from facetgrade.review.records import Basis, Visit

CASES = 12


def grade_of(reader):
    """Grades of a reader: mostly one truth, sometimes another, rarely none."""

    def grade(case_id, visit, joint):
        number = 4 * int(case_id[4:]) + 2 * list(Visit).index(visit)
        number += joint.side == "right"
        truth = (number * 7) % 5
        draw = np.random.default_rng([number, sum(map(ord, reader))]).random()
        if draw < 0.05:
            return None
        return int(np.clip(truth + (draw > 0.7) - (draw > 0.9) * 2, 0, 4))

    return grade


@pytest.fixture(scope="module")
def exported(review, tmp_path_factory):
    """Folder of the export of a review that two readers and an adjudicator read."""
    from facetgrade.review.store import open_store

    out = tmp_path_factory.mktemp("agreement")
    store = open_store(
        f"sqlite:///{out / 'r.sqlite'}", key_file=out / "key", head_file=out / "head"
    )
    rules = review.charter(repeats={"share": 0.5, "washout_days": 0.0})
    ai = [
        {
            (visit, joint): grade_of("ai")(f"case{k}", visit, joint)
            for visit in list(Visit)[:2]
            for joint in review.JOINTS
        }
        for k in range(CASES)
    ]
    cases = [review.case(k, ai=ai[k]) for k in range(CASES)]
    store.begin(rules, cases, review.SYSTEM)
    for reader in ("ann", "bob", "judy"):
        review.read_all(store, reader, grade_of(reader))
    write_export(store, out, with_agreement=True)
    yield out
    store.close()


@pytest.fixture(scope="module")
def comparisons(exported):
    record = json.loads((exported / "agreement.json").read_text())
    return {(c["kind"], c["first"], c["second"]): c for c in record["comparisons"]}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def graded(rows, column="grade"):
    """Grades by joint and visit; ungradable ones are left out."""
    return {
        (row["case"], row["visit"], row["level"], row["side"]): int(row[column])
        for row in rows
        if row[column]
    }


def columns_of(exported, kind, first, second):
    """The two columns of a comparison, from the CSV files alone."""
    reads = [r for r in table(exported / "reads.csv") if r["current"] == "yes"]
    results = [
        r for r in table(exported / "results.csv") if r["basis"] != Basis.PENDING
    ]

    def of(name, purpose):
        if name == "result":
            return graded(results)
        if name == "facetgrade":
            return graded(results, "ai_grade")
        mine = [r for r in reads if r["reader"] == name and r["purpose"] == purpose]
        return graded(mine)

    one = of(first, "read")
    other = of(second, "repeat" if kind == Kind.REPEAT else "read")
    places = sorted(set(one) & set(other))
    return [one[p] for p in places], [other[p] for p in places], places


WANTED = [
    (Kind.READERS, "ann", "bob"),
    (Kind.RESULT, "result", "ann"),
    (Kind.AI, "bob", "facetgrade"),
    (Kind.AI_RESULT, "result", "facetgrade"),
    (Kind.REPEAT, "ann", "ann"),
]


@pytest.mark.parametrize(("kind", "first", "second"), WANTED)
def test_agreement_equals_scikit_learn_computed_from_the_export(
    exported, comparisons, kind, first, second
):
    metrics = pytest.importorskip("sklearn.metrics")
    one, other, _ = columns_of(exported, kind, first, second)

    section = comparisons[kind.value, first, second]["pooled"]

    found = {name: entry["value"] for name, entry in section["agreement"].items()}
    labels = list(range(5))
    linear = metrics.cohen_kappa_score(one, other, weights="linear", labels=labels)
    quadratic = metrics.cohen_kappa_score(
        one, other, weights="quadratic", labels=labels
    )
    assert found["kappa_linear"] == pytest.approx(linear, abs=1e-6)
    assert found["kappa_quadratic"] == pytest.approx(quadratic, abs=1e-6)
    exact = metrics.accuracy_score(one, other)
    assert found["exact_graded"] == pytest.approx(exact, abs=1e-6)
    near = np.mean(np.abs(np.subtract(one, other)) <= 1)
    assert found["within_one_graded"] == pytest.approx(near, abs=1e-6)
    confusion = metrics.confusion_matrix(one, other, labels=labels)
    assert section["confusion"] == confusion.tolist()


def test_gwet_ac2_equals_its_definition_computed_from_the_export(exported, comparisons):
    one, other, _ = columns_of(exported, Kind.READERS, "ann", "bob")
    grades = np.arange(5)
    steps = np.abs(grades[:, None] - grades[None, :])
    # Ordinal weights: 1 - C(|i - j| + 1, 2) / C(5, 2).
    weights = 1.0 - steps * (steps + 1) / 2.0 / 10.0
    observed = np.mean([weights[a, b] for a, b in zip(one, other, strict=True)])
    share = np.bincount([*one, *other], minlength=5) / (2 * len(one))
    chance = weights.sum() / 20.0 * (share * (1.0 - share)).sum()

    found = comparisons[Kind.READERS.value, "ann", "bob"]["pooled"]["agreement"]

    expected = (observed - chance) / (1.0 - chance)
    assert found["ac2_ordinal"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["ac2_ordinal"]["low"] <= expected <= found["ac2_ordinal"]["high"]


def test_intervals_resample_patients(comparisons):
    section = comparisons[Kind.READERS.value, "ann", "bob"]["pooled"]

    assert section["counts"]["patients"] == CASES
    assert section["counts"]["joints"] == CASES * 2 * 2


def test_every_level_has_a_section(comparisons):
    assert list(comparisons[Kind.READERS.value, "ann", "bob"]["levels"]) == ["L4-L5"]


def test_results_follow_from_the_reads(exported):
    reads = [r for r in table(exported / "reads.csv") if r["purpose"] == "read"]
    grades = {
        (r["reader"], r["case"], r["visit"], r["side"]): r["grade"] for r in reads
    }
    for row in table(exported / "results.csv"):
        place = row["case"], row["visit"], row["side"]
        same = grades["ann", *place] == grades["bob", *place]
        assert row["basis"] == (Basis.AGREED if same else Basis.ADJUDICATED)
        if same:
            assert row["grade"] == grades["ann", *place]


def test_the_share_that_was_adjudicated_is_told(exported):
    record = json.loads((exported / "agreement.json").read_text())["adjudication"]

    bases = [row["basis"] for row in table(exported / "results.csv")]
    assert record["counts"]["adjudicated"] == bases.count("adjudicated")
    assert record["adjudicated_share"] == pytest.approx(
        bases.count("adjudicated") / len(bases), abs=1e-6
    )


def test_differences_are_listed_farthest_first(review):
    pairs = tuple(
        GradePair(
            patient=f"p{k}",
            case_id=f"case{k}",
            visit=Visit.ONLY,
            joint=review.LEFT,
            first=1,
            second=second,
        )
        for k, second in enumerate((1, 2, 4))
    )
    found = Comparison(kind=Kind.READERS, first="ann", second="bob", pairs=pairs)

    assert [pair.second for pair in found.differences] == [4, 2]


def test_without_reads_nothing_is_compared(review):
    assert compare_grades([review.case(1)], [], [], review.charter()) == ()
    assert adjudication_rate([])["adjudicated_share"] is None

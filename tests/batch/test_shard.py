import pytest

from facetgrade.batch.shard import Shard, parse_shard
from facetgrade.errors import ConfigError
from tests.batch.builders import rows, run


def test_shards_are_disjoint_and_complete():
    studies = [(f"site/{k}", f"1.2.{k}") for k in range(200)]
    shards = [Shard(number=k, count=7) for k in range(1, 8)]
    holders = [sum(shard.holds(*study) for shard in shards) for study in studies]
    assert set(holders) == {1}
    # 200 / 7 = 29 on average; every part gets some
    assert all(any(shard.holds(*study) for study in studies) for shard in shards)


def test_a_study_stays_in_its_shard_on_every_machine():
    shard = Shard(number=1, count=4)
    assert [k for k in range(12) if shard.holds("a", str(k))] == [1, 6]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"])
def test_an_impossible_shard_is_refused(text):
    with pytest.raises(ConfigError, match="--shard must look like 2/8"):
        parse_shard(text)


def test_shards_of_one_folder_end_with_complete_tables(make_job):
    shards = [parse_shard(f"{k}/3") for k in (1, 2, 3)]
    done = [name for s in shards for name in run(make_job(shard=s))[1].of("graded")]
    assert sorted(done) == ["anna", "bert"]
    # 2 studies x 2 levels x 2 sides
    assert len(rows(make_job())) == 8


def test_a_shard_that_holds_no_study_has_finished_all_of_its_studies(make_job):
    # 20 shards of 2 studies: 18 or more hold none.
    shards = [parse_shard(f"{k}/20") for k in range(1, 21)]
    summaries = [run(make_job(shard=shard))[0] for shard in shards]
    assert min(len(summary.entries) for summary in summaries) == 0
    assert {summary.exit_code for summary in summaries} == {0}


def test_a_run_over_all_takes_over_what_shards_did(make_job):
    for k in (1, 2):
        run(make_job(shard=parse_shard(f"{k}/2")))
    job = make_job()
    _, events = run(job)
    assert events.of("skipped") == ["anna", "bert"]
    assert list(job.out.glob(".facetgrade-*.sqlite")) == []
    assert run(job)[1].of("skipped") == ["anna", "bert"]


def test_a_shard_knows_what_a_run_over_all_did(make_job):
    run(make_job())
    done = [run(make_job(shard=parse_shard(f"{k}/2")))[1] for k in (1, 2)]
    assert [events.of("graded") for events in done] == [[], []]
    assert len(rows(make_job())) == 8


def test_the_failure_of_one_shard_is_in_the_tables_of_the_last(make_job):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    shards = [parse_shard(f"{k}/2") for k in (1, 2)]
    for shard in shards:
        run(make_job(shard=shard), refuse)
    table = (make_job().out / "quarantine.csv").read_text()
    assert [line.split(",")[0] for line in table.splitlines()[1:]] == ["anna", "bert"]
    assert table.count("Input/output error") == 2

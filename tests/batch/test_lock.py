import pytest

from facetgrade.batch.lock import lock_folder
from facetgrade.batch.shard import Shard
from facetgrade.errors import OutputError

WHOLE = Shard(number=1, count=1)
FIRST, SECOND = Shard(number=1, count=2), Shard(number=2, count=2)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("facetgrade.batch.lock._PATIENCE_S", 0.0)


def refused(out, shard):
    try:
        with lock_folder(out, shard):
            return False
    except OutputError as error:
        return "another run is writing there" in str(error)


def test_a_second_run_in_one_folder_is_refused(tmp_path):
    with lock_folder(tmp_path, WHOLE):
        assert refused(tmp_path, WHOLE)
    assert not refused(tmp_path, WHOLE)


def test_shards_of_one_count_share_a_folder(tmp_path):
    with lock_folder(tmp_path, FIRST):
        assert not refused(tmp_path, SECOND)


def test_one_shard_runs_once_at_a_time(tmp_path):
    with lock_folder(tmp_path, FIRST):
        assert refused(tmp_path, FIRST)


def test_a_run_over_all_waits_for_the_shards(tmp_path):
    with lock_folder(tmp_path, FIRST):
        assert refused(tmp_path, WHOLE)


def test_a_shard_waits_for_a_run_over_all(tmp_path):
    with lock_folder(tmp_path, WHOLE):
        assert refused(tmp_path, FIRST)


def test_shards_of_another_count_are_refused(tmp_path):
    with lock_folder(tmp_path, FIRST):
        assert refused(tmp_path, Shard(number=3, count=8))
    assert not refused(tmp_path, Shard(number=3, count=8))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    missing = tmp_path / "missing"
    with (
        pytest.raises(OutputError, match="missing: cannot be written"),
        lock_folder(missing, WHOLE),
    ):
        pass

import multiprocessing
import os
import random
import threading
import time
from collections import Counter

import pytest

from facetgrade.review.chain import read_head, read_or_make_key
from facetgrade.review.store import open_store
from facetgrade.review.verify import verify_database

READERS = [f"reader{k}" for k in range(10)]
CASES, JOINTS = 4, 2
KILLS = 4
TIMEOUT_S = 240


@pytest.fixture
def places(database, tmp_path, database_folder):
    """Arguments of `open_store`, the same in every process."""
    url, password_file = database
    return {
        "db": url,
        "password_file": password_file,
        "key_file": tmp_path / "audit.key",
        "head_file": database_folder / "head.json",
    }


def serve_readers(places, review, answered):
    """Read what has no answer yet, with the key of the first attempt; note answers."""
    store = open_store(**places)
    file = os.open(answered, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    done = set(answered.read_text().split())

    def work(reader):
        for item in store.work_list(reader):
            for joint in item.joints:
                key = f"{item.item_id}-{joint.side}"
                if key not in done:
                    read = review.submission(item, joint, grades=2, key=key)
                    store.submit(read, review.origin(reader))
                    os.write(file, f"{key}\n".encode())

    threads = [threading.Thread(target=work, args=(reader,)) for reader in READERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_for(process, answered, lines):
    """Wait until so many answers were given, or everything is read."""
    end = time.monotonic() + TIMEOUT_S
    while process.is_alive() and len(answered.read_text().split()) < lines:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_kills_lose_and_double_nothing(places, review, tmp_path):
    people = dict.fromkeys(READERS, "reader")
    rules = review.charter(people=people, adjudication={"rule": "none"})
    store = open_store(**places)
    store.begin(rules, [review.case(k) for k in range(CASES)], review.SYSTEM)
    store.close()
    answered = tmp_path / "answered"
    answered.touch()
    fork = multiprocessing.get_context("fork")
    total = len(READERS) * CASES * JOINTS
    random.seed(1)
    stops = sorted(random.sample(range(5, total - 15), KILLS))

    exits = []
    for stop in [*stops, total]:
        server = fork.Process(target=serve_readers, args=(places, review, answered))
        server.start()
        wait_for(server, answered, stop)
        if stop < total:
            server.kill()
        server.join(timeout=TIMEOUT_S)
        exits.append(server.exitcode)

    store = open_store(**places)
    assert exits == [-9] * KILLS + [0]
    locked = Counter(read.submission.key for read in store.reads())
    assert set(answered.read_text().split()) == set(locked)
    assert len(locked) == total
    assert set(locked.values()) == {1}
    key = read_or_make_key(places["key_file"], may_make=False)
    head = read_head(places["head_file"])
    assert verify_database(store.trail.engine, key, head).problems == ()
    store.close()


def test_two_servers_on_one_database_keep_one_chain(places, review):
    first, second = open_store(**places), open_store(**places)
    people = dict.fromkeys(READERS, "reader")
    rules = review.charter(people=people, adjudication={"rule": "none"})
    first.begin(rules, [review.case(0)], review.SYSTEM)

    def work(reader, store):
        (item,) = store.work_list(reader)
        for joint in item.joints:
            store.submit(review.submission(item, joint), review.origin(reader))

    threads = [
        threading.Thread(target=work, args=(reader, (first, second)[k % 2]))
        for k, reader in enumerate(READERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    key = read_or_make_key(places["key_file"], may_make=False)
    head = read_head(places["head_file"])
    assert len(first.reads()) == len(READERS) * JOINTS
    assert verify_database(first.trail.engine, key, head).problems == ()
    first.close()
    second.close()

"""Painting over HTTP, adjudication, and the pages of the study lead."""

import gzip
import re
import time

import numpy as np
import pytest

from facetgrade.review.web.patches import SHAPE

HEADER_BYTES = 352


def joints_of(desk, reader):
    return [
        f"/api/items/{item.item_id}/{joint.level}-{joint.side}"
        for item in desk.store.work_list(reader)
        for joint in item.joints
    ]


def read_everything(desk, visit, reader, body_of):
    client = visit(reader)
    for number, url in enumerate(joints_of(desk, reader)):
        assert client.post(f"{url}/read", json=body_of(number)).status_code == 200


@pytest.fixture
def opened(open_desk, visitors):
    desk = open_desk(ai="shown-from-start")
    client = visitors(desk)("ann")
    url = next(u for u in joints_of(desk, "ann") if u.endswith("left"))
    return desk, client, url


def lesions(client, url):
    content = client.get(f"{url}/A/lesions.nii").content
    return np.frombuffer(content, np.uint8, offset=HEADER_BYTES).reshape(SHAPE).copy()


def send(client, url, labels):
    return client.post(url, content=gzip.compress(labels.tobytes()))


def test_painting_is_measured_and_graded_at_once(opened):
    _, client, url = opened
    labels = lesions(client, url)
    before = send(client, f"{url}/A/measure", labels).json()
    after = send(client, f"{url}/A/measure", np.zeros_like(labels)).json()
    assert before["grade"] >= 2
    assert after["grade"] == 0
    assert after["extents"]["edema_mm3"] == 0.0
    assert after["trace"]


def test_kept_outlines_are_shown_again(opened):
    desk, client, url = opened
    labels = lesions(client, url)
    labels[labels == 2] = 0
    answer = send(client, f"{url}/A/lesions?key={'1' * 32}", labels)
    assert answer.status_code == 200
    assert (lesions(client, url) == 2).sum() == 0
    (record,) = desk.store.masks(reader="ann")
    assert record.mask_id == answer.json()["mask"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"no gzip", 422),
        (gzip.compress(b"\0" * 10), 422),
        (gzip.compress(b"\0" * 50_000_000), 422),
        (b"x" * 5_000_000, 413),
    ],
)
def test_impossible_paintings_are_refused(opened, content, status):
    _, client, url = opened
    assert client.post(f"{url}/A/measure", content=content).status_code == status


def test_paintings_need_the_secret_of_the_page(opened):
    _, client, url = opened
    del client.headers["X-CSRF-Token"]
    assert client.post(f"{url}/A/measure", content=b"").status_code == 403


def test_page_data_cost_less_than_half_a_second(opened):
    _, client, url = opened
    page = client.get(url).json()
    images = [page["images"][s][row["view"]] for s in "AB" for row in page["rows"]]
    times_s = []
    for _ in range(5):
        start_s = time.process_time()
        for address in (url, *images):
            assert client.get(address).status_code == 200
        times_s.append(time.process_time() - start_s)
    assert min(times_s) < 0.5


def test_a_single_reading_shows_one_examination(open_desk, visitors):
    desk = open_desk(reading="single")
    client = visitors(desk)("ann")
    assert len(desk.store.work_list("ann")) == 4
    page = client.get(joints_of(desk, "ann")[0]).json()
    assert page["slots"] == ["A"]
    assert client.get(page["images"]["A"][0]).status_code == 200


def test_dates_are_shown_only_where_the_order_is_not_masked(open_desk, visitors):
    desk = open_desk(time_order="shown")
    client = visitors(desk)("ann")
    names = client.get(joints_of(desk, "ann")[0]).json()["slot_names"]
    dates = {study.date for case in desk.store.cases() for study in case.studies}
    assert names["A"].startswith("A: baseline 20")
    assert names["B"].split()[-1] in dates


@pytest.mark.parametrize("view", ["blind", "sees-both"])
def test_an_adjudicator_sees_the_reads_only_if_the_charter_says_so(
    open_desk, visitors, read_body, view
):
    desk = open_desk(adjudication={"view": view})
    visit = visitors(desk)
    read_everything(desk, visit, "ann", lambda _: read_body(a=1, b=1))
    read_everything(desk, visit, "bob", lambda _: read_body(a=3, b=3))
    judy = visit("judy")
    (first, *_) = joints_of(desk, "judy")
    peers = judy.get(first).json()["peers"]
    grades = sorted(one["grade"] for read in peers for one in read)
    assert grades == ([] if view == "blind" else [1, 1, 3, 3])
    assert "ann" not in judy.get(first).text


def test_the_study_page_counts_reads_and_agreement(open_desk, visitors, read_body):
    desk = open_desk()
    visit = visitors(desk)
    lea = visit("lea")
    assert "No joint is read by two yet." in lea.get("/study").text
    read_everything(desk, visit, "ann", lambda n: read_body(a=n % 2, b=n % 2))
    read_everything(desk, visit, "bob", lambda n: read_body(a=n % 2, b=n % 2))
    page = lea.get("/study").text
    assert "4 of 4" in page
    assert "Readers with each other: ann and bob" in page
    cells = re.findall(r'class="shade-\d[^"]*">(\d+)<', page)
    assert sum(map(int, cells[:25])) == 8  # 4 joints at 2 visits


def test_the_gallery_shows_where_readers_differ(open_desk, visitors, read_body):
    desk = open_desk()
    visit = visitors(desk)
    read_everything(desk, visit, "ann", lambda _: read_body(a=0, b=0))
    read_everything(desk, visit, "bob", lambda _: read_body(a=4, b=4))
    lea = visit("lea")
    page = lea.get("/gallery").text
    assert "grade 4" in page
    picture = re.search(r'src="(/gallery/[^"]+)"', page)[1]
    assert lea.get(picture).content.startswith(b"\x89PNG")

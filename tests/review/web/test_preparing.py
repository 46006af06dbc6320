"""Images are ready when a joint is opened: they are made in the order of reading."""

import pytest

pytest.importorskip("fastapi")

from facetgrade.review.web.preparing import prepare_first, reading_order


def first_open(desk, name):
    """Case and joint at the head of somebody's list."""
    item = next(i for i in desk.store.work_list(name) if set(i.joints) - set(i.locked))
    joint = next(j for j in item.joints if j not in item.locked)
    return item.case_id, joint


def places(desk):
    return [(case.case_id, joint) for case, joint in reading_order(desk)]


def test_the_first_joints_of_all_readers_come_first(open_desk):
    desk = open_desk(seed=3)
    firsts = {first_open(desk, name) for name in ("ann", "bob")}
    assert set(places(desk)[: len(firsts)]) == firsts


def test_every_joint_is_prepared_once(open_desk):
    desk = open_desk()
    listed = places(desk)
    assert len(listed) == len(set(listed)) == 4  # 2 patients, L4-L5 left and right


def test_what_is_locked_comes_later(open_desk, visitors, read_body):
    desk = open_desk()
    case_id, joint = first_open(desk, "ann")
    for name in ("ann", "bob"):
        client = visitors(desk)(name)
        item = next(i for i in desk.store.work_list(name) if i.case_id == case_id)
        url = f"/api/items/{item.item_id}/{joint.level}-{joint.side}/read"
        assert client.post(url, json=read_body(2, 2)).status_code == 200
    assert places(desk)[-1] == (case_id, joint)


def test_first_joints_need_no_sampling_any_more(open_desk, monkeypatch):
    desk, said = open_desk(), []
    prepare_first(desk, said.append)
    monkeypatch.delattr("facetgrade.review.web.joint_images.sample_view")
    cases = {case.case_id: case for case in desk.store.cases()}
    firsts = {first_open(desk, name) for name in ("ann", "bob")}
    for case_id, joint in firsts:
        for visit, images in desk.images.visits(cases[case_id], joint).items():
            for view in images.views:
                assert desk.images.block(cases[case_id], joint, visit, view)
    assert said == [f"preparing the {len(firsts)} joints that are opened first"]

"""Everything that a blinded reader's browser receives, searched for secrets."""

import gzip
import re
import struct
import zlib

import pytest

HEADER_BYTES = 352
SHORT = 8  # letters; pixels and random numbers hold any short word by chance
RANDOM = re.compile(rb"\b(?:[0-9a-f]{24}|[0-9a-f]{64})\b")  # items and tokens
ROUTES = re.compile(r'(?:href|src|action|content)="([^"]*)"')


class Browser:
    """Walks every address it is shown and keeps every byte of every answer."""

    def __init__(self, client):
        self.client = client
        self.received = {}

    def get(self, url):
        answer = self.client.get(url)
        self.received[url] = unpacked(answer)
        return answer

    def walk(self, desk, reader):
        """Open all pages, all joints, all images, and what should be hidden."""
        for page in ("/", "/login", "/study", "/gallery", "/openapi.json", "/docs"):
            for link in ROUTES.findall(self.get(page).text):
                if link.startswith("/") and "vendor" not in link:
                    self.get(link)
        for item in desk.store.work_list(reader):
            for joint in item.joints:
                self.open(item.item_id, f"{joint.level}-{joint.side}")

    def open(self, item_id, joint):
        self.get(f"/read/{item_id}/{joint}")
        url = f"/api/items/{item_id}/{joint}"
        page = self.get(url).json()
        for images in page["images"].values():
            for image in filter(None, images):
                self.get(image)
        for hidden in ("ai", "A/lesions.nii", "B/lesions.nii", "A/99.nii", "C/0.nii"):
            self.get(f"{url}/{hidden}")


def unpacked(answer) -> bytes:
    """Return headers, address and body of an answer, also unpacked from gzip."""
    head = "\n".join(f"{k}: {v}" for k, v in answer.headers.items()).encode()
    body = answer.content
    if body[:2] == b"\x1f\x8b":
        body += gzip.decompress(body)
    return head + b"\n" + str(answer.url).encode() + b"\n" + body


def telling(url, content, text) -> bytes:
    """Leave out pixels and random numbers where a short text is searched for."""
    if len(text) >= SHORT:
        return content
    if not url.endswith(".nii"):
        return RANDOM.sub(b"", content)
    start = content.find(struct.pack("<i", 348))
    return content[: max(start, 0) + HEADER_BYTES]


@pytest.fixture
def walked(open_desk, visitors):
    """A reader who walked everywhere before locking anything."""
    desk = open_desk()
    client = visitors(desk)("ann")
    browser = Browser(client)
    browser.walk(desk, "ann")
    return desk, browser


def test_no_byte_names_patient_examination_date_or_place(walked, graded_cohort):
    _, browser = walked
    found = {
        (url, text)
        for url, content in browser.received.items()
        if not url.startswith("/static/")
        for text in graded_cohort.secrets
        if text.lower().encode() in telling(url, content, text).lower()
    }
    assert len(browser.received) > 30
    assert len(graded_cohort.secrets) > 100
    assert found == set()


def test_a_short_word_is_found_beside_random_numbers():
    page = b'<html data-csrf="' + b"2018" * 16 + b'"><td>2018-09-21</td>'

    assert telling("/", page, "2018") == b'<html data-csrf=""><td>2018-09-21</td>'


def test_the_search_finds_what_is_planted(walked, graded_cohort):
    _, browser = walked
    text = max(graded_cohort.secrets, key=len)
    planted = gzip.compress(f"x{text}".encode())
    answer = type("Answer", (), {"headers": {}, "content": planted, "url": ""})
    assert text.encode() in unpacked(answer)
    assert all(text.encode() not in one for one in browser.received.values())


def test_nothing_of_the_ai_result_comes_before_the_lock(walked):
    _, browser = walked
    hidden = [u for u in browser.received if u.endswith(("/ai", "/lesions.nii"))]
    assert len(hidden) >= 12
    for url in hidden:
        assert b"hidden until the read is locked" in browser.received[url]
    for url, content in browser.received.items():
        if url.startswith("/api/") and url not in hidden and not url.endswith(".nii"):
            body = content.split(b"\n")[-1]
            for word in (b"effusion", b"trace", b"probab", b"extents", b"mm3"):
                assert word not in body, url


def test_headers_of_images_are_the_same_for_both_time_points(walked):
    _, browser = walked
    images = [u for u in browser.received if re.search(r"/[AB]/\d\.nii$", u)]
    bodies = [browser.client.get(url).content for url in images]
    assert len(bodies) >= 8
    assert len({body[:HEADER_BYTES] for body in bodies}) == 1
    header = bodies[0]
    assert struct.unpack_from("<i", header) == (348,)
    assert header[4:39] == bytes(35)  # old fields with names and times
    assert header[148:252] == bytes(104)  # description and auxiliary file
    assert header[328:344] == bytes(16)  # intent name


def test_packed_images_carry_no_time_or_name(walked):
    desk, browser = walked
    item = desk.store.work_list("ann")[0]
    case = desk.store.case(item.case_id)
    visits = desk.images.visits(case, item.joints[0])
    for visit, images in visits.items():
        block = desk.images.block(case, item.joints[0], visit, images.views[0])
        assert block[3] == 0  # no file name, comment or extra field
        assert block[4:8] == bytes(4)  # modification time
        assert len(zlib.decompress(block, wbits=31)) == len(
            browser.client.get(
                f"/api/items/{item.item_id}/{item.joints[0].level}-"
                f"{item.joints[0].side}/A/0.nii"
            ).content
        )


def test_both_time_points_appear_as_a(open_desk):
    items = open_desk(seed=3).store.work_list("ann")
    items += open_desk(seed=3).store.work_list("bob")
    assert len({item.visits for item in items}) == 2


def test_after_the_lock_of_one_joint_only_its_result_is_shown(
    open_desk, visitors, read_body
):
    desk = open_desk()
    client = visitors(desk)("ann")
    item = desk.store.work_list("ann")[0]
    first, second = (f"/api/items/{item.item_id}/L4-L5-{s}" for s in ("left", "right"))
    client.post(f"{first}/read", json=read_body())
    assert client.get(f"{first}/ai").status_code == 200
    assert client.get(f"{second}/ai").status_code == 404
    browser = Browser(visitors(desk)("bob"))
    browser.walk(desk, "bob")
    hidden = [u for u in browser.received if u.endswith("/ai")]
    assert all(b"hidden until" in browser.received[url] for url in hidden)


def test_a_reader_receives_nothing_of_what_another_locked(
    open_desk, visitors, read_body
):
    desk = open_desk()
    visit = visitors(desk)
    ann = visit("ann")
    for item in desk.store.work_list("ann"):
        for joint in item.joints:
            url = f"/api/items/{item.item_id}/{joint.level}-{joint.side}/read"
            body = read_body(comment="a remark of the first reader")
            assert ann.post(url, json=body).status_code == 200
    browser = Browser(visit("bob"))
    browser.walk(desk, "bob")
    for content in browser.received.values():
        assert b"a remark of" not in content
        assert b'"ann"' not in content
    pages = [u for u in browser.received if re.fullmatch(r"/api/items/\w+/[^/]+", u)]
    assert all(b'"read":null,"peers":[]' in browser.received[u] for u in pages)


def test_shown_from_the_start_is_shown(open_desk, visitors):
    desk = open_desk(ai="shown-from-start")
    item = desk.store.work_list("ann")[0]
    answer = visitors(desk)("ann").get(f"/api/items/{item.item_id}/L4-L5-left/ai")
    assert answer.json()["A"]["grade"] == 3

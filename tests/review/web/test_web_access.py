import pytest

FAKE = "x" * 40


@pytest.fixture
def desk(open_desk):
    return open_desk()


@pytest.fixture
def visit(desk, visitors):
    return visitors(desk)


def first_joint(desk, reader="ann"):
    from facetgrade.review.web.desk import joint_url

    item = desk.store.work_list(reader)[0]
    return joint_url(item, item.joints[0])


def test_without_a_session_pages_lead_to_the_login_and_data_are_refused(desk, visit):
    stranger = visit()
    assert stranger.get("/").headers["location"] == "/login"
    assert stranger.get(first_joint(desk)).status_code == 401


def test_a_link_works_once_and_another_follows(visit):
    first = visit("ann")
    again = visit()
    assert again.get(f"/enter?token={first.link.secret}").status_code == 403
    assert visit("ann").get("/").status_code == 200


def test_a_wrong_link_is_refused(visit):
    assert visit().get(f"/enter?token={FAKE}").status_code == 403


def test_the_cookie_is_closed_to_scripts_and_to_other_sites(visit):
    cookie = visit("ann").welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=28800" in cookie  # 8 hours of the charter


def test_a_made_up_session_is_none(visit):
    client = visit()
    client.cookies.set("facetgrade_session", FAKE)
    assert client.get("/").headers["location"] == "/login"


def test_a_read_needs_the_secret_of_the_page(desk, visit, read_body):
    client = visit("ann")
    url = f"{first_joint(desk)}/read"
    for header in ("", FAKE):
        client.headers["X-CSRF-Token"] = header
        assert client.post(url, json=read_body()).status_code == 403
    assert desk.store.reads() == ()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_request_that_another_site_sent_is_refused(desk, visit, read_body, headers):
    client = visit("ann")
    answer = client.post(f"{first_joint(desk)}/read", json=read_body(), headers=headers)
    assert answer.status_code == 403
    assert desk.store.reads() == ()


def test_a_read_is_locked_once_however_often_it_is_sent(desk, visit, read_body):
    client, body = visit("ann"), read_body()
    answers = [client.post(f"{first_joint(desk)}/read", json=body) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert len({one.text for one in answers}) == 1
    assert len(desk.store.reads()) == 1


def test_a_key_with_another_content_is_refused(desk, visit, read_body):
    client, body = visit("ann"), read_body()
    client.post(f"{first_joint(desk)}/read", json=body)
    changed = read_body(a=4, key=body["key"])
    assert client.post(f"{first_joint(desk)}/read", json=changed).status_code == 409


def test_a_locked_joint_changes_only_with_a_reason(desk, visit, read_body):
    client, url = visit("ann"), f"{first_joint(desk)}/read"
    client.post(url, json=read_body())
    assert client.post(url, json=read_body(a=3)).status_code == 409
    corrected = read_body(a=3, correction_reason="wrong side")
    assert client.post(url, json=corrected).status_code == 200
    assert len(desk.store.reads()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"findings": []},
        {"findings": [{"slot": "A", "grade": 5}, {"slot": "B", "grade": 1}]},
        {"findings": [{"slot": "A", "grade": 1}]},
        {"key": "short"},
        {"unknown": 1},
        {"comment": "x" * 5000},
    ],
)
def test_an_impossible_read_is_refused_in_words(desk, visit, read_body, change):
    answer = visit("ann").post(f"{first_joint(desk)}/read", json=read_body() | change)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(".")
    assert desk.store.reads() == ()


def test_a_reader_cannot_open_what_belongs_to_another(desk, visit, read_body):
    client = visit("bob")
    url = first_joint(desk, "ann")
    assert client.get(url).status_code == 404
    assert client.get(f"{url}/A/0.nii").status_code == 404
    assert client.get(url.replace("/api/items", "/read")).status_code == 404
    assert client.post(f"{url}/read", json=read_body()).status_code == 404


@pytest.mark.parametrize(
    "page", ["/study", "/gallery", "/gallery/x/L4-L5-left/only.png"]
)
def test_only_the_lead_sees_the_study(visit, page):
    assert visit("ann").get(page).status_code == 403
    assert visit("judy").get(page).status_code == 403
    assert visit("lea").get(page).status_code in (200, 404)


def test_the_lead_reads_nothing(desk, visit, read_body):
    assert visit("lea").get(first_joint(desk)).status_code == 403
    answer = visit("lea").post(f"{first_joint(desk)}/read", json=read_body())
    assert answer.status_code == 403


def test_after_logout_the_session_is_over(visit):
    client = visit("ann")
    csrf = client.headers["X-CSRF-Token"]
    assert client.post("/logout", data={"csrf": FAKE}).status_code == 403
    token = client.cookies["facetgrade_session"]
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303
    client.cookies.set("facetgrade_session", token)
    assert client.get("/").headers["location"] == "/login"


def test_passwords_are_asked_where_there_are_no_links(desk, visitors, review):
    from facetgrade.review.people import Account, Role

    account = Account(name="ann", role=Role.READER)
    desk.accounts.save(account, "a long password", review.SYSTEM)
    client = visitors(desk, by_link=False)()
    wrong = client.post("/login", data={"name": "ann", "password": "guess"})
    assert wrong.status_code == 401
    assert "wrong" in wrong.text
    right = client.post("/login", data={"name": "ann", "password": "a long password"})
    assert right.headers["location"] == "/"
    assert client.get("/").status_code == 200


def test_too_many_wrong_passwords_stop_the_name(desk, visitors):
    client = visitors(desk, by_link=False)()
    guesses = [client.post("/login", data={"name": "bob"}) for _ in range(5)]
    assert "too many" in guesses[-1].text.lower()


def test_a_link_server_takes_no_passwords(visit):
    assert visit().post("/login", data={"name": "ann"}).status_code == 403


def test_every_answer_has_the_security_headers(desk, visit):
    client = visit("ann")
    for page in ("/", "/login", "/nothing", "/static/review.css", first_joint(desk)):
        headers = client.get(page).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_another_host_name_is_refused(visit):
    answer = visit("ann").get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_pages_load_nothing_from_elsewhere(desk, visit):
    client = visit("ann")
    page = client.get(first_joint(desk).replace("/api/items", "/read")).text
    assert "http://" not in page
    assert "https://" not in page
    assert "<style" not in page
    assert " onclick" not in page

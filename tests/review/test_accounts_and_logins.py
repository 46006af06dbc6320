import pytest

from facetgrade.review.accounts import Accounts
from facetgrade.review.errors import LoginError, NotAllowedError, TooManyLoginsError
from facetgrade.review.people import Account, Role

PASSWORD = "correct horse"


@pytest.fixture
def clock(review):
    return review.SlowClock()


@pytest.fixture
def accounts(open_review, review, clock):
    made = Accounts(open_review(clock=clock).trail, review.charter().access)
    made._hasher = type(made._hasher)(time_cost=1, memory_cost=8, parallelism=1)
    made.save(Account(name="ann", role=Role.READER), PASSWORD, review.SYSTEM)
    return made


def test_the_right_password_opens_a_session_that_expires(accounts, review, clock):
    session = accounts.log_in("ann", PASSWORD, review.origin("?"))

    assert accounts.session_of(session.token).role is Role.READER
    clock.wait(hours=8.1)
    with pytest.raises(LoginError, match="session is over"):
        accounts.session_of(session.token)


def test_password_and_token_are_not_in_the_database(accounts, review, database_folder):
    token = accounts.log_in("ann", PASSWORD, review.origin("?")).token

    found = [path.read_bytes() for path in database_folder.iterdir()]

    assert not any(PASSWORD.encode() in content for content in found)
    assert not any(token.encode() in content for content in found)


def test_too_many_failures_stop_even_the_right_password_for_a_while(
    accounts, review, clock
):
    for _ in range(3):
        with pytest.raises(LoginError, match="name or password is wrong"):
            accounts.log_in("ann", "wrong", review.origin("?", address=""))
    with pytest.raises(TooManyLoginsError, match="15 minutes"):
        accounts.log_in("ann", PASSWORD, review.origin("?", address=""))

    clock.wait(minutes=15.1)
    assert accounts.log_in("ann", PASSWORD, review.origin("?", address=""))


def test_an_address_that_tries_many_names_is_stopped(accounts, review):
    for name in ("eve", "mallory", "trudy"):
        with pytest.raises(LoginError, match="name or password is wrong"):
            accounts.log_in(name, "wrong", review.origin("?", address="10.0.0.9"))

    with pytest.raises(TooManyLoginsError):
        accounts.log_in("ann", PASSWORD, review.origin("?", address="10.0.0.9"))
    assert accounts.log_in("ann", PASSWORD, review.origin("?", address="10.0.0.8"))


def test_logout_ends_a_session(accounts, review):
    token = accounts.log_in("ann", PASSWORD, review.origin("?")).token

    accounts.log_out(token, review.origin("ann"))

    with pytest.raises(LoginError, match="session is over"):
        accounts.session_of(token)


def test_a_closed_account_ends_its_sessions(accounts, review):
    token = accounts.log_in("ann", PASSWORD, review.origin("?")).token

    closed = Account(name="ann", role=Role.READER, active=False)
    accounts.save(closed, PASSWORD, review.SYSTEM)

    with pytest.raises(LoginError, match="session is over"):
        accounts.session_of(token)
    with pytest.raises(LoginError, match="name or password is wrong"):
        accounts.log_in("ann", PASSWORD, review.origin("?"))


def test_a_short_password_is_refused(accounts, review):
    with pytest.raises(NotAllowedError, match="10-1024 characters"):
        accounts.save(Account(name="bob", role=Role.READER), "short", review.SYSTEM)

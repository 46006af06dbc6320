import pytest

from facetgrade.config_files import shipped_path
from facetgrade.errors import ConfigError
from facetgrade.pacs import open_archive, read_pacs
from facetgrade.pacs.credentials import Login, find_login

WEB = """
[nodes.web]
protocol = "dicomweb"
url = "https://pacs.example.org/dicom-web/"
identifiers_in_url = false
credentials = "none"
"""
PACS = """
[nodes.pacs]
protocol = "dimse"
host = "pacs.example.org"
port = 104
ae_title = "ARCHIVE"
retrieve = "get"
credentials = "none"
"""


def read(tmp_path, text):
    path = tmp_path / "pacs.toml"
    path.write_text(text)
    return read_pacs(path)


def test_the_shipped_file_is_a_pattern_without_archives(tmp_path):
    shipped = read_pacs(shipped_path("configs/pacs.toml"))
    assert sorted(shipped.nodes) == ["example-pacs", "example-web"]
    assert read(tmp_path, "").nodes == {}


def test_what_the_file_leaves_out_is_as_shipped(tmp_path):
    settings = read(tmp_path, WEB + "[retry]\nattempts = 2\n")
    assert settings.retry.attempts == 2
    assert settings.retry.longest_wait_s == 60.0
    assert settings.node("web").url == "https://pacs.example.org/dicom-web"


def test_files_are_relative_to_the_file_that_names_them(tmp_path):
    tls = '[nodes.pacs.tls]\nca_file = "ca.pem"\ncert_file = ""\nkey_file = ""\n'
    settings = read(tmp_path, PACS.replace('"none"', '"login.toml"') + tls)
    node = settings.node("pacs")
    assert node.tls.ca_file == str(tmp_path / "ca.pem")
    assert node.tls.cert_file == ""
    assert node.credentials == str(tmp_path / "login.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WEB.replace("https", "ftp"), "must start with https"),
        (WEB.replace("//pacs", "//me:secret@pacs"), "must not hold user, password"),
        (WEB.replace('"none"', '"keyring"'), "need the key user"),
        (
            WEB.replace("https", "http").replace('"none"', '"login.toml"'),
            "sent over TLS only",
        ),
        (PACS.replace('"none"', '"login.toml"'), "sent over TLS only"),
        (PACS.replace("get", "take"), "Input should be 'get' or 'move'"),
        (PACS.replace("ARCHIVE", "A" * 17), "at most 16 characters"),
        (PACS + "colour = 1\n", "unknown key"),
        ('[local]\nhost = "0.0.0.0"\n', "name the callers or give tls.ca_file"),
    ],
)
def test_a_wrong_node_is_refused_with_its_key(text, message, tmp_path):
    with pytest.raises(ConfigError, match=r"pacs\.toml: ") as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_an_unknown_node_is_named_with_those_that_are(tmp_path):
    with pytest.raises(
        ConfigError, match="no archive is called x; known are pacs, web"
    ):
        open_archive("x", read(tmp_path, WEB + PACS))


@pytest.fixture
def login_file(tmp_path):
    path = tmp_path / "login.toml"
    path.write_text('[web]\nuser = "me"\npassword = "s3cret"\n[other]\ntoken = "t0k"\n')
    path.chmod(0o600)
    return path


def test_logins_come_from_a_file_of_the_owner(login_file):
    assert find_login("web", str(login_file), "") == Login("me", "s3cret")
    assert find_login("other", str(login_file), "") == Login(token="t0k")
    assert "s3cret" not in repr(find_login("web", str(login_file), ""))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_read_is_refused(mode, login_file):
    login_file.chmod(mode)
    with pytest.raises(ConfigError, match="others may read it; run: chmod 600"):
        find_login("web", str(login_file), "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[web]\n",
        '[web]\nuser = "me"\n',
        '[web]\npassword = "s3cret\n',
        '[web]\nuser = "me"\npassword = "s3cret"\ntoken = "t"\n',
    ],
)
def test_a_damaged_file_is_refused_without_quoting_it(text, login_file):
    login_file.write_text(text)
    with pytest.raises(ConfigError, match=r"login\.toml: ") as caught:
        find_login("web", str(login_file), "")
    assert "s3cret" not in str(caught.value)


@pytest.fixture
def keyring_of():
    """Use a keyring in memory instead of the user's."""
    import keyring
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1

        def __init__(self, passwords):
            self.passwords = passwords

        def get_password(self, service, username):
            return self.passwords.get((service, username))

        def set_password(self, service, username, password):
            self.passwords[service, username] = password

        def delete_password(self, service, username):
            del self.passwords[service, username]

    before = keyring.get_keyring()
    yield lambda passwords: keyring.set_keyring(Memory(passwords))
    keyring.set_keyring(before)


def test_logins_come_from_the_keyring(keyring_of):
    keyring_of({("facetgrade:web", "me"): "s3cret"})
    assert find_login("web", "keyring", "me") == Login("me", "s3cret")


def test_an_empty_keyring_says_how_to_fill_it(keyring_of):
    keyring_of({})
    with pytest.raises(ConfigError, match="keyring set facetgrade:web me"):
        find_login("web", "keyring", "me")

import tomllib

import pytest

from facetgrade.config import shipped_path
from facetgrade.evaluate.tuned_files import set_value

TOML = """[first]
limit = 1.0    # of another section
[second]
limit = 0.30   # a long reason;
               # its second line
other = 2      # kept
"""


def test_only_the_value_of_the_section_changes():
    changed = set_value(TOML, "second", "limit", 0.412345, "fitted")

    assert tomllib.loads(changed) == {
        "first": {"limit": 1.0},
        "second": {"limit": 0.4123, "other": 2},
    }
    assert "second line" not in changed
    long = set_value("[s]\n" + "k" * 30 + " = 1\n", "s", "k" * 30, 0.1234, "why")
    assert "k = 0.1234  # why" in long
    assert "# fitted\nother = 2      # kept" in changed


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [("third", "limit", r"section \[third\]"), ("first", "other", "other in")],
)
def test_what_is_missing_is_named(section, key, words):
    with pytest.raises(ValueError, match=words):
        set_value(TOML, section, key, 1.0, "")


@pytest.mark.parametrize(
    ("name", "section", "key"),
    [
        ("grade", "acceptance", "minimum_typicality"),
        ("grade", "acceptance", "flagged_typicality"),
        ("pipeline", "localize", "vote_temperature"),
        ("pipeline", "localize", "min_sacrum_vote"),
        ("pipeline", "localize", "min_numbering_probability"),
    ],
)
def test_tuned_keys_are_in_the_shipped_files(name, section, key):
    text = shipped_path(f"configs/{name}.toml").read_text("utf-8")
    changed = tomllib.loads(set_value(text, section, key, 0.125, "test"))
    assert changed[section].pop(key) == 0.125
    before = tomllib.loads(text)
    del before[section][key]
    assert changed == before

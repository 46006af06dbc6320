import subprocess
import sys
import tomllib

import pytest
from pydantic import BaseModel, ConfigDict

from facetgrade.config import (
    check_settings,
    config_values,
    read_config,
    read_settings,
    read_toml,
    shipped_path,
)
from facetgrade.errors import ConfigError


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    threshold: float


class Outer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    inner: Inner


def write(folder, text):
    path = folder / "my.toml"
    path.write_text(text)
    return path


def test_a_shipped_file_is_found_in_the_checkout():
    assert shipped_path("configs/grade.toml").is_file()


def test_a_file_that_is_not_shipped_is_an_error():
    with pytest.raises(ConfigError, match=r"configs/nothing\.toml is missing"):
        shipped_path("configs/nothing.toml")


def test_a_complete_file_becomes_settings(tmp_path):
    path = write(tmp_path, 'name = "a"\n[inner]\nthreshold = 0.5\n')
    settings = read_settings(path, Outer)
    assert (settings.name, settings.inner.threshold) == ("a", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"\n[inner]\n', r"my\.toml: key inner\.threshold is missing$"),
        (
            'name = "a"\n[inner]\nthreshold = 1.0\nthreshhold = 2\n',
            r"unknown key inner\.threshhold; did you mean threshold\?$",
        ),
        (
            'name = "a"\n[inner]\nthreshold = "high"\n',
            r"inner\.threshold = 'high': Input should be a valid number",
        ),
        ("[inner]\n", r"key name is missing \(and 1 more\)$"),
        ("name = ", r"my\.toml: not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_file_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_settings(write(tmp_path, text), Outer)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such configuration file"):
        read_toml(tmp_path / "none.toml")


def test_a_folder_instead_of_a_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)


def test_values_are_checked_like_files(tmp_path):
    with pytest.raises(ConfigError, match="key inner is missing"):
        check_settings({"name": "a"}, Outer, tmp_path / "x.toml")


def test_the_shipped_configuration_holds_all_three_files():
    config = config_values(read_config())
    for name, section in (
        ("grade", config["grade"]),
        ("series_rules", config["ingest"]["series_rules"]),
    ):
        text = shipped_path(f"configs/{name}.toml").read_text()
        assert set(section) == set(tomllib.loads(text))


@pytest.mark.parametrize("first", ["config", "ingest"])
def test_any_module_may_be_imported_first(first):
    command = [sys.executable, "-c", f"import facetgrade.{first}"]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_user_file_changes_only_the_keys_it_names(tmp_path):
    shipped = read_config()
    path = write(tmp_path, "[localize]\nmin_joint_score = 0.123\n")
    config = read_config(path)
    assert config.localize.min_joint_score == 0.123
    assert config.localize.weights == shipped.localize.weights
    assert config.segment == shipped.segment


def test_a_user_file_may_change_the_grade_rules(tmp_path):
    path = write(tmp_path, '[grade.measure.perimeter]\ncombine = "worst_plane"\n')
    assert read_config(path).grade.measure.perimeter.combine == "worst_plane"


def test_an_unknown_key_names_the_user_file(tmp_path):
    path = write(tmp_path, "[localize]\nmin_joint_scor = 0.1\n")
    message = r"my\.toml: unknown key localize\.min_joint_scor; did you mean"
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_a_value_in_place_of_a_section_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"my\.toml: localize = 3"):
        read_config(write(tmp_path, "localize = 3\n"))


def test_config_values_are_of_json_types():
    assert config_values(read_config())["grade"]["rules"]

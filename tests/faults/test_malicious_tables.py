"""Configuration files and tables made to break their readers."""

import pytest

from facetgrade.config import read_config
from facetgrade.errors import ConfigError, FacetGradeError, ModelError
from facetgrade.evaluate.tables import TableError, read_grades
from facetgrade.inference import find_model, load_weights
from facetgrade.ingest.nifti import nifti_tags
from facetgrade.train.manifest import ManifestError, read_manifest

HUGE_CELL = "x" * 200_000  # csv refuses fields above 131,072


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[\n" * 50_000, "not valid TOML"),
        ("a = " + "9" * 5000, "a line is too long"),
        ("a." * 50_000 + "b = 1", "a line is too long"),
    ],
    ids=["brackets", "digits", "dots"],
)
def test_endless_toml_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "evil.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"evil\.toml: {message}"):
        read_config(path)


def test_weights_named_by_a_path_with_nul_are_refused():
    with pytest.raises(ConfigError, match="not valid TOML"):
        find_model("folder\0/model")


def test_a_weight_file_with_nul_in_its_name_is_refused(tmp_path):
    (tmp_path / "manifest.toml").write_text(
        f'[a]\nfile = "a\\u0000b"\nsha256 = "{"0" * 64}"\nlicense = "x"\n'
        'input = "x"\narchitecture = "spine-localizer"\nsizes = {}\n'
    )
    with pytest.raises(ModelError, match="must lie beside it"):
        find_model(f"{tmp_path}/a")


def test_a_manifest_without_a_hash_cannot_be_left_unverified(tmp_path):
    (tmp_path / "manifest.toml").write_text(
        '[a]\nfile = "a"\nsha256 = ""\nlicense = "x"\n'
        'input = "x"\narchitecture = "spine-localizer"\nsizes = {}\n'
    )
    with pytest.raises(FacetGradeError, match="sha256"):
        load_weights(f"{tmp_path}/a", None)


def test_endless_json_is_one_sentence(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ManifestError, match="not valid JSON"):
        read_manifest(path)


def test_a_huge_cell_of_a_manifest_is_one_sentence(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(f"subject,source,level,side\n{HUGE_CELL},a,L3-L4,left\n")
    with pytest.raises(ManifestError, match="not a CSV table"):
        read_manifest(path)


def test_a_huge_cell_of_a_table_of_grades_is_one_sentence(tmp_path):
    path = tmp_path / "readers.csv"
    path.write_text(f"source,level,side,grade\n{HUGE_CELL},L3-L4,left,1\n")
    with pytest.raises(TableError, match="not a CSV table"):
        read_grades(path)


def test_an_endless_number_in_a_sidecar_is_left_out():
    tags = nifti_tags("a.nii", {"EchoTime": 10**400, "FlipAngle": float("inf")})
    assert str(tags.echo_time_ms) == str(tags.flip_angle_deg) == "nan"

import csv
import json
from pathlib import Path

import pytest
import torch

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import merge, read_config, read_settings, shipped_path
from facetgrade.errors import ModelError
from facetgrade.evaluate.truth import read_truth
from facetgrade.grade.correction import fit_correction
from facetgrade.inference.fitted import fitted_settings, settings_in, with_model
from facetgrade.inference.library import install_model, roll_back, to_toml
from facetgrade.inference.weights import load_weights
from facetgrade.train import own_settings, resolve_start
from facetgrade.train.manifest import read_manifest
from facetgrade.train.own_settings import fit_own_settings
from facetgrade.train.settings import FitSettings, TrainSettings
from facetgrade.train.splits import lock_splits, read_splits
from tests.grade.conftest import build_extents
from tests.train.test_install import trained

SHIPPED = read_config()
FITTED = {
    "segment": {
        "belief": {
            "marrow_edema": {
                "threshold": 0.8,
                "smallest_mm3": 120.0,
                "least_mean_probability": 0.0,
            }
        }
    },
    "grade": {
        "confidence": {
            "correction": {
                "perimeter_fraction": {"measured": [0.0, 1.0], "true": [0.0, 0.9]}
            }
        }
    },
}
SAMPLES = shipped_path("data_samples")


def sample_rows() -> list[dict[str, str]]:
    """Rows of the samples' manifest with whole paths."""
    with (SAMPLES / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for key in ("source", "mask"):
            paths = [str(SAMPLES / part) for part in row[key].split(";")]
            row[key] = ";".join(paths)
        row["annotated"] = ""
    return rows


def name_of(row) -> str:
    return f"{row['level']}_{row['side']}"


def true_width_mm(row) -> float:
    """Width of the effusion that the simulator wrote down."""
    folder = Path(row["source"]).parent / "truth"
    return read_truth(folder).joints[parse_joint(row)].measures["effusion_width_mm"]


def parse_joint(row) -> FacetJoint:
    return FacetJoint(Level(row["level"]), Side(row["side"]))


def demonstration(folder, *, least_joints, rows=None) -> TrainSettings:
    """Settings of the samples, with two thresholds of effusion to try."""
    manifest = folder / "cases.csv"
    with manifest.open("w", newline="") as file:
        rows = rows or sample_rows()
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = resolve_start(
        read_settings(shipped_path("data_samples/retrain.toml"), TrainSettings)
    )
    fit = FitSettings(
        rounds=1,
        least_gain=0.01,
        lesions={"effusion": {"threshold": (0.99,)}},
        least_joints=least_joints,
    )
    data = settings.data.model_copy(
        update={
            "manifest": manifest,
            "splits": folder / "splits.csv",
        }
    )
    lock_splits(read_manifest(data.manifest), data)
    return settings.model_copy(update={"data": data, "fit": fit})


@pytest.fixture(scope="module")
def network():
    return load_weights(SHIPPED.segment.weights, torch.device("cpu"))


def test_thresholds_and_correction_are_fitted_to_the_cases_of_training(
    tmp_path, network
):
    settings = demonstration(tmp_path, least_joints=1)

    fitted = fit_own_settings(network, settings, tmp_path / "run")

    assert set(fitted) == {"segment", "grade"}
    belief = fitted["segment"]["belief"]
    assert (
        belief["effusion"]["threshold"] == SHIPPED.segment.belief["effusion"].threshold
    )
    assert set(belief) == {"effusion", "soft_tissue_edema", "marrow_edema"}
    correction = fitted["grade"]["confidence"]["correction"]
    before = SHIPPED.grade.confidence.correction.model_dump(mode="json")
    assert correction.keys() == before.keys()
    assert correction != before
    training = {k for k, v in read_splits(settings.data.splits).items() if v == "train"}
    outlined = list((tmp_path / "run" / "outlined").iterdir())
    assert len(outlined) == len(training) == 1


def test_few_joints_or_no_section_leave_the_shipped_settings(tmp_path, network, caplog):
    few = demonstration(tmp_path, least_joints=5)

    assert fit_own_settings(network, few, tmp_path) == {}
    assert "not fitted to 4 joints" in caplog.text
    without = few.model_copy(update={"fit": None})
    assert fit_own_settings(network, without, tmp_path) == {}


def test_each_reader_counts_for_what_was_looked_for_where_it_was_found(
    tmp_path, network, monkeypatch, caplog
):
    rows = sample_rows()
    training = [row for row in rows if row["split"] == "train"]
    whole, partial, graded, elsewhere = training
    partial["annotated"] = "lesions;joint_space"
    graded["mask"] = graded["labels"] = ""
    elsewhere["z_mm"] = str(float(elsewhere["z_mm"]) + 35.0)
    second = whole | {"reader": "B", "grade": ""}
    settings = demonstration(tmp_path, least_joints=1, rows=[*rows, second])
    monkeypatch.setattr(own_settings, "_fit", lambda joints, *_: joints)

    kept = fit_own_settings(network, settings, tmp_path / "run")

    places = {Path(joint.outlines[0]).parent.name: joint for joint in kept}
    assert len(kept) == 4
    assert set(places) == {name_of(row) for row in (whole, partial, graded)}
    assert f"{elsewhere['level']} {elsewhere['side']}" in caplog.text
    assert "not found where it was annotated" in caplog.text
    assert places[name_of(graded)].measures == {}
    assert places[name_of(graded)].grade == int(graded["grade"])
    truth = true_width_mm(partial)
    found = places[name_of(partial)].measures["effusion_width_mm"]
    assert found == pytest.approx(truth, abs=0.6)
    one, other = (j for j in kept if Path(j.outlines[0]).parent.name == name_of(whole))
    assert one.measures == other.measures
    assert {one.grade, other.grade} == {int(whole["grade"])}


def test_a_joint_without_outlines_has_no_say_in_the_correction():
    start = SHIPPED.grade.confidence.correction
    extents = [build_extents(effusion_width_mm=2.0, perimeter_fraction=0.5)] * 2
    known = {"effusion_width_mm": 3.0, "perimeter_fraction": 0.9}

    alone = fit_correction(extents[:1], [known], start)

    assert fit_correction(extents, [known, {}], start) == alone
    assert fit_correction(extents, [{}, {}], start) == start


def test_fitted_settings_are_installed_and_taken_back_with_their_model(tmp_path):
    path = trained(tmp_path / "run", fitted=FITTED)
    own = tmp_path / "models"

    installed = install_model(path, own, None, "a test")

    used = read_config(own / "active.toml")
    assert used.segment.belief["marrow_edema"].threshold == 0.8
    assert used.segment.belief["effusion"] == SHIPPED.segment.belief["effusion"]
    assert used.grade.confidence.correction.perimeter_fraction.true == (0.0, 0.9)
    assert used.grade.rules == SHIPPED.grade.rules
    assert with_model(SHIPPED, "segment", installed.name).grade == used.grade
    assert fitted_settings(installed.name) == FITTED
    assert "marrow_edema" in path.with_suffix(".md").read_text()
    roll_back(own)
    assert read_config(own / "active.toml") == SHIPPED


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"grade": {"rules": {"majority": 0.1}}},
            "section 'grade.rules' is not fitted",
        ),
        ({"localize": {"weights": "x"}}, "section 'localize' is not fitted"),
        ({"segment": {"weights": "x"}}, "section 'segment.weights' is not fitted"),
        ({"segment": 3}, "'segment' is no table"),
        (
            {"segment": {"belief": {"effusion": {"threshold": 7.0}}}},
            "threshold = 7.0.*fitted to it",
        ),
    ],
)
def test_a_weight_file_cannot_change_other_settings(tmp_path, change, problem):
    path = trained(tmp_path / "run", fitted=merge(FITTED, change))

    with pytest.raises(ModelError, match=problem) as caught:
        install_model(path, tmp_path / "models", None, "a test")
    assert "\n" not in str(caught.value)


def test_damaged_settings_are_refused_in_one_line(tmp_path):
    said = {"architecture": "joint-segmenter"}
    for text in ("{", "[1]", "[" * 5000, '{"a\\n\\u001b": {}}'):
        with pytest.raises(ModelError, match="fitted settings are damaged") as caught:
            settings_in(tmp_path / "a.safetensors", said | {"settings": text})
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "points", [[0.0, float("nan")], [0.0, float("inf")], range(65)]
)
def test_curves_that_would_spoil_measurements_are_refused(tmp_path, points):
    curve = {"measured": list(points), "true": list(points)}
    change = {"grade": {"confidence": {"correction": {"perimeter_fraction": curve}}}}

    with pytest.raises(ModelError, match="perimeter_fraction"):
        settings_in(tmp_path / "a.safetensors", metadata(change))


def test_odd_numbers_are_written_as_numbers(tmp_path):
    change = {"segment": {"belief": {"effusion": {"smallest_mm3": True}}}}
    path = tmp_path / "active.toml"

    path.write_text(to_toml(settings_in(tmp_path / "a.safetensors", metadata(change))))

    assert read_config(path).segment.belief["effusion"].smallest_mm3 == 1.0


def test_a_localizer_has_no_such_settings(tmp_path):
    said = metadata(FITTED) | {"architecture": "spine-localizer"}

    with pytest.raises(ModelError, match="only a joint-segmenter has such settings"):
        settings_in(tmp_path / "a.safetensors", said)


def test_tables_within_tables_are_written(tmp_path):
    path = tmp_path / "changes.toml"
    path.write_text(to_toml(FITTED))

    assert read_config(path).segment.belief["marrow_edema"].smallest_mm3 == 120.0


def metadata(settings):
    return {"architecture": "joint-segmenter", "settings": json.dumps(settings)}

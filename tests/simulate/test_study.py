import json
from datetime import date

import nibabel
import numpy as np
import pydicom
import pytest

from facetgrade.config_files import read_settings, read_shipped, shipped_path
from facetgrade.errors import OutputError
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate import simulate, simulate_study, write_study
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.study import patient_numbers
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.vendors import draw_patient
from tests.simulate.toy_scene import toy_scene


@pytest.fixture(scope="module")
def grade():
    return read_settings(shipped_path("configs/grade.toml"), GradeSettings)


@pytest.fixture(scope="module")
def config():
    """Two small Siemens series."""
    shipped = read_shipped("configs/simulate.toml", SimulateSettings)
    small = {
        name: ranges.model_copy(update={"matrix": (96,), "slices": (15, 15)})
        for name, ranges in shipped.protocols.items()
    }
    study = shipped.study.model_copy(
        update={
            "always": ("sagittal_stir", "axial_t2_fs"),
            "sometimes": {},
            "habits": {"siemens": 1.0},
        }
    )
    return shipped.model_copy(update={"protocols": small, "study": study})


@pytest.fixture(scope="module")
def written(tmp_path_factory, config, grade):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(1)
    study = simulate_study(
        toy_scene(edema=1.0),
        draw_patient(1, rng),
        draw_subject_tissue(rng),
        study_date=date(2021, 1, 5),
        config=config,
        rng=rng,
    )
    write_study(folder, study, grade=grade, rng=rng)
    return folder, study


def test_truth_lies_in_the_space_of_the_images(written):
    folder, study = written
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    entry = next(j for j in truth["joints"] if j["level"] == "L4-L5")
    assert entry["side"] == "left"
    name = entry["masks"]["structures"]
    image = nibabel.load(folder / "truth" / name)
    ras = [-entry["center_lps_mm"][0], -entry["center_lps_mm"][1]]
    ras.append(entry["center_lps_mm"][2])
    index = np.linalg.inv(image.affine) @ [*ras, 1.0]
    middle = (np.array(image.shape) - 1) / 2.0
    np.testing.assert_allclose(index[:3], middle, atol=0.05)
    assert entry["center_lps_mm"] == pytest.approx(
        next(f for j, f in study.scene.joints.items() if str(j) == "L4-L5 left")
        .center_lps_mm.round(4)
        .tolist()
    )


def test_every_joint_and_series_is_described(written):
    folder, study = written
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    assert len(truth["joints"]) == 8
    uids = {entry["series_uid"] for entry in truth["series"]}
    files = (folder / "dicom").rglob("*.IMA")
    assert uids == {pydicom.dcmread(path).SeriesInstanceUID for path in files}
    assert truth["study_uid"] == study.examination.study_uid
    assert all(0 <= joint["grade"] <= 4 for joint in truth["joints"])


def test_truth_tells_how_each_series_was_disturbed(written):
    folder, study = written
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    for entry, series in zip(truth["series"], study.series, strict=True):
        disturbed = series.imperfections
        # pixels along the phase axis are as wide as the acquired share leaves them
        kept_mm = entry["acquired_pixel_mm"] * disturbed.kept_phase
        assert kept_mm == pytest.approx(series.protocol.pixel_mm, abs=0.001)
        assert entry["ghost_amplitude"] == round(disturbed.ghost_amplitude, 4)
        beating = disturbed.pulsation.vessel_amplitude
        assert entry["pulsation_amplitude"] == round(beating, 4)
        moved = series.displacement_lps
        assert entry["displacement_lps"] == (
            None if moved is None else moved.round(6).tolist()
        )
        assert entry["wrap_share"] == round(disturbed.wrap_share, 4)


def test_a_joint_in_the_stack_is_covered(written):
    folder, _ = written
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    sagittal = truth["series"][0]["series_uid"]
    joint = next(j for j in truth["joints"] if j["level"] == "L3-L4")
    assert joint["covered"][sagittal] > 0.9


def test_at_least_one_study_must_be_asked_for(tmp_path, config, grade):
    folders = simulate(
        tmp_path,
        studies=0,
        seed=1,
        pairs=False,
        anatomy="parametric",
        config=config,
        grade=grade,
    )
    with pytest.raises(ValueError, match="studies must be at least 1"):
        next(folders)


def test_patients_are_numbered_from_the_first_that_is_wanted():
    assert list(patient_numbers(3, 1, first=1)) == [1, 2, 3]
    assert list(patient_numbers(3, 2, first=5)) == [5, 6]  # 3 studies, 2 of each


def test_a_folder_with_other_files_is_left_alone(tmp_path, written, grade):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no simulated study"):
        write_study(tmp_path, written[1], grade=grade, rng=np.random.default_rng(1))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_pair_is_one_patient_a_year_apart_and_repeatable(tmp_path, config, grade):
    coarse = config.anatomy.model_copy(
        update={"body_spacing_mm": 3.0, "column_spacing_mm": 1.0}
    )

    def run(name, *, pairs):
        folders = simulate(
            tmp_path / name,
            studies=1,
            seed=8,
            pairs=pairs,
            anatomy="parametric",
            config=config.model_copy(update={"anatomy": coarse}),
            grade=grade,
        )
        return {
            p.name: json.loads((p / "truth/truth.json").read_text()) for p in folders
        }

    pair = run("pair", pairs=True)
    alone = run("alone", pairs=False)
    assert list(pair) == ["sim-0001_baseline", "sim-0001_followup"]
    first, later = pair.values()
    assert alone == {"sim-0001": first}
    days = [date.fromisoformat(truth["study_date"]) for truth in (first, later)]
    assert (days[1] - days[0]).days == 365
    assert first["patient_id"] == later["patient_id"]

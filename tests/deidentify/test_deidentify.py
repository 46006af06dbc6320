"""Copies hold nothing of the patient, and pairs still belong together."""

import json
from datetime import date

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from facetgrade.cli import app
from facetgrade.config_files import read_settings, shipped_path
from facetgrade.deidentify import (
    REPORT,
    DeidentifySettings,
    deidentify_folder,
    report_record,
)
from facetgrade.deidentify.clean import Change, clean_text
from facetgrade.deidentify.pseudonyms import Pseudonyms
from facetgrade.errors import ConfigError, IngestError, OutputError
from facetgrade.exchange.tolerant import tolerant
from facetgrade.ingest import shipped_settings
from facetgrade.simulate.vendors import Habit
from tests.exchange.builders import (
    dciodvfy_errors,
    load,
    simulated_patient,
    write_phantom,
)
from tests.ingest.builders import SAGITTAL, image_dataset, save

KEY = b"a secret that is kept apart"
SETTINGS = read_settings(shipped_path("configs/deidentify.toml"), DeidentifySettings)
CANARIES = {
    "PatientName": "CANARY01^NAME",
    "PatientID": "CANARY02",
    "PatientBirthDate": "19031103",
    "OtherPatientNames": "CANARY04^OTHER",
    "PatientAddress": "CANARY05 STREET",
    "PatientMotherBirthName": "CANARY06",
    "PatientComments": "CANARY07 COMMENT",
    "ReferringPhysicianName": "CANARY08^DOCTOR",
    "OperatorsName": "CANARY09",
    "InstitutionName": "CANARY10 CLINIC",
    "InstitutionAddress": "CANARY11 ROAD",
    "StationName": "CANARY12",
    "AccessionNumber": "CANARY13",
    "StudyDescription": "MRI LUMBAR SPINE CANARY14",
    "SeriesDescription": "sag_t2_fs CANARY15",
    "ImageComments": "CANARY16",
    "RequestedProcedureDescription": "CANARY17",
    "PatientTelephoneNumbers": "CANARY18",
    "DeviceSerialNumber": "CANARY19",
    "StudyID": "CANARY20",
}
VOLUME = np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5)


def plant(folder, **elements):
    """Write four slices with a canary in every corner of the header."""
    for k, pixels in enumerate(VOLUME):
        place = (10.0 + 4.0 * k, 1.0, 2.0)
        dataset = image_dataset(
            pixels, place, axes=SAGITTAL, number=k, **{**CANARIES, **elements}
        )
        dataset.add_new((0x0029, 0x0010), "LO", "CANARY21 VENDOR")
        dataset.add_new((0x0029, 0x1001), "LO", "CANARY22")
        dataset.add_new((0x2005, 0x0010), "LO", "Philips MR Imaging DD 001")
        dataset.add_new((0x2005, 0x100E), "FL", 0.25)
        dataset.add_new((0x2005, 0x1030), "LO", "CANARY23")
        request = Dataset()
        request.ScheduledProcedureStepDescription = "CANARY24"
        request.PatientName = "CANARY25"
        dataset.RequestAttributesSequence = [request]
        nested = Dataset()
        nested.PatientName = "CANARY26"
        nested.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
        dataset.ReferencedImageSequence = [nested]
        save(dataset, folder / f"CANARY27_{k}.dcm")
    return folder


def capture(folder):
    """Write a screenshot with a name burned into its pixels."""
    pixels = np.full((6, 5), 77, np.uint8)
    dataset = image_dataset(pixels, (0.0, 0.0, 0.0), series="capture", number=9)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.ConversionType = "WSD"
    dataset.PatientName = "CANARY28"
    save(dataset, folder / "capture.dcm")


def run(source, out, key=KEY):
    return deidentify_folder(
        source, out, key=key, settings=SETTINGS, ingest=shipped_settings()
    )


def copies(out):
    return [pydicom.dcmread(path) for path in sorted(out.rglob("*.dcm"))]


def test_no_canary_is_left_anywhere(tmp_path):
    plant(tmp_path / "in")
    capture(tmp_path / "in")
    result = CliRunner().invoke(
        app,
        [
            "deidentify",
            str(tmp_path / "in"),
            str(tmp_path / "out"),
            "--key",
            str(write_key(tmp_path)),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "4 images of 1 subjects" in result.stdout
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        content = path.read_bytes()
        assert b"CANARY" not in content, path
        assert b"19031103" not in content
        assert "CANARY" not in str(path)
    assert "CANARY" not in result.output.replace(str(tmp_path), "")


def write_key(folder):
    path = folder / "secret.key"
    path.write_bytes(KEY)
    return path


def test_pixels_and_geometry_are_untouched(tmp_path):
    run(plant(tmp_path / "in"), tmp_path / "out")
    found = sorted(copies(tmp_path / "out"), key=lambda d: d.InstanceNumber)
    for dataset, pixels in zip(found, VOLUME, strict=True):
        np.testing.assert_array_equal(dataset.pixel_array, pixels)
    assert [float(d.ImagePositionPatient[0]) for d in found] == [10, 14, 18, 22]
    assert found[0].PixelSpacing == [0.5, 0.8]


def test_the_method_is_written_into_every_copy(tmp_path):
    run(plant(tmp_path / "in"), tmp_path / "out")
    dataset = copies(tmp_path / "out")[0]
    assert dataset.PatientIdentityRemoved == "YES"
    assert "PS3.15" in dataset.DeidentificationMethod
    codes = [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113111"]
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"


def test_descriptions_keep_their_known_words(tmp_path):
    run(plant(tmp_path / "in"), tmp_path / "out")
    dataset = copies(tmp_path / "out")[0]
    assert dataset.StudyDescription == "MRI LUMBAR SPINE"
    assert dataset.SeriesDescription == "sag_t2_fs"


def test_safe_private_numbers_stay_with_their_creator_only(tmp_path):
    run(plant(tmp_path / "in"), tmp_path / "out")
    dataset = copies(tmp_path / "out")[0]
    private = [element.tag for element in dataset if element.tag.is_private]
    assert private == [(0x2005, 0x0010), (0x2005, 0x100E)]
    assert dataset[0x2005, 0x100E].value == 0.25


def test_uids_are_replaced_consistently(tmp_path):
    run(plant(tmp_path / "in"), tmp_path / "out")
    originals = [pydicom.dcmread(p) for p in sorted((tmp_path / "in").iterdir())]
    found = copies(tmp_path / "out")
    assert len({dataset.StudyInstanceUID for dataset in found}) == 1
    assert len({dataset.SOPInstanceUID for dataset in found}) == 4
    old = {d.SOPInstanceUID for d in originals}
    for dataset in found:
        (image,) = dataset.ReferencedImageSequence
        assert image.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.SOPInstanceUID not in old
        assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_screenshots_and_other_files_are_left_out_and_counted(tmp_path):
    plant(tmp_path / "in")
    capture(tmp_path / "in")
    (tmp_path / "in/notes.txt").write_text("no image")
    burned = image_dataset(VOLUME[0], (0.0, 0.0, 0.0), BurnedInAnnotation="YES")
    save(burned, tmp_path / "in/burned.dcm")
    result = run(tmp_path / "in", tmp_path / "out")
    assert result.left_out == {
        "screenshot (secondary capture)": 1,
        "not DICOM": 1,
        "text is burned into its pixels": 1,
    }


def test_pairs_still_match_and_keep_their_interval(tmp_path):
    patient = simulated_patient()
    days = (date(2021, 5, 4), date(2022, 5, 10))
    for seed, day in enumerate(days, start=1):
        write_phantom(tmp_path / f"in/{seed}", patient=patient, day=day, seed=seed)
    write_phantom(tmp_path / "in/3", patient=simulated_patient(8), seed=3)
    run(tmp_path / "in", tmp_path / "out")
    found = {}
    for dataset in copies(tmp_path / "out"):
        found.setdefault(dataset.PatientID, set()).add(dataset.StudyDate)
    (pair,) = (dates for dates in found.values() if len(dates) == 2)
    assert len(found) == 2
    first, second = (date.fromisoformat(text) for text in sorted(pair))
    assert second - first == days[1] - days[0]
    assert 30 <= (days[0] - first).days <= 3650


@pytest.mark.parametrize("habit", [Habit.PHILIPS, Habit.ENHANCED, Habit.STRIPPED])
def test_a_copy_is_read_like_its_source(tmp_path, habit):
    write_phantom(tmp_path / "in", habit)
    run(tmp_path / "in", tmp_path / "out")
    _, before = load(tmp_path / "in")
    _, after = load(tmp_path / "out")

    def ordered(study):
        return sorted(study.series, key=lambda series: series.plane)

    assert len(before.series) == len(after.series) == 2
    for old, new in zip(ordered(before), ordered(after), strict=True):
        assert (old.sequence, old.plane) == (new.sequence, new.plane)
        for first, second in zip(old.stacks, new.stacks, strict=True):
            np.testing.assert_array_equal(first.volume.voxels, second.volume.voxels)
            np.testing.assert_allclose(
                first.volume.geometry.index_to_lps, second.volume.geometry.index_to_lps
            )


def test_another_secret_gives_other_pseudonyms(tmp_path):
    plant(tmp_path / "in")
    run(tmp_path / "in", tmp_path / "a")
    run(tmp_path / "in", tmp_path / "b", key=b"another secret kept apart")
    run(tmp_path / "in", tmp_path / "c")
    first, other, again = (copies(tmp_path / name)[0] for name in "abc")
    assert first.PatientID != other.PatientID
    assert first.StudyInstanceUID != other.StudyInstanceUID
    assert first.PatientID == again.PatientID
    assert first.StudyDate == again.StudyDate


def test_a_second_run_writes_the_same_files(tmp_path):
    plant(tmp_path / "in")
    run(tmp_path / "in", tmp_path / "out")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.dcm")}
    run(tmp_path / "in", tmp_path / "out")
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.dcm")} == before


def test_the_report_counts_changes_without_values(tmp_path):
    record = report_record(run(plant(tmp_path / "in"), tmp_path / "out"), "0.1.0")
    text = json.dumps(record)
    assert "CANARY" not in text
    changes = {(c["attribute"], c["change"]): c["count"] for c in record["attributes"]}
    assert changes["InstitutionName", "removed"] == 4
    assert changes["StudyDate", "date shifted"] == 4
    assert changes["SeriesDescription", "cleaned"] == 4
    assert changes["(0029,private)", "removed"] == 8
    assert changes["PatientIdentityRemoved", "added"] == 4


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("t2_tse_fs_tra", "t2_tse_fs_tra"),
        ("Sag STIR Mr. Miller 12/05/1960", "Sag STIR Mr"),
        ("WATER: Ax T2 IDEAL +C", "WATER Ax T2 IDEAL+C"),
        ("DOE^JOHN", ""),
        ("L4-L5 4mm", "L4 L5 4mm"),
    ],
)
def test_only_known_words_survive(text, kept):
    assert clean_text(text, SETTINGS.kept_word) == kept


def pseudonyms(**changes):
    values = {"key": KEY, "patient": "7", "min_shift_days": 10, "max_shift_days": 10}
    return Pseudonyms(**{**values, **changes})


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("20240301", "20240220"),  # 2024 is a leap year: 29 - 8 = 20 with 10 days
        ("2024.03.01", "20240220"),
        ("20240301101112.5+0100", "20240220101112.5+0100"),
        ("about 1960", ""),
        ("20240301 SMITH", ""),
        ("", ""),
    ],
)
def test_dates_move_by_the_patients_days(written, moved):
    assert pseudonyms().date(written) == moved


def test_text_in_place_of_dates_and_times_goes_and_leaves_a_valid_copy(tmp_path):
    write_phantom(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        with tolerant():
            dataset = pydicom.dcmread(path)
            dataset.StudyDate = dataset.StudyTime = "CANARY01"
            dataset.AcquisitionTime = "CANARY02"
            dataset.SeriesTime = "10:11:12.5"
            dataset.save_as(path)
    result = run(tmp_path / "in", tmp_path / "out")
    assert result.changes.counts["StudyTime", Change.EMPTIED] == result.images
    for path in sorted((tmp_path / "out").rglob("*.dcm"))[:2]:
        assert b"CANARY" not in path.read_bytes()
        with tolerant():
            copy = pydicom.dcmread(path)
        assert (copy.StudyDate, copy.StudyTime) == ("", "")
        assert copy.SeriesTime == "10:11:12.5"
        errors = dciodvfy_errors(path)
        assert all("10:11:12.5" in error for error in errors), errors


def test_uids_of_the_standard_stay():
    assert pseudonyms().uid("1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert pseudonyms().uid("1.2.3").startswith("2.25.")


def test_places_within_each_other_are_refused(tmp_path):
    plant(tmp_path / "in")
    with pytest.raises(ConfigError, match="must not lie within each other"):
        run(tmp_path / "in", tmp_path / "in/out")


def test_a_folder_with_something_else_is_refused(tmp_path):
    plant(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").touch()
    with pytest.raises(OutputError, match="holds something else"):
        run(tmp_path / "in", tmp_path / "out")


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("no image")
    with pytest.raises(IngestError, match="no MR image was found to de-identify"):
        run(tmp_path / "in", tmp_path / "out")


def test_a_key_beside_the_copies_is_refused(tmp_path):
    plant(tmp_path / "in")
    (tmp_path / "out").mkdir()
    key = write_key(tmp_path / "out")
    command = ["deidentify", str(tmp_path / "in"), str(tmp_path / "out"), "--key"]
    result = CliRunner().invoke(app, [*command, str(key)])
    assert isinstance(result.exception, ConfigError)
    assert "kept apart" in str(result.exception)


def test_an_interrupted_run_can_go_on(tmp_path):
    plant(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / REPORT).write_text('{"finished": false}')
    assert run(tmp_path / "in", tmp_path / "out").images == 4


def test_changes_have_words():
    assert {change.value for change in Change} >= {"removed", "date shifted"}


@pytest.mark.parametrize("habit", [Habit.SIEMENS, Habit.PHILIPS, Habit.ENHANCED])
def test_copies_are_valid_where_the_source_is(tmp_path, habit):
    write_phantom(tmp_path / "in", habit)
    run(tmp_path / "in", tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*.dcm"))[:2]:
        assert dciodvfy_errors(path) == set()

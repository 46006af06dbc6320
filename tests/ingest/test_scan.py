import json
import os
import shutil
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import MediaStorageDirectoryStorage

from facetgrade.errors import IngestError
from facetgrade.ingest import find_studies, load_study, scan_inputs
from tests.ingest.builders import (
    gradient_volume,
    image_dataset,
    save,
    uid,
    write_series,
)

PIXELS = gradient_volume()


def sources(*paths, settings):
    return [files.source for files in find_studies(*paths, settings=settings)]


def test_one_folder_with_many_studies_yields_many_studies(tmp_path, settings):
    write_series(tmp_path, PIXELS, study="a", name="a")
    write_series(tmp_path, PIXELS, study="b", name="b")
    write_series(tmp_path / "deep" / "er", PIXELS, study="c")

    found = find_studies(tmp_path, settings=settings)

    assert sorted((f.source, f.study_uid) for f in found) == sorted(
        [(".", uid("a")), (".", uid("b")), ("deep/er", uid("c"))]
    )
    assert [len(f.files) for f in found] == [5, 5, 5]


def test_source_is_the_deepest_folder_of_all_files(tmp_path, settings):
    write_series(tmp_path / "site" / "p1" / "s1", PIXELS, series="s1")
    write_series(tmp_path / "site" / "p1" / "s2", PIXELS, series="s2")

    assert sources(tmp_path, settings=settings) == ["site/p1"]


def test_several_inputs_are_named_from_their_common_parent(tmp_path, settings):
    write_series(tmp_path / "x" / "one", PIXELS, study="a")
    write_series(tmp_path / "y" / "two", PIXELS, study="b")

    found = sources(tmp_path / "x", tmp_path / "y", settings=settings)

    assert found == ["x/one", "y/two"]


def test_a_file_as_input_gives_its_name(tmp_path, settings):
    file = write_series(tmp_path, PIXELS)[2]

    assert sources(file, settings=settings) == ["slice002.dcm"]


def test_the_same_input_twice_is_read_once(tmp_path, settings):
    write_series(tmp_path, PIXELS)

    (files,) = find_studies(tmp_path, tmp_path / ".", settings=settings)

    assert (files.source, len(files.files)) == (".", 5)


def test_two_patients_with_one_study_uid_are_two_studies(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS, PatientID="1")
    write_series(tmp_path / "b", PIXELS, PatientID="2")

    assert sources(tmp_path, settings=settings) == ["a", "b"]


def test_patients_of_one_folder_who_share_a_study_uid_get_their_own(tmp_path, settings):
    for patient in "12":
        write_series(tmp_path, PIXELS, name=patient, PatientID=patient)

    found = find_studies(tmp_path, settings=settings)

    assert [(files.source, len(files.files)) for files in found] == [(".", 5)] * 2
    assert len({files.study_uid for files in found} - {uid("study")}) == 2


def test_files_without_study_uid_belong_together_by_folder(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS, StudyInstanceUID=None)
    write_series(tmp_path / "b", PIXELS, StudyInstanceUID=None, series="other")

    found = find_studies(tmp_path, settings=settings)

    assert [f.source for f in found] == ["a", "b"]
    assert all(f.study_uid.startswith("2.25.") for f in found)
    assert found[0].study_uid != found[1].study_uid


def test_clutter_is_named_and_never_fatal(tmp_path, settings):
    write_series(tmp_path, PIXELS)
    (tmp_path / "notes.txt").write_text("call me")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "loop.dcm").symlink_to(tmp_path / "loop.dcm")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "short.dcm").write_bytes(bytes(128) + b"DICM\x02\x00")

    (files,) = find_studies(tmp_path, settings=settings)

    assert [problem.split()[0] for problem in files.problems] == [
        "empty.dcm",
        "loop.dcm",
        "notes.txt",
        "short.dcm",
    ]
    assert "zero bytes" in files.problems[0]
    assert "symbolic links" in files.problems[1]
    assert "is not DICOM" in files.problems[2]


def test_problems_go_to_the_study_whose_folder_holds_them(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS, study="a")
    write_series(tmp_path / "b", PIXELS, study="b")
    (tmp_path / "b" / "bad.dcm").touch()

    scan = scan_inputs([tmp_path], settings)

    assert [len(files.problems) for files in scan.studies] == [0, 1]
    assert len(scan.problems) == 1


def test_truth_folder_is_skipped_only_with_truth_json(tmp_path, settings):
    write_series(tmp_path / "s" / "dicom", PIXELS, study="a")
    write_series(tmp_path / "s" / "truth", PIXELS, study="b")
    write_series(tmp_path / "t" / "truth", PIXELS, study="c")
    (tmp_path / "s" / "truth" / "truth.json").write_text("{}")

    assert sources(tmp_path, settings=settings) == ["s/dicom", "t/truth"]


def test_earlier_results_are_not_inputs(tmp_path, settings):
    write_series(tmp_path / "in", PIXELS, study="a")
    write_series(tmp_path / "out" / "studies" / "x", PIXELS, study="b")
    write_series(tmp_path / "out" / "mine", PIXELS, study="c")
    for name in ("run.json", "joints.csv", "facetgrade.log"):
        (tmp_path / "out" / name).touch()

    assert sources(tmp_path, settings=settings) == ["in", "out/mine"]
    assert scan_inputs([tmp_path], settings).problems == ()


def test_files_that_nobody_could_read_are_told_apart_from_clutter(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS, study="a")
    for name in ("a/empty.dcm", "b/1.dcm", "b/2.dcm", "c/1.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").write_text("x")

    scan = scan_inputs([tmp_path], settings)

    # a/empty.dcm belongs to a study that was found; notes.txt is no image
    assert [place.source for place in scan.unread] == ["b", "c/1.dcm"]
    assert scan.unread[0].sentence.endswith("interrupted (and 1 more files)")
    assert len(scan.problems) == 5


def test_very_deep_folders_are_walked(tmp_path, settings, monkeypatch):
    write_series(tmp_path / "z", PIXELS)
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):
        Path("d").mkdir()
        os.chdir("d")
    try:
        assert sources(tmp_path, settings=settings) == ["z"]
    finally:
        for _ in range(1100):
            os.chdir("..")
            Path("d").rmdir()


def test_derivatives_of_a_bids_tree_are_skipped(tmp_path, settings):
    (tmp_path / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    write_series(tmp_path / "sub-01" / "anat", PIXELS, study="a")
    write_series(tmp_path / "derivatives" / "x", PIXELS, study="b")

    assert sources(tmp_path, settings=settings) == ["sub-01/anat"]


def test_loop_of_folders_ends(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS)
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)

    (files,) = find_studies(tmp_path, settings=settings)

    assert len(files.files) == 5


def test_dicom_without_preamble_is_found(tmp_path, settings, privacy):
    for file in write_series(tmp_path, PIXELS):
        content = file.read_bytes()
        start = content.index(b"\x08\x00\x16\x00")
        file.write_bytes(content[start:])

    (files,) = find_studies(tmp_path, settings=settings)

    assert load_study(files, settings, privacy).series[0].stacks[0].volume


def test_dicomdir_lists_the_files(tmp_path, settings):
    for k, file in enumerate(write_series(tmp_path / "IMG", PIXELS)):
        shutil.copy(file, tmp_path / "unlisted.dcm")
        file.rename(file.with_name(f"im{k}"))
    path = write_dicomdir(tmp_path, [f"IM{k}" for k in range(5)])

    (files,) = find_studies(path, settings=settings)

    assert len(files.files) == 5
    assert files.source == "IMG"


def test_dicomdir_that_points_outside_or_nowhere_is_reported(tmp_path, settings):
    write_series(tmp_path / "IMG", PIXELS)[0].rename(tmp_path / "IMG" / "IM0")
    path = write_dicomdir(tmp_path, ["IM0", "GONE"], extra=["..", "IM1"])

    scan = scan_inputs([path], settings)

    assert len(scan.studies[0].files) == 1
    assert len(scan.problems) == 2
    assert "IMG/GONE is listed in DICOMDIR" in scan.problems[0]


def test_dicomdir_in_a_folder_adds_nothing(tmp_path, settings):
    write_series(tmp_path / "IMG", PIXELS)
    write_dicomdir(tmp_path, ["IM0"])

    scan = scan_inputs([tmp_path], settings)

    assert len(scan.studies[0].files) == 5
    assert scan.problems == ()


def test_empty_folder_is_one_sentence(tmp_path, settings):
    with pytest.raises(IngestError, match=r"no study found in .*: there are no files"):
        find_studies(tmp_path, settings=settings)


def test_missing_input_is_one_sentence(tmp_path, settings):
    with pytest.raises(IngestError, match="nowhere does not exist; check the spelling"):
        find_studies(tmp_path / "nowhere", settings=settings)


def test_folder_without_images_is_one_sentence(tmp_path, settings):
    (tmp_path / "a.txt").write_text("x")
    report = image_dataset(PIXELS[0], (0, 0, 0), Modality="SR", PixelData=None)
    for keyword in ("Rows", "Columns"):
        delattr(report, keyword)
    save(report, tmp_path / "sr.dcm")

    with pytest.raises(IngestError, match=r"a\.txt is not DICOM"):
        find_studies(tmp_path, settings=settings)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(IngestError, match="no image; a report, or cut off"):
        find_studies(tmp_path, settings=settings)


def test_device_and_pipe_are_not_opened(tmp_path, settings):
    write_series(tmp_path, PIXELS)
    os.mkfifo(tmp_path / "pipe")

    (files,) = find_studies(tmp_path, settings=settings)

    assert files.problems == ("pipe is not a regular file",)


def write_dicomdir(folder, names, extra=None):
    directory = Dataset()
    directory.SOPClassUID = MediaStorageDirectoryStorage
    directory.SOPInstanceUID = uid("directory")
    records = []
    for parts in [*(["IMG", name] for name in names), *([extra] if extra else [])]:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        with config.disable_value_validation():
            record.ReferencedFileID = parts
        records.append(record)
    directory.DirectoryRecordSequence = DicomSequence(records)
    return save(directory, folder / "DICOMDIR")


def test_images_cut_off_in_their_header_are_named_beside_a_study(tmp_path, settings):
    write_series(tmp_path / "a", PIXELS, study="a")
    for path in write_series(tmp_path / "b", PIXELS, study="b"):
        path.write_bytes(path.read_bytes()[:600])

    scan = scan_inputs([tmp_path], settings)

    assert [files.source for files in scan.studies] == ["a"]
    sentence = "slice000.dcm and 4 other DICOM files: no image; a report, or cut off"
    assert [place.sentence for place in scan.unread] == [sentence]

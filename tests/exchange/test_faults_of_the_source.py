"""Headers that lack much or break rules still get valid objects, or a note."""

import pytest

from facetgrade.exchange.write import write_dicom
from facetgrade.simulate.vendors import stripped
from tests.exchange.builders import (
    dciodvfy_errors,
    load,
    read,
    report_on,
    settings,
    tolerant,
    write_phantom,
)
from tests.report import builders as phantom

ILLEGAL = {
    "PatientSex": "X",
    "PatientAge": "35",
    "StudyDate": "2021.05.04",
    "AccessionNumber": "A" * 20,
}


@pytest.fixture
def objects(tmp_path):
    """Change every header of the phantom, then write SEG and SR."""

    def make(change):
        write_phantom(tmp_path / "in")
        for path in (tmp_path / "in").iterdir():
            dataset = read(path)
            with tolerant():
                change(dataset)
                dataset.save_as(path)
        files, study = load(tmp_path / "in")
        made = write_dicom(
            report_on(study),
            study,
            files,
            tmp_path / "out",
            context=phantom.context(),
            settings=settings(),
        )
        return [tmp_path / "out" / name for name in made.names], made.notes

    return make


def test_a_header_without_patient_maker_and_dates_is_enough(objects):
    def strip(dataset):
        for element in list(dataset):
            if element.keyword not in stripped._KEPT - {"PatientID"}:
                del dataset[element.tag]
        dataset.FrameOfReferenceUID = ""

    paths, notes = objects(strip)

    assert len(paths) == 4
    assert notes == ()
    for path in paths:
        assert dciodvfy_errors(path) == set()


def test_names_keep_their_character_set(objects):
    def rename(dataset):
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.PatientName = "Yamada^Tarou=山田^太郎"

    paths, notes = objects(rename)

    assert notes == ()
    for path in paths:
        assert str(read(path).PatientName) == "Yamada^Tarou=山田^太郎"
        assert dciodvfy_errors(path) == set()


def test_illegal_values_are_kept_and_noted(objects):
    def spoil(dataset):
        for keyword, value in ILLEGAL.items():
            setattr(dataset, keyword, value)

    paths, (note,) = objects(spoil)

    assert note.startswith(
        "DICOM SEG and SR repeat illegal values of the source (AccessionNumber, "
        "PatientAge, PatientSex, StudyDate), so that they file with the study"
    )
    errors = set.union(*map(dciodvfy_errors, paths))
    assert len(errors) == len(ILLEGAL)
    assert all(any(value in error for value in ILLEGAL.values()) for error in errors)

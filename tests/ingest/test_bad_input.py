import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from facetgrade.errors import IngestError
from facetgrade.ingest import content_sha256, find_studies, load_study, read_studies
from facetgrade.study import Plane
from tests.ingest.builders import (
    AXIAL,
    SAGITTAL,
    gradient_volume,
    image_dataset,
    save,
    write_series,
)

PIXELS = gradient_volume()


def load(folder, settings, privacy):
    (files,) = find_studies(folder, settings=settings)
    return load_study(files, settings, privacy)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Modality": "CT"}, "modality CT, not MR"),
        ({"BodyPartExamined": "HEAD"}, "body part HEAD, not the lumbar spine"),
        ({"Modality": None, "RescaleIntercept": "-1024"}, "Hounsfield"),
        ({"SeriesDescription": "localizer"}, "localizer"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
    ],
)
def test_study_of_something_else_is_one_sentence(
    tmp_path, settings, privacy, elements, message
):
    write_series(tmp_path, PIXELS, **elements)

    with pytest.raises(IngestError, match=rf"no usable MR series: .*{message}"):
        load(tmp_path, settings, privacy)


def test_single_slice_is_one_sentence(tmp_path, settings, privacy):
    write_series(tmp_path, PIXELS[:1])

    with pytest.raises(IngestError, match="only 1 slices in 1 stacks, too few to use"):
        load(tmp_path, settings, privacy)


def test_color_screenshot_is_rejected_and_the_rest_is_used(tmp_path, settings, privacy):
    write_series(tmp_path, PIXELS)
    shot = image_dataset(PIXELS[0], (0, 0, 0), series="shot", instance="shot")
    shot.SamplesPerPixel, shot.PhotometricInterpretation = 3, "RGB"
    save(shot, tmp_path / "shot.dcm")

    study = load(tmp_path, settings, privacy)

    assert len(study.series) == 1
    assert study.rejected[0].reason == "color image (screenshot or rendering)"


def test_truncated_file_leaves_a_hole_that_is_filled(tmp_path, settings, privacy):
    files = write_series(tmp_path, gradient_volume((7, 8, 10)))
    files[3].write_bytes(files[3].read_bytes()[:-50])

    study = load(tmp_path, settings, privacy)

    assert study.series[0].stacks[0].missing_slices == (3,)
    assert "slice003.dcm: pixels cannot be decoded" in study.notes[0]
    assert "slice 4 of 7 is missing and was interpolated" in study.notes[1]


def test_all_files_truncated_is_one_sentence(tmp_path, settings, privacy):
    for file in write_series(tmp_path, PIXELS):
        file.write_bytes(file.read_bytes()[:-50])

    with pytest.raises(
        IngestError, match=r"no usable MR series: slice000\.dcm and 4 more files: pix"
    ):
        load(tmp_path, settings, privacy)


def test_random_bytes_never_crash(tmp_path, settings, privacy):
    content = write_series(tmp_path / "good", PIXELS)[0].read_bytes()
    rng = np.random.default_rng(0)
    (tmp_path / "bad").mkdir()
    for k in range(60):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[rng.integers(132, len(damaged))] = rng.integers(0, 256)
        (tmp_path / "bad" / f"{k}.dcm").write_bytes(bytes(damaged))

    for files in find_studies(tmp_path, settings=settings):
        try:
            load_study(files, settings, privacy)
        except IngestError as error:
            assert "no usable MR series" in str(error)  # noqa: PT017


def test_illegal_uids_and_stripped_headers_are_read(tmp_path, settings, privacy):
    stripped = dict.fromkeys(["Modality", "PatientName", "PatientID", "StudyDate"])
    for part, axes in (("sag", None), ("tra", AXIAL)):
        options = {"axes": axes, "origin": (-20, -30, 30)} if axes else {}
        write_series(
            tmp_path,
            PIXELS,
            name=part,
            series=part,
            SeriesDescription="T2",
            StudyInstanceUID="1.2.03.0004",
            FrameOfReferenceUID=f"1.2.3.0{len(part)}.{part}",
            **options,
            **stripped,
        )

    study = load(tmp_path, settings, privacy)

    assert study.uid == "1.2.03.0004"
    assert (study.subject, study.date) == ("", "")
    assert [series.description for series in study.series] == ["T2", "T2"]


def test_content_hash_ignores_names_and_order(tmp_path, settings, privacy):
    paths = write_series(tmp_path / "a", PIXELS)
    (tmp_path / "b").mkdir()
    for k, path in enumerate(paths):
        (tmp_path / "b" / f"{9 - k}").write_bytes(path.read_bytes())

    first = load(tmp_path / "a", settings, privacy)
    second = load(tmp_path / "b", settings, privacy)
    (files,) = find_studies(tmp_path / "b", settings=settings)

    assert first.content_sha256 == second.content_sha256 == content_sha256(files)


def test_read_studies_yields_what_is_usable(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_series(tmp_path / "in" / "good", PIXELS, study="a")
    write_series(tmp_path / "in" / "ct", PIXELS, study="b", Modality="CT")

    studies = list(read_studies(tmp_path / "in"))

    assert [study.source for study in studies] == ["good"]
    assert "study ct has no usable MR series" in caplog.text


def test_read_studies_raises_when_nothing_is_usable(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_series(tmp_path / "in", PIXELS, Modality="CT")

    with pytest.raises(IngestError, match="modality CT"):
        list(read_studies(tmp_path / "in"))


def test_three_planes_in_one_series_are_a_localizer(tmp_path, settings, privacy):
    coronal = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    for name, axes in (("s", SAGITTAL), ("a", AXIAL), ("c", coronal)):
        write_series(tmp_path, PIXELS, name=name, axes=axes, SeriesDescription="x")

    with pytest.raises(IngestError, match="sagittal, axial and coronal slices in one"):
        load(tmp_path, settings, privacy)


def test_two_planes_in_one_series_become_two(tmp_path, settings, privacy):
    for name, axes in (("s", SAGITTAL), ("a", AXIAL)):
        write_series(tmp_path, PIXELS, name=name, axes=axes, SeriesDescription="T2")

    study = load(tmp_path, settings, privacy)

    assert {series.plane for series in study.series} == {Plane.SAGITTAL, Plane.AXIAL}
    assert "holds 2 parts: axial T2, sagittal T2" in study.notes[0]


def test_steep_block_stays_with_the_axial_blocks(tmp_path, settings, privacy):
    # 50 degrees: the normal is nearer to the coronal than to the axial one
    steep = ((1.0, 0.0, 0.0), (0.0, np.cos(0.87), np.sin(0.87)))
    write_series(tmp_path, PIXELS, name="a", axes=AXIAL)
    write_series(tmp_path, PIXELS, name="b", axes=steep, origin=(-20, -30, 0))

    (series,) = load(tmp_path, settings, privacy).series

    assert series.plane is Plane.AXIAL
    assert len(series.stacks) == 2


def test_film_of_several_frames_without_geometry_is_refused(
    tmp_path, settings, privacy
):
    film = image_dataset(PIXELS[0], (0, 0, 0))
    film.NumberOfFrames = 5
    film.PixelData = PIXELS.tobytes()
    save(film, tmp_path / "film.dcm")

    with pytest.raises(IngestError, match="5 frames but places for 1"):
        load(tmp_path, settings, privacy)


def test_deflated_bomb_is_refused_before_it_is_unpacked(
    tmp_path, settings, privacy, monkeypatch
):
    monkeypatch.setattr("facetgrade.ingest.deflate._MAX_DEFLATED_MB", 1)
    zeros = np.zeros((1000, 1000), np.uint16)
    save(
        image_dataset(zeros, (0, 0, 0)),
        tmp_path / "bomb.dcm",
        syntax=DeflatedExplicitVRLittleEndian,
    )
    write_series(tmp_path, PIXELS)

    study = load(tmp_path, settings, privacy)

    assert (tmp_path / "bomb.dcm").stat().st_size < 10_000
    assert study.notes[0] == "bomb.dcm unpacks to more than 1 MB, refused"

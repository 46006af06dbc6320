import io
import tarfile
import zipfile

import numpy as np
import pytest

from facetgrade.errors import IngestError
from facetgrade.ingest import find_studies, load_study, scan_inputs
from facetgrade.ingest.archive import list_members, read_files
from tests.ingest.builders import gradient_volume, write_series


def zip_of(path, names_and_bytes, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in names_and_bytes:
            archive.writestr(name, content)
    return path


def archived_series(tmp_path):
    files = write_series(tmp_path / "loose", gradient_volume(), SeriesDescription="T2")
    return [(f"p1/dicom/{file.name}", file.read_bytes()) for file in files]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tar_archive_gives_the_same_study_as_its_files(
    tmp_path, settings, privacy, suffix
):
    path = tmp_path / f"study.{suffix}"
    mode = {"tar": "w"}.get(suffix, f"w:{suffix.rpartition('.')[2]}")
    with tarfile.open(path, mode) as archive:
        for name, content in reversed(archived_series(tmp_path)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    (files,) = find_studies(path, settings=settings)
    study = load_study(files, settings, privacy)

    assert files.source == f"study.{suffix}/p1/dicom"
    voxels = study.series[0].stacks[0].volume.voxels
    np.testing.assert_array_equal(voxels, gradient_volume())


def test_zip_below_a_folder_is_named_by_its_path(tmp_path, settings, privacy):
    members = archived_series(tmp_path)
    (tmp_path / "in" / "site").mkdir(parents=True)
    zip_of(tmp_path / "in" / "site" / "a.zip", members)

    (files,) = find_studies(tmp_path / "in", settings=settings)

    assert files.source == "site/a.zip/p1/dicom"
    assert load_study(files, settings, privacy).series[0].stacks


def test_entry_that_climbs_out_is_named_and_not_read(tmp_path, settings):
    members = [*archived_series(tmp_path), ("../../evil.dcm", b"x"), ("/abs", b"y")]
    path = zip_of(tmp_path / "a.zip", members)

    files, problems = list_members(path, settings.archive)

    assert len(files) == 5
    assert [p.split(" in ")[0] for p, _ in problems] == ["../../evil.dcm", "/abs"]
    assert all("points outside the archive" in problem for problem, _ in problems)
    assert all(hides_images for _, hides_images in problems)
    find_studies(path, settings=settings)
    assert not (tmp_path.parent / "evil.dcm").exists()


def test_links_in_a_tar_are_not_followed(tmp_path, settings):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("passwords.dcm")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)

    files, problems = list_members(path, settings.archive)

    assert files == []
    sentence = "passwords.dcm in a.tar is a link or a device; it is not read"
    assert problems == [(sentence, False)]


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, settings):
    path = zip_of(tmp_path / "bomb.zip", [("a.dcm", bytes(60_000_000))])

    with pytest.raises(IngestError, match=r"compression ratio .* likely zip bomb"):
        list_members(path, settings.archive)
    with pytest.raises(IngestError, match=r"no study found in .*bomb\.zip.*zip bomb"):
        find_studies(path, settings=settings)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max_entries": 3}, "more than 3 entries"),
        ({"max_total_mb": 0.001}, "more than 0 MB when unpacked"),
    ],
)
def test_archive_beyond_a_limit_is_refused(tmp_path, settings, limit, message):
    path = zip_of(tmp_path / "a.zip", archived_series(tmp_path))
    limits = settings.archive.model_copy(update=limit)

    with pytest.raises(IngestError, match=message):
        list_members(path, limits)


def test_damaged_archive_is_one_problem_and_the_rest_goes_on(tmp_path, settings):
    whole = zip_of(tmp_path / "whole.zip", archived_series(tmp_path)).read_bytes()
    folder = tmp_path / "in"
    write_series(folder / "good", gradient_volume())
    (folder / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08\x00garbage")

    scan = scan_inputs([folder], settings)

    assert len(scan.studies) == 1
    assert len(scan.problems) == 2
    assert all("cannot be read" in problem for problem in scan.problems)


def test_member_with_a_wrong_checksum_is_named(tmp_path):
    content = b"A" * 1000
    path = zip_of(tmp_path / "a.zip", [("x.dcm", content)], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"B"))
    files, _ = list_members(path, _limits())

    ((_, read),) = read_files(files)

    assert "x.dcm cannot be read (Bad CRC-32" in read


def test_office_documents_are_not_archives(tmp_path, settings):
    folder = tmp_path / "in"
    write_series(folder, gradient_volume())
    zip_of(folder / "list.xlsx", [("xl/workbook.xml", b"<a/>")])

    scan = scan_inputs([folder], settings)

    assert scan.problems == ("list.xlsx is not DICOM or NIfTI",)


def _limits():
    from facetgrade.ingest import shipped_settings

    return shipped_settings().archive


def test_damaged_xz_is_one_sentence(tmp_path, settings):
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for k in range(40):
            info = tarfile.TarInfo(f"{k}.dcm")
            info.size = 4000
            archive.addfile(info, io.BytesIO(np.random.default_rng(k).bytes(4000)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)

    with pytest.raises(IngestError, match=r"a\.tar\.xz cannot be read .*damaged"):
        list_members(path, settings.archive)


def test_name_that_is_no_text_is_one_sentence(tmp_path, settings):
    path = zip_of(tmp_path / "a.zip", [("\u00e9.dcm", b"x")])
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xfe"))

    with pytest.raises(IngestError, match=r"a\.zip cannot be read .*damaged"):
        list_members(path, settings.archive)


def test_results_in_an_archive_are_not_inputs(tmp_path, settings):
    members = [(f"in/{name}", content) for name, content in archived_series(tmp_path)]
    members += [("out/studies/x/seg.nii", b"x")]
    members += [(f"out/{name}", b"x") for name in ("run.json", "joints.csv")]
    path = zip_of(tmp_path / "a.zip", members)

    scan = scan_inputs([path], settings)

    assert (len(scan.studies), scan.problems) == (1, ())

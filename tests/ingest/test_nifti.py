import gzip
import itertools
import json

import nibabel as nib
import numpy as np
import pytest

from facetgrade.errors import IngestError
from facetgrade.ingest import find_studies, load_study, scan_inputs
from facetgrade.ingest.nifti import decode_nifti, oriented_volume
from facetgrade.study import Plane, Sequence

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine(spacing_mm, origin=(11.0, -20.0, 30.0)):
    matrix = np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = origin
    return matrix


def write(path, shape=(4, 12, 10), spacing_mm=(4.4, 0.5, 0.8), *, sidecar=None, **more):
    """Write an image whose values are not whole numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).uniform(0, 900, shape)
    matrix = more.get("matrix", affine(spacing_mm, more.get("origin", (11, -20, 30))))
    image = nib.Nifti1Image(values.astype(np.float32), matrix)
    nib.save(image, path)
    if sidecar:
        stem = path.name.split(".")[0]
        (path.parent / f"{stem}.json").write_text(json.dumps(sidecar))
    return values.astype(np.float32)


def load(path, settings, privacy):
    (files,) = find_studies(path, settings=settings)
    return load_study(files, settings, privacy)


def test_ras_axes_become_lps_slices_rows_and_columns(tmp_path, settings, privacy):
    values = write(tmp_path / "sub_T2w.nii.gz")

    (series,) = load(tmp_path, settings, privacy).series

    assert (series.plane, series.sequence) == (Plane.SAGITTAL, Sequence.T2)
    volume = series.stacks[0].volume
    assert volume.geometry.shape == (4, 10, 12)
    assert volume.geometry.spacing_mm == pytest.approx([4.4, 0.8, 0.5])
    # voxel (i, j, k) = (3, 2, 1): RAS (11 + 13.2, -20 + 1, 30 + 0.8), LPS signs turned
    index = volume.geometry.to_index([-24.2, 19.0, 30.8])
    np.testing.assert_allclose(index, np.rint(index), atol=1e-5)
    assert volume.voxels[tuple(np.rint(index).astype(int))] == values[3, 2, 1]


@pytest.mark.parametrize(
    ("spacing_mm", "plane", "down"),
    [
        ((4.0, 0.5, 0.8), Plane.SAGITTAL, (0, 0, -1)),
        ((0.5, 0.8, 4.0), Plane.AXIAL, (0, 1, 0)),
        ((0.5, 4.0, 0.8), Plane.CORONAL, (0, 0, -1)),
        ((1.0, 1.0, 1.02), Plane.SAGITTAL, (0, 0, -1)),
    ],
)
def test_the_thick_axis_is_the_slice_axis(
    tmp_path, settings, privacy, spacing_mm, plane, down
):
    write(tmp_path / "T2.nii", (8, 9, 10), spacing_mm)

    (series,) = load(tmp_path, settings, privacy).series

    axes = series.stacks[0].volume.geometry.axes
    assert series.plane is plane
    np.testing.assert_allclose(axes[1], down, atol=1e-6)
    assert (axes[0] >= 0).all()
    assert (axes[2] >= 0).all()


@pytest.mark.parametrize(
    "order", [*itertools.permutations(range(3))], ids=lambda order: str(order)
)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, -1)])
def test_storage_order_does_not_move_the_patient(order, signs):
    values = np.random.default_rng(0).uniform(0, 9, (3, 4, 5)).astype(np.float32)
    rotation = np.array([[0.98, -0.17, 0.1], [0.17, 0.98, 0.0], [-0.1, 0.02, 0.99]])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag([4.0, 0.6, 0.5])
    matrix[:3, 3] = (7.0, -3.0, 2.0)
    flip = tuple(slice(None, None, sign) for sign in signs)
    stored = np.transpose(values[flip], order)
    moved = np.eye(4)
    for new, old in enumerate(order):
        moved[:3, new] = matrix[:3, old] * signs[old]
    last = [(n - 1) if s < 0 else 0 for n, s in zip(values.shape, signs, strict=True)]
    moved[:3, 3] = matrix[:3, 3] + matrix[:3, :3] @ last

    volume = oriented_volume(stored, moved, 0.1)

    expected = oriented_volume(values, matrix, 0.1)
    np.testing.assert_array_equal(volume.voxels, expected.voxels)
    np.testing.assert_allclose(
        volume.geometry.index_to_lps, expected.geometry.index_to_lps, atol=1e-9
    )
    point = volume.geometry.to_index((RAS_TO_LPS @ matrix @ [2, 1, 3, 1])[:3])
    assert volume.voxels[tuple(np.rint(point).astype(int))] == values[2, 1, 3]


def test_sidecar_times_are_seconds(tmp_path, settings, privacy):
    write(
        tmp_path / "scan.nii.gz",
        sidecar={
            "RepetitionTime": 4.2,
            "EchoTime": 0.055,
            "InversionTime": 0.15,
            "SeriesDescription": "T2",
        },
    )

    (series,) = load(tmp_path, settings, privacy).series

    assert series.sequence is Sequence.T2_FS
    assert series.evidence[0].startswith("TR 4200 TE 55 TI 150 ms")
    assert (series.uid, series.description) == ("scan.nii.gz", "T2")


def test_bids_suffix_tells_the_contrast(tmp_path, settings, privacy):
    folder = tmp_path / "sub-01" / "anat"
    write(folder / "sub-01_acq-sag_T1w.nii.gz", spacing_mm=(4.0, 0.5, 0.8))
    write(folder / "sub-01_acq-sagstir_T2w.nii.gz", (4, 13, 10))
    (tmp_path / "dataset_description.json").write_text("{}")

    study = load(tmp_path, settings, privacy)

    assert study.source == "sub-01/anat"
    assert [series.sequence for series in study.series] == [Sequence.T1, Sequence.T2_FS]


def test_common_name_and_place_make_one_study(tmp_path, settings):
    write(tmp_path / "a_T1.nii.gz")
    write(tmp_path / "a_T2.nii.gz")
    write(tmp_path / "b_T2.nii.gz")

    found = find_studies(tmp_path, settings=settings)

    assert [f.source for f in found] == [".", "b_T2.nii.gz"]
    assert len(found[0].files) == 2


def test_common_name_elsewhere_in_space_is_another_study(tmp_path, settings):
    write(tmp_path / "a_T1.nii.gz")
    write(tmp_path / "a_T2.nii.gz", origin=(500, 0, 0))

    found = find_studies(tmp_path, settings=settings)

    assert [f.source for f in found] == ["a_T1.nii.gz", "a_T2.nii.gz"]


def test_study_uid_comes_from_the_content_not_the_name(tmp_path, settings):
    write(tmp_path / "x" / "a.nii.gz")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "other.nii.gz").write_bytes(
        (tmp_path / "x" / "a.nii.gz").read_bytes()
    )

    first, second = find_studies(tmp_path, settings=settings)

    assert first.study_uid == second.study_uid
    assert first.study_uid.startswith("2.25.")
    assert (first.source, second.source) == ("x/a.nii.gz", "y/other.nii.gz")


def test_date_and_subject_are_empty(tmp_path, settings, privacy):
    write(tmp_path / "T2.nii.gz")

    study = load(tmp_path / "T2.nii.gz", settings, privacy)

    assert (study.date, study.subject, study.source) == ("", "", "T2.nii.gz")
    assert len(study.content_sha256) == 64


def test_label_maps_and_ct_beside_an_image_are_left_out(tmp_path, settings):
    write(tmp_path / "a_T2w.nii.gz")
    write(tmp_path / "a_T2w_seg.nii.gz")
    labels = np.zeros((4, 12, 10), np.uint8)
    labels[1:3, 3:9, 3:9] = 2
    nib.save(nib.Nifti1Image(labels, affine((4.4, 0.5, 0.8))), tmp_path / "a_x.nii")

    scan = scan_inputs([tmp_path], settings)

    assert [files.source for files in scan.studies] == ["a_T2w.nii.gz"]
    assert [p.split(": ")[1] for p in scan.problems] == [
        "label map (file name)",
        "label map (few whole numbers)",
    ]


def test_volume_without_orientation_is_refused(tmp_path, settings):
    image = nib.Nifti1Image(np.random.rand(4, 5, 6).astype("f4"), None)  # noqa: NPY002
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(image, tmp_path / "T2.nii")

    with pytest.raises(IngestError, match="does not say which way the patient lies"):
        find_studies(tmp_path, settings=settings)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-300], "is cut off or damaged in its voxels"),
        (lambda content: content[:100], "is not NIfTI or is damaged"),
        (lambda content: gzip.compress(content)[:-20], "is cut off|is damaged|voxels"),
        (lambda _: b"\x1f\x8b garbage garbage", "is damaged .not valid gzip"),
    ],
)
def test_damaged_file_is_one_sentence(tmp_path, settings, damage, message):
    write(tmp_path / "T2.nii")
    path = tmp_path / "T2.nii"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(IngestError, match=message):
        find_studies(path, settings=settings)


def test_gzip_bomb_is_refused(settings):
    limits = settings.nifti.model_copy(update={"max_unpacked_mb": 0.1})

    with pytest.raises(IngestError, match="unpacks to more than 0 MB"):
        decode_nifti(gzip.compress(bytes(1_000_000)), limits)


def test_single_slice_is_refused_with_its_reason(tmp_path, settings, privacy):
    write(tmp_path / "T2.nii", (1, 12, 10))

    with pytest.raises(IngestError, match="only 1 slices, too few"):
        load(tmp_path, settings, privacy)


def test_first_of_several_volumes_is_used_and_noted(tmp_path, settings, privacy):
    values = np.random.default_rng(0).uniform(0, 9, (4, 12, 10, 3)).astype("f4")
    nib.save(nib.Nifti1Image(values, affine((4.4, 0.5, 0.8))), tmp_path / "T2.nii")

    study = load(tmp_path, settings, privacy)

    assert study.notes == ("T2.nii holds 3 volumes; the first is used",)
    assert study.series[0].stacks[0].volume.voxels.size == 480


def test_nifti_in_an_archive_is_found(tmp_path, settings, privacy):
    import zipfile

    write(tmp_path / "T2.nii.gz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "T2.nii.gz", "in/T2.nii.gz")

    study = load(tmp_path / "a.zip", settings, privacy)

    assert study.source == "a.zip/in/T2.nii.gz"


@pytest.mark.parametrize(
    ("start", "values", "message"),
    [
        (280, np.full(12, np.nan, "<f4"), "values that are no numbers"),
        (292, np.full(1, np.nan, "<f4"), "values that are no numbers"),
        (280, np.zeros(12, "<f4"), "affine that is not invertible"),
        (42, np.zeros(1, "<i2"), "not a three-dimensional gray-scale volume"),
    ],
    ids=["nan-affine", "nan-offset", "zero-affine", "empty"],
)
def test_impossible_header_is_one_sentence(tmp_path, settings, start, values, message):
    path = tmp_path / "a.nii"
    write(path)
    content = bytearray(path.read_bytes())
    content[252:254] = bytes(2)  # no qform
    content[start : start + values.nbytes] = values.tobytes()

    with pytest.raises(IngestError, match=message):
        decode_nifti(bytes(content), settings.nifti)


def test_affine_whose_axes_fall_together_is_one_sentence(tmp_path, settings):
    matrix = affine((4.4, 0.5, 0.8))
    matrix[:3, 1] = (4.4, 0.05, 0.0)
    write(tmp_path / "a.nii", matrix=matrix)

    with pytest.raises(IngestError, match="axes are not at right angles"):
        decode_nifti((tmp_path / "a.nii").read_bytes(), settings.nifti)


def test_gzip_of_several_members_is_read_but_never_beyond_the_limit(settings):
    content = b"".join(gzip.compress(bytes(400_000)) for _ in range(5))
    small = settings.nifti.model_copy(update={"max_unpacked_mb": 1.0})

    with pytest.raises(IngestError, match="unpacks to more than 1 MB and is refused"):
        decode_nifti(content, small)


def test_endless_sidecar_counts_as_absent(tmp_path, settings):
    write(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text("[" * 100_000)

    assert len(scan_inputs([tmp_path], settings).studies) == 1

import numpy as np
import pytest
from pydicom.dataset import Dataset

from facetgrade.ingest import shipped_settings
from facetgrade.ingest.dicom import SeriesTags
from facetgrade.ingest.screening import (
    looks_like_hounsfield,
    reject_image,
    reject_nifti,
    reject_series,
)

SETTINGS = shipped_settings()
RULES = SETTINGS.series_rules


def header(**elements):
    dataset = Dataset()
    dataset.Rows = 8
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Modality": "CT"}, "modality CT"),
        ({"Modality": "SR"}, "modality SR"),
        ({"Modality": "PR"}, "modality PR"),
        ({"Modality": "MR", "SamplesPerPixel": 3}, "color image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "color image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "CT image"),
        ({"RescaleIntercept": "-1024"}, "Hounsfield"),
        ({"Rows": None}, "holds no image"),
    ],
)
def test_objects_that_are_no_mr_images_are_rejected(elements, reason):
    assert reason in reject_image(header(**elements), RULES.reject)


@pytest.mark.parametrize(
    "elements",
    [
        {"Modality": "MR"},
        {},
        {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    ],
)
def test_stripped_and_mislabeled_mr_images_are_kept(elements):
    assert reject_image(header(**elements), RULES.reject) == ""


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localizer"),
        ({"description": "LOCALIZER"}, "localizer"),
        ({"description": "3-plane loc"}, "localizer"),
        ({"description": "Survey_SHC"}, "localizer"),
        ({"description": "POSDISP_[4]_T2_TSE_TRA"}, "reformat"),
        ({"image_type": ("DERIVED", "SECONDARY", "MPR")}, "reformat"),
        ({"image_type": ("DERIVED", "PRIMARY", "PROJECTION IMAGE")}, "projection"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "P")}, "not a magnitude image"),
        ({"description": "ep2d_diff_tra ADC"}, "diffusion"),
        ({"description": "T2 myelo HASTE"}, "myelogram"),
        ({"body_part": "HEAD", "description": "T2 tra"}, "body part HEAD"),
        ({"body_part": "KNEE"}, "body part KNEE"),
    ],
)
def test_series_that_cannot_be_graded_are_rejected(tags, reason):
    assert reason in reject_series(SeriesTags(**tags), RULES)


@pytest.mark.parametrize(
    "tags",
    [
        {"description": "t2_tse_sag", "body_part": "LSPINE"},
        {"description": "T2 sag lumbar", "body_part": "HEAD"},
        {"description": "Sag T2 LWS", "body_part": "NECK"},
        {"image_type": ("DERIVED", "PRIMARY", "DIXON", "WATER")},
        {"image_type": ("ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D")},
        {"description": "local coil T2"},
        {"description": "SPINE ROUTINE T2"},
    ],
)
def test_lumbar_series_are_kept(tags):
    assert reject_series(SeriesTags(**tags), RULES) == ""


def volume(**options):
    rng = np.random.default_rng(1)
    return rng.uniform(0, 900, (6, 20, 20)).round().astype(np.float32) + options.get(
        "shift", 0
    )


def test_mr_values_are_kept():
    assert reject_nifti("sub-01_T2w", volume(), SETTINGS) == ""
    assert not looks_like_hounsfield(volume())


@pytest.mark.parametrize(
    "stem",
    [
        "a_seg",
        "sub-1_seg-vert_msk",
        "x_dseg",
        "T2_mask",
        "mask",
        "brainmask_2",
        "a_label",
    ],
)
def test_label_maps_are_known_by_name(stem):
    assert reject_nifti(stem, volume(), SETTINGS) == "label map (file name)"


@pytest.mark.parametrize("stem", ["sub-mri_label-6_T2w", "segovia_T2", "sub-ct1_T2w"])
def test_names_that_only_resemble_label_maps_are_kept(stem):
    assert reject_nifti(stem, volume(), SETTINGS) == ""


def test_few_whole_numbers_are_a_label_map():
    labels = np.zeros((6, 20, 20), np.float32)
    labels[2:4, 5:15, 5:15] = 3

    assert reject_nifti("image", labels, SETTINGS) == "label map (few whole numbers)"


def test_many_labels_in_uniform_regions_are_a_label_map():
    labels = np.repeat(np.arange(100, dtype=np.float32), 50).reshape(100, 5, 10)
    blocks = np.repeat(labels, 12, axis=0)

    assert "label map" in reject_nifti("image", blocks, SETTINGS)


@pytest.mark.parametrize(("scale", "is_ct"), [(1.0, True), (0.013, False)])
def test_a_ct_crop_without_air_is_known_by_its_fat(scale, is_ct):
    # One voxel in ten is fat; values that are not whole are those of scaled MR.
    tissue = volume() / volume().max() * 400.0
    tissue.ravel()[::10] = -100.0

    values = np.round(tissue).astype(np.float32) * np.float32(scale)

    assert ("Hounsfield" in reject_nifti("image", values, SETTINGS)) == is_ct


def test_ct_is_known_by_name_and_by_values():
    assert reject_nifti("sub-1_ct", volume(), SETTINGS) == "CT (file name)"
    hounsfield = volume(shift=-1000)
    assert "Hounsfield" in reject_nifti("image", hounsfield, SETTINGS)
    assert looks_like_hounsfield(hounsfield)

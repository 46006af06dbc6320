import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from facetgrade.ingest import find_studies, load_study
from facetgrade.study import Sequence
from tests.ingest.builders import (
    SAGITTAL,
    gradient_volume,
    image_dataset,
    save,
    set_pixels,
)

VOLUME = gradient_volume((4, 8, 10))


def item(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return DicomSequence([dataset])


def enhanced_dataset(order, *, slopes=None, modifier=None):
    dataset = image_dataset(VOLUME[0], (0, 0, 0))
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    ):
        delattr(dataset, keyword)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    set_pixels(dataset, VOLUME[order], signed=False, bits_stored=16)
    dataset.NumberOfFrames = len(order)
    shared = item(
        PlaneOrientationSequence=item(
            ImageOrientationPatient=[x for axis in SAGITTAL for x in axis]
        ),
        PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.8], SliceThickness=4.0),
        MRTimingAndRelatedParametersSequence=item(RepetitionTime=4000.0),
        MREchoSequence=item(EffectiveEchoTime=55.0),
        MRModifierSequence=modifier or item(InversionRecovery="NO"),
    )
    frames = []
    for place, k in enumerate(order):
        frame = item(
            PlanePositionSequence=item(
                ImagePositionPatient=[-20.0 + 4.4 * float(k), -30.0, 40.0]
            ),
            FrameContentSequence=item(FrameAcquisitionNumber=1),
        )[0]
        if slopes:
            frame.PixelValueTransformationSequence = item(
                RescaleSlope=slopes[place], RescaleIntercept=0.0
            )
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence = shared
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    return dataset


def load(folder, settings, privacy):
    (files,) = find_studies(folder, settings=settings)
    return load_study(files, settings, privacy).series[0]


def test_frames_are_placed_by_their_functional_groups(tmp_path, settings, privacy):
    save(enhanced_dataset([2, 0, 3, 1]), tmp_path / "a.dcm")

    stack = load(tmp_path, settings, privacy).stacks[0]

    np.testing.assert_array_equal(stack.volume.voxels, VOLUME)
    assert stack.frame_numbers == (2, 4, 1, 3)
    assert len(set(stack.instance_uids)) == 1
    grid = stack.volume.geometry
    np.testing.assert_allclose(grid.to_lps([0, 0, 0]), [-20, -30, 40], atol=1e-6)
    assert grid.spacing_mm == pytest.approx([4.4, 0.5, 0.8])


def test_rescale_differs_from_frame_to_frame(tmp_path, settings, privacy):
    save(enhanced_dataset([0, 1, 2, 3], slopes=[1, 2, 1, 4]), tmp_path / "a.dcm")

    voxels = load(tmp_path, settings, privacy).stacks[0].volume.voxels

    factors = np.array([1, 2, 1, 4])[:, None, None]
    np.testing.assert_array_equal(voxels, VOLUME * factors)


def test_inversion_time_of_the_modifier_makes_stir(tmp_path, settings, privacy):
    modifier = item(InversionRecovery="YES", InversionTimes=[150.0])
    save(enhanced_dataset([0, 1, 2, 3], modifier=modifier), tmp_path / "a.dcm")

    series = load(tmp_path, settings, privacy)

    assert series.sequence is Sequence.T2_FS
    assert "TR 4000 TE 55 TI 150 ms" in series.evidence[0]


def test_spectral_suppression_of_the_modifier_counts(tmp_path, settings, privacy):
    modifier = item(InversionRecovery="NO", SpectrallySelectedSuppression="FAT")
    save(enhanced_dataset([0, 1, 2, 3], modifier=modifier), tmp_path / "a.dcm")

    assert load(tmp_path, settings, privacy).sequence is Sequence.T2_FS


def test_classic_file_with_enhanced_sop_class_is_read(tmp_path, settings, privacy):
    for k in range(4):
        dataset = image_dataset(VOLUME[k], (4.4 * k, 0, 0), number=k)
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
        save(dataset, tmp_path / f"{k}.dcm")

    voxels = load(tmp_path, settings, privacy).stacks[0].volume.voxels

    np.testing.assert_array_equal(voxels, VOLUME)

import shutil
import subprocess
from dataclasses import replace
from datetime import date

import nibabel
import numpy as np
import pydicom
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.simulate.protocols import FatSuppression
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    draw_patient,
    new_uid,
    write_series,
    written_uid,
)
from facetgrade.simulate.vendors.texts import series_texts
from facetgrade.study import Sequence
from tests.simulate.acquired import IMPERFECTIONS, PROTOCOL

SPACING_MM = (4.4, 0.7, 0.7)


def block(tilt_deg, origin, slices):
    angle = np.deg2rad(tilt_deg)
    up = [0.0, -np.sin(angle), np.cos(angle)]
    back = [0.0, np.cos(angle), np.sin(angle)]
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=origin,
        axes=np.array([up, back, [1.0, 0.0, 0.0]]),
        spacing_mm=SPACING_MM,
        shape=(slices, 40, 48),
    )
    ramp = np.arange(np.prod(geometry.shape)).reshape(geometry.shape) % 719
    return Volume(geometry=geometry, voxels=(900.0 - ramp).astype(np.float32))


@pytest.fixture
def series():
    rng = np.random.default_rng(5)
    volumes = (block(0.0, (-40.0, 12.0, 7.0), 3), block(20.0, (-38.0, 9.0, -31.0), 2))
    return AcquiredSeries(
        number=6,
        uid=new_uid(rng),
        protocol=PROTOCOL,
        imperfections=IMPERFECTIONS,
        volumes=volumes,
    )


def examination(habit, syntax="explicit"):
    rng = np.random.default_rng(6)
    return Examination(
        patient=draw_patient(3, rng),
        study_uid=new_uid(rng),
        frame_of_reference_uid=new_uid(rng),
        study_date=date(2021, 5, 4),
        hour=9,
        habit=habit,
        transfer_syntax=syntax,
    )


def write(folder, series, habit, syntax="explicit"):
    return write_series(
        folder, series, examination(habit, syntax), np.random.default_rng(7)
    )


CLASSIC = [Habit.SIEMENS, Habit.GE, Habit.PHILIPS]


@pytest.mark.parametrize("habit", CLASSIC)
def test_every_slice_is_found_at_its_position_with_its_values(tmp_path, series, habit):
    found = 0
    for path in write(tmp_path, series, habit):
        dataset = pydicom.dcmread(path)
        place = np.array(dataset.ImagePositionPatient, float)
        for volume in series.volumes:
            index = volume.geometry.to_index(place)
            if np.abs(index - np.rint(index)).max() > 1e-3 or abs(index[1]) > 0.1:
                continue
            k = round(float(index[0]))
            gain = {Habit.SIEMENS: 1 / 0.6, Habit.GE: 1 / 3.0}.get(habit, 1.0)
            slope = float(dataset.get("RescaleSlope", 1.0)) * gain
            expected = volume.voxels[k]
            np.testing.assert_allclose(dataset.pixel_array * slope, expected, atol=1.0)
            row = np.array(dataset.ImageOrientationPatient[:3], float)
            np.testing.assert_allclose(row, volume.geometry.axes[2], atol=1e-6)
            found += 1
    assert found == 5


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg-ls", "jpeg-2000"])
@pytest.mark.parametrize("habit", [Habit.SIEMENS, Habit.GE, Habit.ENHANCED])
def test_compression_loses_nothing(tmp_path, series, habit, syntax):
    plain = write(tmp_path / "a", series, habit)
    packed = write(tmp_path / "b", series, habit, syntax)
    for first, second in zip(plain, packed, strict=True):
        np.testing.assert_array_equal(
            pydicom.dcmread(first).pixel_array, pydicom.dcmread(second).pixel_array
        )


def test_enhanced_frames_carry_their_own_rescale_and_plane(tmp_path, series):
    paths = write(tmp_path, series, Habit.ENHANCED)
    assert len(paths) == 2
    for path, volume in zip(paths, series.volumes, strict=True):
        dataset = pydicom.dcmread(path)
        frames = dataset.PerFrameFunctionalGroupsSequence
        values = [frame.PixelValueTransformationSequence[0] for frame in frames]
        slopes = np.array([float(value.RescaleSlope) for value in values])
        restored = dataset.pixel_array * slopes[:, None, None]
        np.testing.assert_allclose(restored, volume.voxels, atol=1.0)
        place = frames[1].PlanePositionSequence[0].ImagePositionPatient
        expected = volume.geometry.to_lps((1, 0, 0))
        np.testing.assert_allclose(np.array(place, float), expected, atol=1e-5)


def test_philips_writes_its_private_scale(tmp_path, series):
    dataset = pydicom.dcmread(write(tmp_path, series, Habit.PHILIPS)[0])
    assert dataset[0x2005, 0x0014].value == "Philips MR Imaging DD 005"
    assert dataset[0x2005, 0x100E].value > 0.0
    assert dataset.RescaleSlope != 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_stripped_archive_tells_almost_nothing(tmp_path, series):
    path = write(tmp_path, series, Habit.STRIPPED)[0]
    dataset = pydicom.dcmread(path)
    absent = ("Modality", "EchoTime", "RepetitionTime", "Manufacturer", "StudyDate")
    assert not [keyword for keyword in absent if keyword in dataset]
    assert dataset.SeriesDescription == "T2"
    assert dataset.file_meta.MediaStorageSOPClassUID.endswith(".4.1")
    assert dataset.SeriesInstanceUID == written_uid(series.uid, Habit.STRIPPED)
    assert not dataset.SeriesInstanceUID.is_valid
    assert dataset.FrameOfReferenceUID != examination(Habit.STRIPPED).study_uid


@pytest.mark.parametrize("habit", CLASSIC)
def test_patients_are_plainly_simulated(tmp_path, series, habit):
    dataset = pydicom.dcmread(write(tmp_path, series, habit)[0])
    assert str(dataset.PatientName) == "SIM^0003"
    assert dataset.PatientID == "SIM-0003"


@pytest.mark.parametrize(
    ("habit", "suppression", "expected"),
    [
        (Habit.SIEMENS, FatSuppression.SPECTRAL, "t2_tse_fs_tra"),
        (Habit.SIEMENS, FatSuppression.DIXON_WATER, "t2_tse_dixon_tra_W"),
        (Habit.GE, FatSuppression.SPECTRAL, "Ax T2 FS"),
        (Habit.GE, FatSuppression.NONE, "Ax T2 FRFSE"),
        (Habit.PHILIPS, FatSuppression.SPECTRAL, "T2W_SPAIR TRA"),
        (Habit.STRIPPED, FatSuppression.SPECTRAL, "T2"),
    ],
)
def test_descriptions_follow_the_vendor(habit, suppression, expected):
    protocol = replace(PROTOCOL, fat_suppression=suppression)
    assert series_texts(protocol, habit).description == expected


def test_a_stir_series_is_named_and_timed_so(tmp_path, series):
    stir = replace(PROTOCOL, ti_ms=160.0, fat_suppression=FatSuppression.STIR)
    written = write(tmp_path, replace(series, protocol=stir), Habit.SIEMENS)
    dataset = pydicom.dcmread(written[0])
    assert dataset.SeriesDescription == "t2_tirm_tra"
    assert dataset.InversionTime == 160
    assert "IR" in dataset.ScanningSequence


def test_an_enhanced_t1_flair_is_no_stir(tmp_path, series):
    flair = replace(
        PROTOCOL,
        sequence=Sequence.T1,
        ti_ms=850.0,
        fat_suppression=FatSuppression.NONE,
    )
    path = write(tmp_path, replace(series, protocol=flair), Habit.ENHANCED)[0]
    dataset = pydicom.dcmread(path)
    assert dataset.AcquisitionContrast == "T1"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert shared.MRModifierSequence[0].InversionTimes == 850.0


@pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is absent")
@pytest.mark.parametrize("habit", [*CLASSIC, Habit.ENHANCED])
def test_dcm2niix_reads_every_block_with_the_same_geometry(tmp_path, series, habit):
    write(tmp_path / "dicom", series, habit)
    command = ["dcm2niix", "-o", tmp_path, "-f", "out", "-b", "n", tmp_path / "dicom"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    images = [nibabel.load(path) for path in tmp_path.glob("out*.nii")]
    slices = sorted(image.shape[2] for image in images)
    assert slices == [2, 3]
    for volume in series.volumes:
        image = next(i for i in images if i.shape[2] == volume.geometry.shape[0])
        points = [(0, 0, 0), (1, 4, 7), (0, 39, 47)]
        found = np.array([value_at(image, volume, point) for point in points])
        expected = np.array([volume.voxels[point] for point in points])
        np.testing.assert_allclose(found / found[0], expected / expected[0], atol=5e-3)


def value_at(image, volume, index):
    """Value of the NIfTI voxel that lies exactly at an index of the volume."""
    ras = np.diag([-1.0, -1.0, 1.0]) @ volume.geometry.to_lps(index)
    voxel = (np.linalg.inv(image.affine) @ [*ras, 1.0])[:3]
    np.testing.assert_allclose(voxel, np.rint(voxel), atol=2e-3)
    return np.asarray(image.dataobj)[tuple(np.rint(voxel).astype(int))]

"""DICOM SEG: exact masks, codes and references."""

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.exchange.read_seg import read_segments
from facetgrade.exchange.segments import (
    SegmentKind,
    draw_segments,
    joint_of,
    tracking_id,
)
from facetgrade.simulate.vendors import Habit
from tests.exchange.builders import dciodvfy_errors, read

L45_RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)
EVERY_WAY = [
    (Habit.SIEMENS, ()),
    (Habit.GE, (0,)),
    (Habit.PHILIPS, (1, 2)),
    (Habit.ENHANCED, ()),
    (Habit.ENHANCED, (0, 1, 2)),
    (Habit.STRIPPED, (2,)),
]


def segmentations(folder):
    return [read(p) for p in sorted(folder.glob("out/dicom/seg_*.dcm"))]


def in_space(geometry, voxels):
    """Return the LPS mm of all voxels of a mask, sorted."""
    points = geometry.to_lps(np.argwhere(voxels))
    return points[np.lexsort(np.round(points, 2).T)]


@pytest.mark.parametrize(("habit", "flip"), EVERY_WAY)
def test_every_voxel_comes_back_where_it_was(written, habit, flip):
    folder, study, report, _ = written(habit, flip)
    stacks = [stack for series in study.series for stack in series.stacks]
    objects = segmentations(folder)
    assert len(objects) == len(stacks) == 3
    for stack, dataset in zip(stacks, objects, strict=True):
        geometry = stack.volume.geometry
        drawn = draw_segments(geometry, report.outcomes)
        read = read_segments(dataset)
        assert [s.label for s in drawn] == [s.label for s in read]
        for before, after in zip(drawn, read, strict=True):
            np.testing.assert_allclose(
                in_space(after.mask.geometry, after.mask.voxels),
                in_space(geometry, before.voxels),
                atol=1e-3,
            )
            index = geometry.to_index(
                after.mask.geometry.to_lps(np.argwhere(after.mask.voxels))
            )
            back = np.zeros(geometry.shape, bool)
            back[tuple(np.rint(index).astype(int).T)] = True
            np.testing.assert_array_equal(back, before.voxels)


@pytest.mark.parametrize(("habit", "flip"), EVERY_WAY)
def test_every_frame_refers_to_the_image_at_its_place(written, habit, flip):
    folder, *_ = written(habit, flip)
    sources = {}
    for path in (folder / "in").rglob("*"):
        if path.is_file():
            source = read(path)
            sources[source.SOPInstanceUID] = source
    for dataset in segmentations(folder):
        for item in dataset.PerFrameFunctionalGroupsSequence:
            place = item.PlanePositionSequence[0].ImagePositionPatient
            (image,) = item.DerivationImageSequence[0].SourceImageSequence
            source = sources[image.ReferencedSOPInstanceUID]
            if habit is Habit.ENHANCED:
                frame = source.PerFrameFunctionalGroupsSequence[
                    image.ReferencedFrameNumber - 1
                ]
                source = frame.PlanePositionSequence[0]
            np.testing.assert_allclose(place, source.ImagePositionPatient, atol=1e-6)


def test_segments_are_coded_with_region_and_side(written):
    folder, *_ = written()
    found = {}
    for dataset in segmentations(folder):
        for segment in dataset.SegmentSequence:
            found[segment.SegmentLabel] = segment
    segment = found["L4-L5 facet joint, right: marrow edema"]
    category = segment.SegmentedPropertyCategoryCodeSequence[0]
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    tissue = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    region = segment.AnatomicRegionSequence[0]
    side = region.AnatomicRegionModifierSequence[0]
    coded = [c.CodeValue for c in (category, kind, tissue, region, side)]
    assert coded == ["49755003", "79654002", "14016003", "243923001", "24028007"]
    assert segment.TrackingID == "L4L5_R"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"


def test_a_segment_has_the_same_tracking_uid_in_every_object(written):
    folder, *_ = written()
    uids = {
        segment.TrackingUID
        for dataset in segmentations(folder)
        for segment in dataset.SegmentSequence
        if segment.TrackingID == "L4L5_R"
    }
    assert len(uids) == 1


def test_kinds_are_read_from_the_codes(written):
    folder, *_ = written()
    segments = [s for one in segmentations(folder) for s in read_segments(one)]
    kinds = {s.kind for s in segments if s.joint == L45_RIGHT}
    assert kinds == set(SegmentKind)


def test_patient_and_study_are_those_of_the_source(written):
    folder, *_ = written()
    source = read(next((folder / "in").iterdir()))
    for dataset in segmentations(folder):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate"):
            assert dataset[keyword].value == source[keyword].value
        assert dataset.StudyInstanceUID == source.StudyInstanceUID
        assert dataset.FrameOfReferenceUID == source.FrameOfReferenceUID
        assert dataset.AccessionNumber == source.AccessionNumber


def test_identifiers_name_every_joint():
    joints = [FacetJoint(level, side) for level in Level for side in Side]
    assert [joint_of(tracking_id(joint)) for joint in joints] == joints
    assert joint_of("liver") is None


@pytest.mark.parametrize(("habit", "flip"), EVERY_WAY[:5])
def test_dciodvfy_finds_no_error(written, habit, flip):
    folder, *_, result = written(habit, flip)
    for name in result.names:
        assert dciodvfy_errors(folder / "out" / name) == set(), name
    assert result.notes == ()


def test_errors_inherited_from_illegal_uids_are_noted(written):
    folder, *_, result = written(Habit.STRIPPED, (2,))
    for name in result.names:
        for error in dciodvfy_errors(folder / "out" / name):
            assert "Value invalid for this VR [UI]" in error
    assert len(result.notes) == 1
    assert "illegal UIDs of the source (SOPInstanceUID, Series" in result.notes[0]

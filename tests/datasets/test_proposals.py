import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.datasets.proposals import (
    export_annotation,
    itksnap_labels,
    label_table,
    slicer_colors,
)
from facetgrade.errors import IngestError
from facetgrade.findings import JointMasks, LocatedJoint, Reason, Ungradable
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.localize.joints import joint_frame
from facetgrade.segment.patches import joint_grid
from facetgrade.study import Plane, Sequence, Series, Stack, Study
from facetgrade.train.manifest import read_manifest
from facetgrade.train.masks import read_annotation

JOINT = FacetJoint(Level.L4_L5, Side.RIGHT)
CENTER = np.array([-16.0, 40.0, -30.0])
AXES = {
    Plane.AXIAL: np.eye(3)[[2, 1, 0]],
    Plane.SAGITTAL: np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
}


def series(sequence, plane):
    geometry = VolumeGeometry.centered(
        center_lps_mm=CENTER,
        axes=AXES[plane],
        spacing_mm=[3.0, 0.8, 0.8],
        shape=(9, 50, 48),
    )
    voxels = np.arange(9 * 50 * 48, dtype=np.float32).reshape(geometry.shape)
    stack = Stack(volume=Volume(geometry=geometry, voxels=voxels))
    name = f"{sequence}-{plane}"
    return Series(
        uid=name, description=name, sequence=sequence, plane=plane, stacks=(stack,)
    )


def study(*kinds):
    return Study(
        uid="2.25.1",
        source="study",
        subject="P1",
        date="",
        series=tuple(series(*kind) for kind in kinds),
    )


def outcome():
    """A joint space of 6 x 3 x 3 mm with effusion in its upper half."""
    frame = joint_frame(CENTER, np.array([0.0, 0.0, 1.0]), Side.RIGHT)
    grid = joint_grid(frame)
    offset = np.abs(grid.voxel_centers_lps_mm() - CENTER)
    inside = (offset <= [3.0, 3.0, 6.0]).all(axis=-1)
    lesions = {lesion: np.zeros(grid.shape, np.float32) for lesion in Lesion}
    lesions[Lesion.EFFUSION][15:][inside[15:]] = 0.9
    return Ungradable(
        joint=JOINT,
        reason=Reason.MOTION,
        explanation="",
        location=LocatedJoint(
            number=4,
            level=JOINT.level,
            side=JOINT.side,
            frame=frame,
            score=1.0,
            level_probability=1.0,
        ),
        masks=JointMasks(
            geometry=grid,
            structures=np.where(inside, Structure.JOINT_SPACE, 0).astype(np.uint8),
            lesions=lesions,
            in_view=np.ones(grid.shape, bool),
            sequence=Sequence.T2_FS,
        ),
    )


BOTH = (
    (Sequence.T2_FS, Plane.SAGITTAL),
    (Sequence.T2_FS, Plane.AXIAL),
    (Sequence.T1, Plane.SAGITTAL),
)


def test_proposals_are_read_back_where_they_were_drawn(tmp_path):
    files = export_annotation(
        study(*BOTH), [outcome()], tmp_path, source=tmp_path / "dicom", reader="R1"
    )

    (row,) = read_manifest(files[-1]).rows
    annotation = read_annotation(row)
    assert (row.joint, row.reader, row.subject) == (JOINT, "R1", "P1")
    np.testing.assert_allclose(annotation.center_lps_mm, CENTER, atol=1.5)
    assert {Structure.JOINT_SPACE, Lesion.EFFUSION} == set(annotation.masks)
    assert annotation.known == {*Structure, *Lesion}
    (space,) = annotation.masks[Structure.JOINT_SPACE]
    assert space.volume_mm3 == pytest.approx(6 * 6 * 12, rel=0.5)


def test_masks_lie_on_the_axial_fat_suppressed_series_and_images_on_all(tmp_path):
    export_annotation(study(*BOTH), [outcome()], tmp_path, source=tmp_path, reader="")

    assert sorted(path.name for path in tmp_path.glob("*.nii.gz")) == [
        "01_T2-FS_sagittal.nii.gz",
        "02_T2-FS_axial.nii.gz",
        "02_T2-FS_axial_lesions_seg.nii.gz",
        "02_T2-FS_axial_structures_seg.nii.gz",
        "03_T1_sagittal.nii.gz",
    ]


def test_label_tables_name_each_number_for_each_program():
    # L4-L5 right is joint 7: structures 141-152, lesions 153-156
    assert "153\tL4-L5\tright\tlesion\teffusion" in label_table([JOINT])
    snap = itksnap_labels([JOINT]).splitlines()
    assert snap[-16].split()[:4] == ["141", "240", "180", "41"]
    assert snap[-4].endswith('"L4-L5 right effusion"')
    slicer = slicer_colors([JOINT]).splitlines()
    assert slicer[-4] == "153 L4-L5_right_effusion 0 229 255 255"
    assert all(len(line.split()) == 6 for line in slicer[1:])


def test_a_study_without_fat_suppression_proposes_nothing(tmp_path):
    plain = study((Sequence.T1, Plane.SAGITTAL))

    with pytest.raises(IngestError, match="has no fat-suppressed series"):
        export_annotation(plain, [outcome()], tmp_path, source=tmp_path, reader="")

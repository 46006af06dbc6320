import math

import nibabel
import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.nifti import (
    LabelMap,
    lesion_label,
    lesion_map,
    nifti_bytes,
    ras_affine,
    structure_label,
    structure_map,
    write_masks,
)

L4_L5_RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)


def read(content, folder):
    path = folder / "map.nii.gz"
    path.write_bytes(content)
    return nibabel.load(path)


def ras(image, label):
    """Mean RAS mm of the voxels with a label."""
    xyz = np.argwhere(np.asarray(image.dataobj) == label).mean(axis=0)
    return nibabel.affines.apply_affine(image.affine, xyz)


def test_affine_maps_column_row_slice_to_ras():
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=(10.0, 20.0, 30.0),
        axes=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
        spacing_mm=(4.0, 0.5, 0.6),
        shape=(3, 4, 5),
    )

    # column 1, row 2, slice 1: LPS (10 + 4, 20 + 0.6, 30 - 2 * 0.5), x and y negated
    point = ras_affine(geometry) @ (1.0, 2.0, 1.0, 1.0)

    assert point.tolist() == pytest.approx([-14.0, -20.6, 29.0, 1.0])


def test_a_voxel_keeps_its_place_in_the_patient(tmp_path, phantom):
    geometry = phantom.axial_geometry()
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[5, 17, 120] = 7

    image = read(nifti_bytes(LabelMap(geometry=geometry, voxels=voxels)), tmp_path)

    lps_mm = geometry.to_lps((5, 17, 120))
    assert ras(image, 7).tolist() == pytest.approx(lps_mm * (-1, -1, 1), abs=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_sform_and_qform_agree(tmp_path, phantom):
    geometry = phantom.axial_geometry()
    voxels = np.ones(geometry.shape, np.uint8)

    image = read(nifti_bytes(LabelMap(geometry=geometry, voxels=voxels)), tmp_path)

    assert image.header["sform_code"] == image.header["qform_code"] == 1
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-3)


@pytest.mark.parametrize("side", list(Side))
def test_a_joint_is_drawn_on_its_own_side_of_an_oblique_stack(phantom, tmp_path, side):
    index = {Side.LEFT: 6, Side.RIGHT: 7}[side]
    outcome = phantom.outcomes()[index]

    drawn = structure_map(phantom.axial_geometry(), [outcome])

    label = structure_label(outcome.joint, Structure.JOINT_SPACE)
    center = ras(read(nifti_bytes(drawn), tmp_path), label)
    # RAS x of the left joint at LPS 4 + 19 is -23, of the right one at 4 - 19 is 15
    assert center[0] == pytest.approx(-23.0 if side is Side.LEFT else 15.0, abs=0.5)
    assert center[1:].tolist() == pytest.approx([-32.0, -35.0], abs=1.5)


def test_edema_starts_behind_and_lateral_of_a_right_joint(phantom, tmp_path):
    outcome = phantom.graded(
        Level.L4_L5,
        Side.RIGHT,
        grade=2,
        fraction=0.25,
        probabilities=(0.0, 0.0, 1.0, 0.0, 0.0),
    )

    drawn = lesion_map(phantom.axial_geometry(), [outcome])

    label = lesion_label(L4_L5_RIGHT, Lesion.SOFT_TISSUE_EDEMA)
    offset = ras(read(nifti_bytes(drawn), tmp_path), label) - (15.0, -32.0, -35.0)
    # a quarter ring of radius 12-16: centroid 8.9 mm to the right (+R), 8.9 mm back
    mean_mm = 2 * (16**3 - 12**3) / (3 * (16**2 - 12**2)) * 2 / math.pi
    assert offset[0] == pytest.approx(mean_mm, abs=0.6)
    assert offset[1] == pytest.approx(-mean_mm, abs=1.5)


def test_volume_of_a_lesion_survives_resampling(phantom):
    outcome = phantom.outcomes()[7]
    mask = outcome.masks.lesions[Lesion.SOFT_TISSUE_EDEMA] >= 0.5
    expected_mm3 = mask.sum() * outcome.masks.geometry.voxel_volume_mm3

    drawn = lesion_map(phantom.axial_geometry(), [outcome])

    label = lesion_label(L4_L5_RIGHT, Lesion.SOFT_TISSUE_EDEMA)
    volume_mm3 = (drawn.voxels == label).sum() * drawn.geometry.voxel_volume_mm3
    assert volume_mm3 == pytest.approx(expected_mm3, rel=0.1)


def test_where_joints_overlap_the_nearer_one_wins(phantom):
    upper, lower = phantom.outcomes()[5], phantom.outcomes()[7]

    drawn = structure_map(phantom.sagittal_geometry(), [lower, upper])
    again = structure_map(phantom.sagittal_geometry(), [upper, lower])

    np.testing.assert_array_equal(drawn.voxels, again.voxels)


def test_a_joint_outside_the_stack_is_not_drawn(phantom):
    far = VolumeGeometry.from_axes(
        origin_lps_mm=(500.0, 0.0, 0.0),
        axes=np.eye(3),
        spacing_mm=(4.0, 1.0, 1.0),
        shape=(3, 4, 5),
    )

    assert structure_map(far, [phantom.outcomes()[7]]) is None


def test_masks_are_written_for_the_series_that_were_read(phantom, tmp_path):
    study = phantom.study()
    outcome = phantom.effusion_only(Level.L1_L2, Side.RIGHT)

    written = write_masks(tmp_path, study, [outcome])

    assert written == {
        # the effusion, 3 mm wide, falls between two slices
        phantom.T2_UID: ["masks/02_T2_sagittal_structures_seg.nii.gz"],
        "joints": [
            "masks/joint_L1-L2_right_structures_seg.nii.gz",
            "masks/joint_L1-L2_right_lesions_seg.nii.gz",
        ],
        "labels": ["masks/labels.tsv"],
    }
    image = nibabel.load(tmp_path / written[phantom.T2_UID][0])
    # (column, row, slice) of 15 slices of 240 rows and 170 columns
    assert image.shape == (170, 240, 15)


def test_masks_on_the_grid_of_a_right_joint_are_not_mirrored(phantom, tmp_path):
    written = write_masks(tmp_path, phantom.study(), [phantom.outcomes()[7]])

    image = nibabel.load(tmp_path / written["joints"][0])
    label = structure_label(L4_L5_RIGHT, Structure.SUPERIOR_ARTICULAR_PROCESS)
    # the superior process is the lateral one: right of the joint at RAS x = 15
    assert 17.0 < ras(image, label)[0] < 25.0


def test_every_label_is_explained(phantom, tmp_path):
    write_masks(tmp_path, phantom.study(), phantom.outcomes())

    lines = (tmp_path / "masks" / "labels.tsv").read_text().splitlines()
    explained = {int(line.split("\t")[0]) for line in lines[1:]}
    used = set()
    for path in (tmp_path / "masks").glob("*.nii.gz"):
        used |= set(np.unique(np.asarray(nibabel.load(path).dataobj)).tolist())
    assert used - {0} <= explained
    label = lesion_label(L4_L5_RIGHT, Lesion.SOFT_TISSUE_EDEMA)
    assert f"{label}\tL4-L5\tright\tlesion\tsoft_tissue_edema" in lines


def test_labels_of_different_joints_never_collide():
    labels = [
        draw(FacetJoint(level, side), kind)
        for level in Level
        for side in Side
        for draw, kinds in (
            (structure_label, list(Structure)[1:]),
            (lesion_label, list(Lesion)),
        )
        for kind in kinds
    ]

    assert len(set(labels)) == len(labels) == 10 * (12 + 4)
    assert max(labels) < 256


def test_without_masks_nothing_is_written(phantom, tmp_path):
    outcome = phantom.not_found(Level.L2_L3, Side.RIGHT)

    assert write_masks(tmp_path, phantom.study(), [outcome]) == {}
    assert list(tmp_path.iterdir()) == []

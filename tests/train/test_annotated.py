import dataclasses

import numpy as np
import pytest
import torch

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.errors import ConfigError
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.nifti import LabelMap, lesion_label, nifti_bytes, structure_label
from facetgrade.segment.patches import contrast_index
from facetgrade.study import Sequence
from facetgrade.train.annotated import (
    NO_GRADE,
    AnnotatedView,
    read_annotated,
    write_annotated,
)
from facetgrade.train.manifest import ManifestError, read_manifest
from facetgrade.train.masks import (
    MaskError,
    read_annotation,
    sample_covered,
    sample_lesions,
    sample_structures,
)
from facetgrade.train.mixed_cases import AnnotatedDataset, choose_stacks, draw_annotated
from facetgrade.train.settings import DataSettings
from facetgrade.train.splits import lock_splits

GRID = VolumeGeometry.from_axes(
    origin_lps_mm=[-10.0, 20.0, 30.0],
    axes=np.eye(3)[[2, 1, 0]],
    spacing_mm=[4.0, 0.5, 0.6],
    shape=(3, 5, 6),
)
JOINT = FacetJoint(Level.L4_L5, Side.RIGHT)
SHAPE = (4, 6, 6)
T2, FS, POST = (
    contrast_index(one) for one in (Sequence.T2, Sequence.T2_FS, Sequence.T1_FS_POST)
)


def row(folder, cells, columns="mask,labels,grade"):
    path = folder / "cases.csv"
    path.write_text(
        f"subject,source,level,side,{columns}\nP1,study,L4-L5,right,{cells}\n"
    )
    return read_manifest(path).rows[0]


def write_map(path, voxels):
    path.write_bytes(nifti_bytes(LabelMap(geometry=GRID, voxels=voxels)))


def test_labels_of_a_study_map_are_those_of_the_joint(tmp_path):
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[1, 2, 3] = structure_label(JOINT, Structure.JOINT_SPACE)
    voxels[1, 2, 4] = lesion_label(JOINT, Lesion.EFFUSION)
    voxels[0, 0, 0] = lesion_label(FacetJoint(Level.L4_L5, Side.LEFT), Lesion.CYST)
    write_map(tmp_path / "m.nii.gz", voxels)

    annotation = read_annotation(row(tmp_path, "m.nii.gz,study,"))

    # (1, 2, 3): x = -10 + 3 * 0.6, y = 20 + 2 * 0.5, z = 30 + 1 * 4
    assert annotation.center_lps_mm == pytest.approx([-8.2, 21.0, 34.0])
    assert set(annotation.masks) == {Structure.JOINT_SPACE, Lesion.EFFUSION}
    # nothing is known where another joint was outlined
    covered = sample_covered(annotation, GRID)
    assert np.argwhere(~covered).tolist() == [[0, 0, 0]]
    lesions = sample_lesions(annotation, GRID)
    assert np.argwhere(lesions).tolist() == [[0, 1, 2, 4]]
    assert np.argwhere(sample_structures(annotation, GRID)).tolist() == [[1, 2, 3]]


def test_a_map_of_lesions_says_nothing_of_bones(tmp_path):
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[1, 2, 3] = 2
    write_map(tmp_path / "m.nii.gz", voxels)

    annotation = read_annotation(row(tmp_path, "m.nii.gz,lesions,"))

    assert annotation.known == set(Lesion)
    assert set(annotation.masks) == {Lesion.SOFT_TISSUE_EDEMA}


def test_the_column_annotated_limits_what_is_known(tmp_path):
    write_map(tmp_path / "m.nii.gz", np.zeros(GRID.shape, np.uint8))

    one = row(tmp_path, "m.nii.gz,lesions,effusion", "mask,labels,annotated")

    assert read_annotation(one).known == {Lesion.EFFUSION}


def test_a_number_without_meaning_is_named(tmp_path):
    voxels = np.full(GRID.shape, 9, np.uint8)
    write_map(tmp_path / "m.nii.gz", voxels)

    with pytest.raises(MaskError, match="has label 9, which scheme 'lesions'"):
        read_annotation(row(tmp_path, "m.nii.gz,lesions,"))
    with pytest.raises(MaskError, match="no such mask file"):
        read_annotation(row(tmp_path, "n.nii.gz,lesions,"))


def view(**changes) -> AnnotatedView:
    """Two readers: one outlined effusion in all voxels, one said grade 3."""
    lesions = np.zeros((2, 4, *SHAPE), np.uint8)
    lesions[0, 0] = 255
    plain = AnnotatedView(
        stacks=np.ones((3, 3, *SHAPE), np.float16),
        contrasts=np.array([T2, FS, POST], np.uint8),
        structures=np.zeros((2, *SHAPE), np.uint8),
        lesions=lesions,
        covered=np.stack([np.ones(SHAPE, bool), np.zeros(SHAPE, bool)]),
        known_structures=np.zeros((2, 13), bool),
        known_lesions=np.array([[True, False, False, False], [False] * 4]),
        grades=np.array([2, 3], np.int8),
    )
    return dataclasses.replace(plain, **changes)


def test_readers_stay_apart_and_a_grade_counts_where_nothing_was_outlined():
    drawn = [draw_annotated(view(), np.random.default_rng(seed)) for seed in range(40)]

    outlined = [item for item in drawn if int(item["grade"]) == NO_GRADE]
    graded = [item for item in drawn if int(item["grade"]) == 3]
    assert len(outlined) + len(graded) == 40
    assert min(len(outlined), len(graded)) > 8
    assert not any(bool(item["valid"].any()) for item in graded)
    assert not any(bool(item["valid"][1:].any()) for item in outlined)
    assert any(bool(item["valid"][0].any()) for item in outlined)


def test_a_study_is_read_on_one_contrast_that_shows_edema():
    contrasts = np.array([T2, FS, POST], np.uint8)
    for seed in range(40):
        chosen = contrasts[choose_stacks(contrasts, np.random.default_rng(seed))]
        assert np.isin(chosen, [FS, POST]).sum() == 1


def test_an_item_is_the_same_whatever_is_in_the_cache(tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for number, path in enumerate(paths):
        write_annotated(view(grades=np.array([number, number], np.int8)), path)
    roomy = AnnotatedDataset(paths, 7, cache_mb=100.0)
    tight = AnnotatedDataset(paths, 7, cache_mb=0.0)

    for index in (3, 4, 5, 3):
        one, other = roomy[index], tight[index]
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert tight.cache.used_mb == pytest.approx(0.0, abs=1e-9)
    assert roomy.cache.used_mb <= 2 * read_annotated(paths[0]).size_mb


def data(folder, **changes) -> DataSettings:
    values = {
        "manifest": folder / "cases.csv",
        "splits": folder / "splits.csv",
        "split_seed": 1,
        "validation_share": 0.2,
        "test_share": 0.3,
        "share": 1.0,
        "views_per_joint": 1,
        "weak_weight": 0.1,
        "cache_mb": 1.0,
    }
    return DataSettings.model_validate(values | changes)


def manifest(folder, *lines):
    path = folder / "cases.csv"
    path.write_text("\n".join(["subject,source,level,side,grade,split", *lines]) + "\n")
    return read_manifest(path)


def test_splits_stay_when_subjects_are_added(tmp_path):
    first = [f"P{k},s,L4-L5,left,1," for k in range(30)]
    before = lock_splits(manifest(tmp_path, *first), data(tmp_path))
    after = lock_splits(
        manifest(tmp_path, "Q1,s,L4-L5,left,1,test", *first),
        data(tmp_path, test_share=0.0),
    )

    assert set(before.values()) == {"train", "validation", "test"}
    assert after == before | {"Q1": "test"}


def test_a_subject_never_changes_its_split(tmp_path):
    lock_splits(manifest(tmp_path, "P1,s,L4-L5,left,1,test"), data(tmp_path))

    with pytest.raises(ConfigError, match="P1 is in test, the manifest says train"):
        lock_splits(manifest(tmp_path, "P1,s,L4-L5,left,1,train"), data(tmp_path))
    with pytest.raises(ManifestError, match="subject P2 is in train and in test"):
        lock_splits(
            manifest(tmp_path, "P2,s,L4-L5,left,1,train", "P2,s,L4-L5,right,1,test"),
            data(tmp_path),
        )

"""Real volumes that training never saw; they are not part of the repository."""

from pathlib import Path

import numpy as np
import pytest

from facetgrade.anatomy import Side
from facetgrade.config import read_config
from facetgrade.inference import choose_device, load_models
from facetgrade.ingest import read_studies
from facetgrade.pipeline import grade_study

DATA = Path(__file__).parents[1].parent / "shared" / "data"
CROP = DATA / "lumbar_subregion_samples"
THORACOLUMBAR = DATA / "thoracolumbar_t2_real" / "t2_lumbar.nii.gz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"the real volumes are not in {DATA.name}/"
    ),
]


@pytest.fixture(scope="module")
def models():
    return load_models(read_config(), choose_device("cpu"))


def joints_of_the_labels() -> dict[tuple[int, Side], np.ndarray]:
    """Contact of neighboring articular processes in LPS mm, by upper vertebra."""
    import nibabel as nib

    parts = nib.load(CROP / "sub-mri_seg-subreg_label-6_msk.nii.gz")
    vertebrae = nib.load(CROP / "sub-mri_seg-vert_label-6_msk.nii.gz")
    part, vertebra = np.asarray(parts.dataobj), np.asarray(vertebrae.dataobj)

    def points(upper: int, label: int) -> np.ndarray:
        index = np.argwhere((vertebra == upper) & (part == label))
        return (index @ parts.affine[:3, :3].T + parts.affine[:3, 3]) * [-1, -1, 1]

    centers = {}
    for upper in (5, 6):
        for side, inferior, superior in ((Side.LEFT, 47, 45), (Side.RIGHT, 48, 46)):
            above, below = points(upper, inferior), points(upper + 1, superior)
            gaps = np.linalg.norm(above[:, None] - below[None], axis=-1)
            near = np.argwhere(gaps <= gaps.min() + 2.0)
            centers[upper, side] = (
                above[near[:, 0]].mean(axis=0) + below[near[:, 1]].mean(axis=0)
            ) / 2
    return centers


def test_joints_of_a_real_t2_crop_are_found_on_their_side(models):
    (study,) = read_studies(CROP / "sub-mri_label-6_T2w.nii.gz")

    report = grade_study(study, models)

    located = report.localization.joints
    for (_, side), truth in joints_of_the_labels().items():
        errors_mm = [
            np.linalg.norm(joint.frame.center_lps_mm - truth)
            for joint in located
            if joint.side is side
        ]
        assert min(errors_mm) <= 3.0


def test_a_real_volume_without_sacrum_is_declared_uncertain(models):
    (study,) = read_studies(THORACOLUMBAR)

    report = grade_study(study, models)

    assert report.localization.level_assumed
    assert {outcome.reason for outcome in report.outcomes} <= {
        "level-uncertain",
        "not-found",
        "not-in-view",
        "no-fat-suppression",
    }

import nibabel
import numpy as np

from facetgrade.anatomy import Lesion
from facetgrade.report.nifti import lps_geometry
from facetgrade.report.probabilities import write_probabilities


def test_probabilities_are_read_as_written_on_the_grid_of_the_joint(phantom, tmp_path):
    (outcome,) = phantom.outcomes()[7:8]
    probability = np.linspace(0, 1, outcome.masks.lesions[Lesion.EFFUSION].size)
    grid = outcome.masks.geometry
    outcome.masks.lesions[Lesion.EFFUSION] = probability.reshape(grid.shape)

    names = write_probabilities(tmp_path, [outcome, phantom.outcomes()[3]])

    first = "masks/joint_L4-L5_right_effusion_probability_seg.nii.gz"
    assert names["probabilities"][0] == first
    assert len(names["probabilities"]) == len(outcome.masks.lesions)
    image = nibabel.load(tmp_path / first)
    found = np.asarray(image.dataobj).transpose(2, 1, 0)
    # a step is 1/255, rounded to the nearest one
    np.testing.assert_allclose(found, probability.reshape(grid.shape), atol=0.00197)
    back = lps_geometry(image.affine, found.shape)
    np.testing.assert_allclose(back.index_to_lps, grid.index_to_lps, atol=1e-5)

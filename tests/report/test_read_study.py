import json
import shutil

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.errors import OutputError
from facetgrade.findings import Graded, Ungradable
from facetgrade.report.read_study import read_study_report
from facetgrade.scouts import ScoutReading, ScoutVerdict
from facetgrade.study import Sequence

L4_L5_RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)


@pytest.fixture(scope="module")
def restored(written_folder):
    report = read_study_report(written_folder)
    return report, {outcome.joint: outcome for outcome in report.outcomes}


def test_every_joint_comes_back_with_its_grade_or_reason(phantom, restored):
    _, joints = restored
    for outcome in phantom.outcomes():
        back = joints[outcome.joint]
        assert type(back) is type(outcome)
        if isinstance(outcome, Graded):
            assert back.best.grade == outcome.best.grade
            assert back.best.trace == outcome.best.trace
        else:
            assert back.reason is outcome.reason


def test_extents_and_sectors_come_back(phantom, restored):
    before = phantom.extents(0.81)
    after = restored[1][L4_L5_RIGHT].best.extents
    assert after.effusion_mm3.low == pytest.approx(before.effusion_mm3.low)
    assert after.perimeter_fraction.value == pytest.approx(0.81)
    np.testing.assert_array_equal(after.sector_map, before.sector_map)


def test_masks_come_back_where_they_were(phantom, restored):
    before = phantom.masks(
        Level.L4_L5, Side.RIGHT, fraction=0.81, sequence=Sequence.T2_FS
    )
    after = restored[1][L4_L5_RIGHT].masks
    np.testing.assert_allclose(
        after.geometry.index_to_lps, before.geometry.index_to_lps, atol=1e-4
    )
    np.testing.assert_array_equal(after.structures, before.structures)
    effusion = before.lesions[Lesion.EFFUSION] >= 0.5
    np.testing.assert_array_equal(after.lesions[Lesion.EFFUSION] > 0, effusion)
    assert (after.structures == Structure.JOINT_SPACE).any()


def test_what_was_not_measured_is_nan(restored):
    effusion_only = restored[1][FacetJoint(Level.L1_L2, Side.RIGHT)]
    assert isinstance(effusion_only, Ungradable)
    assert np.isnan(effusion_only.extents.perimeter_fraction.value)
    assert effusion_only.extents.effusion_mm3.value == pytest.approx(150.0)


def test_located_vertebrae_and_joints_come_back(phantom, restored):
    before, after = phantom.localization(), restored[0].localization
    assert [v.name for v in after.vertebrae] == [v.name for v in before.vertebrae]
    np.testing.assert_allclose(
        after.joints[3].frame.center_lps_mm, before.joints[3].frame.center_lps_mm
    )
    assert after.joints[3].side is before.joints[3].side


@pytest.mark.parametrize("reading", [None, {"series": ["1"], "verdict": "agrees"}])
def test_what_a_scout_said_comes_back(written_folder, tmp_path, reading):
    folder = tmp_path / "scout"
    shutil.copytree(written_folder, folder)
    record = json.loads((folder / "study.json").read_text())
    record["numbering"]["scout"] = reading
    (folder / "study.json").write_text(json.dumps(record))

    scout = read_study_report(folder).localization.scout

    assert scout == (reading and ScoutReading(("1",), ScoutVerdict.AGREES))


def test_a_report_of_an_earlier_version_has_no_scout(written_folder, tmp_path):
    folder = tmp_path / "earlier"
    shutil.copytree(written_folder, folder)
    record = json.loads((folder / "study.json").read_text())
    del record["numbering"]["scout"], record["series_for_numbering"]
    (folder / "study.json").write_text(json.dumps(record))

    assert read_study_report(folder).localization.scout is None


def test_a_damaged_study_is_refused(written_folder, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(written_folder, folder)
    record = json.loads((folder / "study.json").read_text())
    del record["joints"][0]["status"]
    (folder / "study.json").write_text(json.dumps(record))
    with pytest.raises(OutputError, match=r"study\.json: damaged"):
        read_study_report(folder)


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(OutputError, match="not a finished study"):
        read_study_report(tmp_path)

"""BIDS trees: which images make a study, whose it is, and what sidecars tell."""

import json

import pytest

from facetgrade.ingest import find_studies, load_study, scan_inputs
from facetgrade.study import Plane, Sequence
from tests.ingest.test_nifti import write

STIR = {"RepetitionTime": 4.2, "EchoTime": 0.055, "InversionTime": 0.15}
SAGITTAL_MM, AXIAL_MM = (4.4, 0.5, 0.8), (0.5, 0.8, 4.0)


@pytest.fixture
def tree(tmp_path):
    """Make a dataset of one subject with two sessions."""
    root = tmp_path / "dataset"
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "x"}')
    (root / "participants.tsv").write_text("participant_id\nsub-01\n")
    for session in ("ses-base", "ses-year"):
        folder = root / "sub-01" / session / "anat"
        stem = f"sub-01_{session}"
        write(folder / f"{stem}_acq-sag_T1w.nii.gz", spacing_mm=SAGITTAL_MM)
        write(folder / f"{stem}_acq-sag_inplaneT2.nii.gz", spacing_mm=SAGITTAL_MM)
        write(folder / f"{stem}_acq-ax_desc-denoised_T2w.nii.gz", (8, 9, 10), AXIAL_MM)
    return root


def put(path, values):
    path.write_text(json.dumps(values))


def studies(root, settings, privacy):
    found = find_studies(root, settings=settings)
    return [load_study(files, settings, privacy) for files in found]


def test_every_session_is_a_study_of_the_same_subject(tree, settings, privacy):
    first, second = studies(tree, settings, privacy)

    assert first.source == "sub-01/ses-base/anat"
    assert second.source == "sub-01/ses-year/anat"
    assert first.subject == second.subject == privacy.subject("sub-01")
    kinds = [(series.plane, series.sequence) for series in first.series]
    assert kinds == [
        (Plane.AXIAL, Sequence.T2),
        (Plane.SAGITTAL, Sequence.T1),
        (Plane.SAGITTAL, Sequence.T2),
    ]


def test_a_sidecar_tells_the_contrast_against_the_name(tree, settings, privacy):
    folder = tree / "sub-01/ses-base/anat"
    put(folder / "sub-01_ses-base_acq-sag_T1w.json", STIR)

    first, _ = studies(tree, settings, privacy)

    (series,) = [one for one in first.series if "_T1w" in one.uid]
    assert series.sequence is Sequence.T2_FS
    assert series.evidence[0].startswith("TR 4200 TE 55 TI 150 ms")


def test_sidecars_are_inherited_and_the_closest_one_wins(tree, settings, privacy):
    put(tree / "acq-ax_T2w.json", {**STIR, "InversionTime": 0.9})
    put(tree / "sub-01/ses-base/sub-01_ses-base_T2w.json", {"InversionTime": 0.15})
    put(tree / "acq-sag_T2w.json", {"EchoTime": 0.01})

    first, second = studies(tree, settings, privacy)

    (series,) = [one for one in first.series if "_T2w" in one.uid]
    assert series.evidence[0].startswith("TR 4200 TE 55 TI 150 ms")
    (series,) = [one for one in second.series if "_T2w" in one.uid]
    assert series.evidence[0].startswith("TR 4200 TE 55 TI 900 ms")
    assert first.source == "sub-01/ses-base/anat"


def test_outside_of_a_dataset_nothing_is_inherited(tmp_path, settings, privacy):
    write(tmp_path / "a" / "x_T2w.nii.gz")
    put(tmp_path / "a" / "T2w.json", STIR)

    (study,) = studies(tmp_path, settings, privacy)

    assert study.series[0].sequence is Sequence.T2


def test_contrast_agent_and_fat_suppression_are_read_from_entities(
    tmp_path, settings, privacy
):
    folder = tmp_path / "sub-02" / "anat"
    write(folder / "sub-02_acq-sagfs_ce-gadolinium_T1w.nii.gz")

    (study,) = studies(tmp_path, settings, privacy)

    assert study.source == "sub-02/anat/sub-02_acq-sagfs_ce-gadolinium_T1w.nii.gz"
    assert study.series[0].sequence is Sequence.T1_FS_POST


def test_images_that_are_not_anatomical_are_not_studies(tree, settings):
    session = tree / "sub-01/ses-base"
    write(session / "func" / "sub-01_ses-base_task-rest_bold.nii.gz")
    write(session / "dwi" / "sub-01_ses-base_dwi.nii.gz")
    write(tree / "derivatives" / "x" / "sub-01" / "anat" / "sub-01_desc-x_T2w.nii.gz")
    write(session / "anat" / "sub-01_ses-base_T2w_label-x_dseg.nii.gz")

    scan = scan_inputs([tree], settings)

    assert [study.source for study in scan.studies] == [
        "sub-01/ses-base/anat",
        "sub-01/ses-year/anat",
    ]
    assert scan.unread == ()


def test_a_phase_image_is_rejected(tree, settings, privacy):
    write(tree / "sub-01/ses-base/anat/sub-01_ses-base_part-phase_T2w.nii.gz")

    first, _ = studies(tree, settings, privacy)

    assert len(first.series) == 3
    (rejected,) = first.rejected
    assert rejected.reason == "diffusion, myelogram or map (description)"


def test_labels_of_two_datasets_are_not_one_patient(tree, settings, privacy):
    write(tree.parent / "other" / "sub-01" / "anat" / "sub-01_T2w.nii.gz")

    found = studies(tree.parent, settings, privacy)

    assert [study.subject for study in found] == ["", "", ""]


def test_an_unreadable_image_is_told_to_its_session_only(tree, settings):
    put(tree / "T2w.json", STIR)
    (tree / "sub-01/ses-year/anat/sub-01_ses-year_PDw.nii.gz").write_bytes(b"\x1f\x8b")

    first, second = find_studies(tree, settings=settings)

    assert first.problems == ()
    assert len(second.problems) == 1

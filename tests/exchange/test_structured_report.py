"""DICOM SR: what is written is read back, by facetgrade and by others."""

import shutil
import subprocess

import pytest

from facetgrade.errors import IngestError
from facetgrade.exchange import codes
from facetgrade.exchange.read_sr import COLUMNS, read_report
from facetgrade.exchange.seg import coded
from facetgrade.exchange.write import write_dicom
from facetgrade.findings import Flag, Reason
from facetgrade.report.tables import joint_rows
from facetgrade.simulate.vendors import Habit
from tests.exchange.builders import load, read, settings
from tests.report import builders as phantom

HABITS = [(Habit.SIEMENS, ()), (Habit.ENHANCED, ()), (Habit.STRIPPED, (2,))]


def report_in(folder):
    return read(folder / "out/dicom/sr.dcm")


@pytest.mark.parametrize(("habit", "flip"), HABITS)
def test_the_report_says_what_the_table_says(written, habit, flip):
    folder, _, report, _ = written(habit, flip)
    joints = read_report(report_in(folder))
    table = joint_rows(report)
    shared = [name for name in COLUMNS if name in table[0]]
    assert len(shared) == 22
    for joint, row in zip(joints, table, strict=True):
        said = {name: joint.row[name] for name in shared}
        assert said == {name: row[name] for name in shared}


def test_an_ungradable_joint_has_a_coded_reason(written):
    folder, *_ = written()
    joint = read_report(report_in(folder))[1]
    assert str(joint.joint) == "L3-L4 right"
    assert joint.row["status"] == "ungradable"
    assert joint.row["reason"] == "not-found"
    assert joint.row["segments"] == joint.row["effusion_mm3"] == ""


def test_a_drawn_joint_refers_to_its_segments_and_images(written):
    folder, *_ = written()
    segs = {}
    for path in folder.glob("out/dicom/seg_*.dcm"):
        dataset = read(path)
        segs[dataset.SOPInstanceUID] = dataset
    joint = read_report(report_in(folder))[3]
    seg = segs[joint.row["seg_uid"]]
    numbers = [int(number) for number in joint.row["segments"].split(";")]
    labels = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    assert [labels[n].split(": ")[0] for n in numbers] == (
        ["L4-L5 facet joint, right"] * 5
    )
    images = {
        reference.ReferencedSOPInstanceUID
        for reference in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert set(joint.image_uids) <= images
    assert joint.image_uids


def test_every_object_of_the_study_is_listed_as_evidence(written):
    folder, *_ = written()
    report = report_in(folder)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        one.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    paths = [*folder.glob("out/dicom/seg_*"), *(folder / "in").iterdir()]
    files = [path for path in paths if path.is_file()]
    assert listed == {read(path).SOPInstanceUID for path in files}


def test_the_same_result_has_the_same_uids(written, tmp_path):
    folder, study, report, _ = written()
    files, _ = load(folder / "in")
    context = phantom.context()
    write_dicom(
        report, study, files, tmp_path / "out", context=context, settings=settings()
    )
    assert report_in(tmp_path).SOPInstanceUID == report_in(folder).SOPInstanceUID


def test_dsrdump_prints_what_a_reader_expects(written):
    program = shutil.which("dsrdump", path="/usr/bin")
    if program is None:
        pytest.skip("dsrdump is not installed")
    folder, *_ = written()
    path = folder / "out/dicom/sr.dcm"
    run = subprocess.run(
        [program, "+Pl", path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stdout.count('"Measurement Group")') == 4
    for line in (
        'TEXT:(,,"Tracking Identifier")="L4L5_R"',
        'CODE:(,,"Finding Site")=(243923001,SCT,"Level of L4/L5 intervertebral disc")',
        'CODE:(,,"Laterality")=(24028007,SCT,"Right")',
        'NUM:(,,"Volume")="212.4" (mm3,UCUM,"cubic millimeter")',
        'NUM:(,,"Abnormal fraction of perimeter")="0.81"',
        '=(CF4,99FACETGRADE,"Czervionke-Fenton grade 4")',
        '=(FORAMEN,99FACETGRADE,"Intervertebral foramen")',
        '=(NOT_FOUND,99FACETGRADE,"Joint not found")',
        'IMAGE:(,,"Referenced Segment")=(SG image',
    ):
        assert line in run.stdout


def test_highdicom_reads_the_groups(written):
    from highdicom.sr import srread

    folder, *_ = written()
    content = srread(folder / "out/dicom/sr.dcm").content
    groups = content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 3
    volumes = groups[0].get_measurements(name=coded(codes.VOLUME))
    assert [volume.value for volume in volumes] == [212.4, 1920.0, 120.0]


def test_another_report_is_refused(written):
    folder, *_ = written()
    report = report_in(folder)
    report.ContentSequence = []
    with pytest.raises(IngestError, match="without Czervionke-Fenton grades"):
        read_report(report)
    report.Modality = "MR"
    with pytest.raises(IngestError, match="not a DICOM structured report"):
        read_report(report)


def test_a_contradiction_of_identifier_and_site_is_refused(written):
    folder, *_ = written()
    report = report_in(folder)
    group = report.ContentSequence[-1].ContentSequence[0]
    site = next(
        c
        for c in group.ContentSequence
        if c.ConceptNameCodeSequence[0].CodeValue == codes.FINDING_SITE.value
    )
    site.ContentSequence[0].ConceptCodeSequence[0].CodeValue = "24028007"
    with pytest.raises(IngestError, match="whose finding site is another one"):
        read_report(report)


def test_every_reason_and_flag_has_a_code():
    assert set(codes.REASONS) == set(Reason)
    assert set(codes.FLAGS) == set(Flag)


def test_codes_fit_their_elements():
    tables = [v for v in vars(codes).values() if isinstance(v, dict | tuple)]
    found = [v for v in vars(codes).values() if isinstance(v, codes.Code)]
    for table in tables:
        found += table.values() if isinstance(table, dict) else table
    for code in (c for c in found if isinstance(c, codes.Code)):
        assert len(code.value) <= 16, code
        assert len(code.meaning) <= 64, code


def test_private_codes_are_unique():
    values = [code.value for code in codes.private_codes()]
    assert len(values) == len(set(values))
    assert "CF3" in values

"""A batch over two tiny studies, graded by nobody."""

import csv

from facetgrade.batch.anchors import Anchors
from facetgrade.batch.job import BatchJob
from facetgrade.batch.runner import grade_batch
from facetgrade.config import config_values, read_config
from facetgrade.findings import Localization, Reason, StudyReport, Ungradable
from facetgrade.ingest import Privacy
from facetgrade.report import ReportContext
from facetgrade.request import Request
from facetgrade.stopwatch import Stopwatch

NOTHING = Localization(vertebrae=(), joints=(), numbering_probability=0.0)


class Events:
    """Remembers what a watcher is told."""

    def __init__(self):
        self.lines = []

    def problems(self, sentences):
        self.lines += [("problem", sentence) for sentence in sentences]

    def found(self, count):
        self.lines.append(("found", count))

    def stage(self, name):
        self.lines.append(("stage", name))

    def finished(self, entry):
        self.lines.append(("skipped" if entry.skipped else "graded", entry.source))

    def failed(self, failure):
        self.lines.append(("failed", failure.source))

    def of(self, kind):
        return [value for name, value in self.lines if name == kind]


def nothing_found(study, request, watch):
    """Grade no joint: the smallest honest report."""
    with watch.stage("localize"):
        outcomes = tuple(
            Ungradable(joint=joint, reason=Reason.NOT_FOUND, explanation="Not seen.")
            for joint in request.joints
        )
    return StudyReport(
        study_uid=study.uid,
        source=study.source,
        subject=study.subject,
        date=study.date,
        outcomes=outcomes,
        localization=NOTHING,
    )


def run(job, grade=nothing_found):
    events = Events()
    return grade_batch(job, grade, events, Stopwatch(events.stage)), events


def rows(job):
    with (job.out / "joints.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def job_of(folder, out, **changes):
    """Describe a batch over one folder, by the shipped settings."""
    config = changes.pop("config", None) or read_config()
    version = changes.pop("version", "0.1")
    values = {
        "inputs": (folder,),
        "out": out,
        "config": config,
        "context": ReportContext(
            version=version,
            config=config_values(config),
            model_sha256={"m": "00"},
            device="cpu",
        ),
        "request": Request(),
        "anchors": Anchors(),
        "privacy": Privacy(key=b"k" * 32, keep_patient_id=False, mask_uids=False),
    }
    return BatchJob(**{**values, **changes})

import dataclasses

import pytest

from facetgrade.batch.line import OneByOne, grade_overlapped
from facetgrade.batch.runner import run_batch
from facetgrade.batch.task import Cause, Finished, failed, worded
from facetgrade.errors import IngestError
from facetgrade.pipeline import FoundJoints
from facetgrade.stopwatch import Stopwatch
from tests.batch.builders import NOTHING, Events, nothing_found, rows


class Patient(OneByOne):
    """Grades in this process and tries three times."""

    attempts = 3

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.rounds = []

    def run(self, tasks, done, *, alone):
        self.rounds.append(alone)
        super().run(tasks, done, alone=alone)


class Deadly:
    """Loses a worker with every study."""

    attempts, retry_pause_s, load_s = 3, 0.0, 0.0

    def __init__(self):
        self.tries = 0

    def run(self, tasks, done, *, alone):  # noqa: ARG002 (the protocol)
        for task in tasks:
            self.tries += 1
            done(worded(task, Cause.CRASH, "a worker died", stage="segment"))


def run_with(job, executor):
    events = Events()
    return run_batch(job, lambda job: (job, executor), events, Stopwatch()), events


def test_a_study_whose_disk_came_back_is_finished(make_job):
    failures = [OSError(5, "Input/output error")] * 2

    def grade(study, request, watch):
        if failures:
            raise failures.pop()
        return nothing_found(study, request, watch)

    job = make_job()
    executor = Patient(job, grade, lambda _: None)
    summary, events = run_with(job, executor)
    assert (summary.exit_code, events.of("failed")) == (0, [])
    assert executor.rounds == [False, True]
    assert len(rows(job)) == 8


def test_bad_data_is_not_tried_again(make_job):
    tries = []

    def grade(study, *_):
        tries.append(study.source)
        raise IngestError("no slices")

    job = make_job()
    run_with(job, Patient(job, grade, lambda _: None))
    assert tries == ["anna", "bert"]


def test_a_study_that_ends_workers_is_kept_out_of_later_runs(make_job):
    first, second = Deadly(), Deadly()
    summary, _ = run_with(make_job(), first)
    assert (first.tries, summary.exit_code) == (6, 2)
    summary, events = run_with(make_job(), second)
    assert second.tries == 0
    assert events.of("failed") == ["anna", "bert"]
    assert "--retry-quarantined" in summary.failures[0].message


def test_a_quarantined_study_is_tried_again_on_request(make_job):
    run_with(make_job(), Deadly())
    job = make_job(retry_quarantined=True)
    summary, _ = run_with(job, OneByOne(job, nothing_found, lambda _: None))
    assert summary.exit_code == 0


def test_a_quarantined_study_with_a_new_file_is_tried_again(make_job, studies):
    run_with(make_job(), Deadly())
    (studies / "anna" / "slice000.dcm").touch()
    again = Deadly()
    run_with(make_job(), again)
    assert again.tries == 3


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(5, "I/O"), Cause.FILE_FOR_NOW),
        (OSError(28, "full"), Cause.FILE),
        (MemoryError(), Cause.MEMORY),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you"), Cause.MEMORY),
        (IngestError("no"), Cause.DATA),
    ],
)
def test_a_failure_has_a_cause(make_job, error, cause):
    task = tasks_of(make_job())[0]
    assert failed(task, error, Stopwatch()).cause is cause


def tasks_of(job):
    """Return the tasks that a run gives to its executor."""
    seen = []

    class Collect(Deadly):
        def run(self, tasks, done, *, alone):  # noqa: ARG002 (the protocol)
            seen.extend(tasks)

    run_with(job, Collect())
    return seen


class InTwoSteps:
    """Finds no joint; fails of the study of anna in one step, if told so."""

    def __init__(self, failing=""):
        self.failing = failing

    def find(self, study, request, watch):  # noqa: ARG002 (the protocol)
        self._check(study, "find")
        with watch.stage("localize"):
            return FoundJoints(NOTHING, {})

    def judge(self, study, found, request, watch):  # noqa: ARG002 (the protocol)
        with watch.stage("grade"):
            self._check(study, "judge")
            return nothing_found(study, request, Stopwatch())

    def _check(self, study, step):
        if (study.source, step) == ("anna", self.failing):
            raise MemoryError


def test_the_overlapped_line_gives_the_results_of_one_by_one(make_job):
    job = make_job()
    tasks = tasks_of(job)
    results, stages = {}, []
    grade_overlapped(
        tasks,
        job,
        InTwoSteps(),
        done=lambda result: results.update({result.folder: result}),
        told=lambda task, stage: stages.append((task.files.source, stage)),
    )
    assert all(isinstance(result, Finished) for result in results.values())
    assert set(results) == {task.folder for task in tasks}
    anna = [stage for source, stage in stages if source == "anna"]
    assert anna == ["read", "", "localize", "", "grade", "report"]


@pytest.mark.parametrize("step", ["find", "judge"])
def test_the_overlapped_line_goes_on_after_failures(make_job, step):
    job = make_job()
    tasks = tasks_of(job)
    missing = dataclasses.replace(tasks[1].files, files=())
    tasks.append(dataclasses.replace(tasks[1], folder="studies/x", files=missing))
    results = {}
    grade_overlapped(
        tasks,
        job,
        InTwoSteps(step),
        done=lambda result: results.update({result.folder: result}),
        told=lambda *_: None,
    )
    kinds = [type(results[task.folder]).__name__ for task in tasks]
    assert kinds == ["Failed", "Finished", "Failed"]

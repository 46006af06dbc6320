"""Repeat scans of simulated patients: measurement error of extents and registration.

Every patient is scanned twice on the same day by one protocol: positioned, sliced and
disturbed anew. What differs between the two is measurement error.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint
from facetgrade.compare.changes import Extent, followed_extents
from facetgrade.compare.identity import TimePoint, match_anatomy
from facetgrade.compare.registration import JointView, register_joint
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import PipelineConfig
from facetgrade.evaluate.intervals import Estimate, cluster_bootstrap
from facetgrade.evaluate.registration import motion_error
from facetgrade.findings import Graded, JointFrame, Outcome
from facetgrade.inference import Models
from facetgrade.ingest import read_studies
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.atomic import write_json
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.fixed_protocol import one_protocol
from facetgrade.simulate.pathology import add_lookalikes, add_pathology, draw_grades
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.study import simulate_study
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.vendors import draw_patient, write_series

log = logging.getLogger(__name__)

_DAY = date(2021, 3, 1)
_SCANS = 2
_TWO_MEASUREMENTS = math.sqrt(2.0)
_Z_95 = 1.96


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedJoint:
    """One joint on two scans of one patient.

    Attributes
    ----------
    patient, joint : str
        Whose joint.
    grades : tuple of int or None
        As graded on each scan.
    first, second : mapping of str to float
        Followed extents of each scan, empty without a grade.
    registered_mm, registered_deg : float or None
        True error of the registration: mean over points around the joint, and angle.
    estimated_mm, similarity : float or None
        What the registration says of itself.
    problem : str
        Why it was not trusted.
    """

    patient: str
    joint: str
    grades: tuple[int | None, int | None]
    first: Mapping[str, float]
    second: Mapping[str, float]
    registered_mm: float | None
    registered_deg: float | None
    estimated_mm: float | None
    similarity: float | None
    problem: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Repeatability:
    """What all repeat scans are measured with.

    Attributes
    ----------
    compare : CompareSettings
        Registration, and how many intervals.
    simulator : SimulateSettings
        Ranges of patients and protocols.
    pipeline : PipelineConfig
        How scans are graded.
    models : Models
        Networks.
    request : Request
        Which levels.
    seed : int
        Of the patients.
    """

    compare: CompareSettings
    simulator: SimulateSettings
    pipeline: PipelineConfig
    models: Models
    request: Request
    seed: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Scan:
    """One scan as graded, and where its joints truly are."""

    point: TimePoint
    frames: Mapping[FacetJoint, JointFrame]


def measure_patient(number: int, work: Repeatability) -> dict[str, Any]:
    """Simulate, scan twice, grade and register one patient.

    Parameters
    ----------
    number : int
        Of the patient; with the seed it decides everything.
    work : Repeatability
        Settings and networks.

    Returns
    -------
    dict
        ``joints`` (`RepeatedJoint` as JSON types) and ``spines`` (correlations of the
        spines as named and one level off).
    """
    with tempfile.TemporaryDirectory() as folder:
        scans = list(_scan_twice(number, Path(folder), work))
    first, second = (scan.point for scan in scans)
    name = f"r{number:04d}"
    match = match_anatomy(first, second, work.compare.identity)
    shared = set(work.request.joints) & set(scans[0].frames)
    joints = [_repeated(name, joint, scans, work) for joint in sorted(shared)]
    return {
        "patient": name,
        "joints": [asdict(joint) for joint in joints],
        "spines": {str(shift): value for shift, value in match.similarity.items()},
    }


def measure_patients(
    patients: int,
    work: Repeatability,
    folder: Path,
    *,
    measure: Callable[[int, Repeatability], dict[str, Any]] = measure_patient,
) -> list[dict[str, Any]]:
    """Measure patients one after the other, keeping what an earlier run measured.

    Parameters
    ----------
    patients : int
        How many.
    work : Repeatability
        Settings and networks; what other settings measured is measured again.
    folder : Path
        Receives a file for each patient.
    measure : callable
        Measures one of them.
    """
    made_with = _fingerprint(work)
    results = []
    for number in range(1, patients + 1):
        path = folder / f"r{number:04d}.json"
        result = _kept(path, made_with)
        if result is None:
            result = {**measure(number, work), "made_with": made_with}
            write_json(path, result)
        results.append(result)
        log.info("repeat scans: %d of %d patients", number, patients)
    return results


def summarize(
    results: Sequence[Mapping[str, Any]], *, seed: int, resamples: int
) -> dict[str, Any]:
    """Turn repeat scans into smallest detectable changes and registration errors.

    Parameters
    ----------
    results : sequence of mapping
        From `measure_patients`.
    seed, resamples : int
        Of the patient-cluster bootstrap.

    Returns
    -------
    dict
        ``smallest_detectable_change`` (value and limits of each extent),
        ``registration``, ``grades`` and counts.
    """
    rows = [row for result in results for row in result["joints"]]
    graded = [row for row in rows if None not in row["grades"]]
    if not graded:
        raise ValueError("results must hold a joint that was graded twice, got none")
    options = {"seed": seed, "resamples": resamples}
    patients = [row["patient"] for row in graded]
    apart = {
        extent.value: np.array(
            [row["second"][extent.value] - row["first"][extent.value] for row in graded]
        )
        for extent in Extent
    }
    estimates = cluster_bootstrap(
        patients,
        lambda rows: {
            name: smallest_detectable_change(values[rows])
            for name, values in apart.items()
        },
        **options,
    )
    same = [row["grades"][0] == row["grades"][1] for row in graded]
    return {
        "scans": _SCANS * len(results),
        "patients": len(results),
        "joints": len(graded),
        "joints_without_grade": len(rows) - len(graded),
        "same_grade": float(np.mean(same)),
        "smallest_detectable_change": {
            name: _limits(value) for name, value in estimates.items()
        },
        "registration": _registration(rows),
        "spines": [result["spines"] for result in results],
    }


def smallest_detectable_change(differences: NDArray[np.float64]) -> float:
    """Return 1.96 * sqrt(2) * SEM of paired measurements.

    The SEM is the standard deviation within joints, sqrt(mean(d^2) / 2).

    Parameters
    ----------
    differences : (N,) float64 ndarray
        Second minus first measurement of each joint.

    References
    ----------
    .. [1] Bland JM, Altman DG. BMJ 1996;313:744, doi 10.1136/bmj.313.7059.744.
    .. [2] de Vet HCW et al. J Clin Epidemiol 2006;59:1033-1039,
       doi 10.1016/j.jclinepi.2005.10.015.
    """
    error = math.sqrt(float((differences**2).mean()) / 2.0)
    return _Z_95 * _TWO_MEASUREMENTS * error


def _fingerprint(work: Repeatability) -> str:
    """Name what the numbers depend on; the pipeline names its weights."""
    settings = (work.compare.registration, work.compare.identity, work.simulator)
    parts = [one.model_dump_json() for one in (*settings, work.pipeline)]
    parts += [*map(str, work.request.joints), str(work.seed)]
    return sha256("\n".join(parts).encode()).hexdigest()


def _kept(path: Path, made_with: str) -> dict[str, Any] | None:
    """Return what an earlier run measured with the same settings."""
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept if kept.get("made_with") == made_with else None


def _scan_twice(number: int, folder: Path, work: Repeatability) -> Iterator[_Scan]:
    """Scan one simulated patient with pathology twice, and grade each scan.

    The true masks are not written: their position alone is asked, and the scanner knows
    it.
    """
    rng = np.random.default_rng([work.seed, number])
    config, rules = work.simulator, work.pipeline.grade
    patient = draw_patient(number, rng)
    healthy = build_scene(config.anatomy, "parametric", rng)
    healthy = add_lookalikes(healthy, rng, config.pathology.lookalikes)
    subject = draw_subject_tissue(rng)
    joints = sorted(set(healthy.joints) & set(work.request.joints))
    grades = draw_grades(rng, joints, config.pathology)
    scene = add_pathology(healthy, grades, rng, config.pathology, rules)
    protocol = one_protocol(config, rng)
    for scan in range(_SCANS):
        study = simulate_study(
            scene, patient, subject, study_date=_DAY, config=protocol, rng=rng
        )
        path = folder / f"scan{scan + 1}"
        for series in study.series:
            write_series(path, series, study.examination, rng)
        yield _Scan(point=_graded(path, work), frames=study.scene.joints)


def _graded(path: Path, work: Repeatability) -> TimePoint:
    """Read and grade one scan."""
    study = max(read_studies(path), key=lambda study: len(study.series))
    report = grade_study(study, work.models, work.pipeline, request=work.request)
    return TimePoint(study=study, report=report)


def _repeated(
    patient: str,
    joint: FacetJoint,
    scans: Sequence[_Scan],
    work: Repeatability,
) -> RepeatedJoint:
    """Compare one joint on both scans."""
    outcomes = [_outcome(scan.point, joint) for scan in scans]
    first, second = (o if isinstance(o, Graded) else None for o in outcomes)
    return RepeatedJoint(
        patient=patient,
        joint=str(joint),
        grades=(
            first.best.grade if first else None,
            second.best.grade if second else None,
        ),
        first=_extents(first),
        second=_extents(second),
        **_registered(joint, scans, work),
    )


def _outcome(scan: TimePoint, joint: FacetJoint) -> Outcome | None:
    return next((o for o in scan.report.outcomes if o.joint == joint), None)


def _extents(graded: Graded | None) -> dict[str, float]:
    if graded is None:
        return {}
    followed = followed_extents(graded.best.extents)
    return {extent.value: value for extent, value in followed.items()}


def _registered(
    joint: FacetJoint,
    scans: Sequence[_Scan],
    work: Repeatability,
) -> dict[str, Any]:
    """Register one joint and compare the motion with the true one.

    Joints of the levels that are graded by default stand for the others: registering
    all ten takes a third of the time of a patient.
    """
    names = ("registered_mm", "registered_deg", "estimated_mm", "similarity")
    nothing = dict.fromkeys(names)
    if joint not in Request().joints:
        return {**nothing, "problem": "not asked"}
    views = [_view(scan.point, joint) for scan in scans]
    if views[0] is None or views[1] is None:
        return {**nothing, "problem": "not located"}
    found = register_joint(views[0], views[1], work.compare.registration)
    if found is None:
        return {**nothing, "problem": "no common contrast"}
    registered_mm, registered_deg = motion_error(
        found.motion,
        scans[0].frames[joint],
        scans[1].frames[joint],
        radius_mm=work.compare.registration.error_radius_mm,
    )
    return {
        "registered_mm": registered_mm,
        "registered_deg": registered_deg,
        "estimated_mm": found.error_mm,
        "similarity": found.similarity,
        "problem": found.problem,
    }


def _view(scan: TimePoint, joint: FacetJoint) -> JointView | None:
    outcome = _outcome(scan, joint)
    if outcome is None or outcome.location is None:
        return None
    return JointView(
        study=scan.study, frame=outcome.location.frame, masks=outcome.masks
    )


def _registration(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | int]:
    """Summarize true and estimated errors of the registrations that were trusted."""
    done = [row for row in rows if row["registered_mm"] is not None]
    trusted = [row for row in done if not row["problem"]]
    numbers: dict[str, float | int] = {"joints": len(done), "trusted": len(trusted)}
    for name in ("registered_mm", "registered_deg", "estimated_mm", "similarity"):
        values = np.array([row[name] for row in trusted], float)
        if values.size:
            numbers[f"{name}_median"] = float(np.median(values))
            numbers[f"{name}_p95"] = float(np.quantile(values, 0.95))
            numbers[f"{name}_min"] = float(values.min())
    return numbers


def _limits(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

"""Which grade each joint of a simulated patient has, now and a year later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.simulate.pathology.settings import PathologySettings


def draw_grades(
    rng: np.random.Generator,
    joints: Sequence[FacetJoint],
    settings: PathologySettings,
) -> dict[FacetJoint, int]:
    """Draw a grade for every joint; joints of one patient resemble each other.

    A hidden severity, normal with correlation `patient_correlation` between the
    joints of a patient, is cut at the quantiles of `grade_probabilities`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    joints : sequence of FacetJoint
        Joints of one patient.
    settings : PathologySettings
        Probabilities.

    Returns
    -------
    dict of FacetJoint to int
        Grades 0-4.
    """
    shared = np.sqrt(settings.patient_correlation) * rng.standard_normal()
    own = np.sqrt(1.0 - settings.patient_correlation) * rng.standard_normal(len(joints))
    cuts = np.cumsum(settings.grade_probabilities)[:-1]
    grades = np.searchsorted(cuts, ndtr(shared + own), side="right")
    return dict(zip(joints, (int(g) for g in grades), strict=True))


def draw_followup_grades(
    rng: np.random.Generator,
    baseline: Mapping[FacetJoint, int],
    settings: PathologySettings,
) -> dict[FacetJoint, int]:
    """Draw the grades of the same joints at follow-up.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    baseline : mapping of FacetJoint to int
        Grades of the first visit.
    settings : PathologySettings
        `followup_transitions` holds the probabilities.

    Returns
    -------
    dict of FacetJoint to int
        Grades 0-4.
    """
    return {
        joint: int(rng.choice(5, p=settings.followup_transitions[grade]))
        for joint, grade in baseline.items()
    }


def draw_trial_case(
    rng: np.random.Generator, joints: Sequence[FacetJoint]
) -> tuple[dict[FacetJoint, int], dict[FacetJoint, int]]:
    """Draw a patient like the published one, before treatment and a year later.

    The report says: suspected synovitis of both L3-L4 joints, severe synovitis on the
    right of L4-L5, lower at one year. It prints no grades; suspected is drawn as grade
    1 or 2, severe is grade 4, and the other joints have at most an effusion.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    joints : sequence of FacetJoint
        Joints of the patient.

    Returns
    -------
    dict of FacetJoint to int, dict of FacetJoint to int
        Grades at baseline and at follow-up.
    """
    baseline = {joint: int(rng.integers(0, 2)) for joint in joints}
    suspected = [joint for joint in joints if joint.level is Level.L3_L4]
    severe = FacetJoint(Level.L4_L5, Side.RIGHT)
    baseline |= {joint: int(rng.integers(1, 3)) for joint in suspected}
    followup = baseline | {joint: baseline[joint] - 1 for joint in suspected}
    if severe in baseline:
        baseline[severe] = 4
        followup[severe] = int(rng.integers(1, 3))
    return baseline, followup

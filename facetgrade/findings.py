"""The records that leave: located joints, masks, extents, grades, reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, FacetJoint, Lesion, Level, Side
from facetgrade.geometry import VolumeGeometry
from facetgrade.scouts import ScoutReading
from facetgrade.study import Sequence


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointFrame:
    """Position and axes of one facet joint in the patient.

    The axes are orthonormal LPS directions. `lateral` points away from the midline
    on either side, so a right joint seen in its frame looks like a left one.

    Attributes
    ----------
    center_lps_mm : (3,) float64 ndarray
        Centroid of the joint space between the articular surfaces.
    cranial, posterior, lateral : (3,) float64 ndarray
        Toward the head along the joint's cranio-caudal axis, backward, outward.
    """

    center_lps_mm: NDArray[np.float64]
    cranial: NDArray[np.float64]
    posterior: NDArray[np.float64]
    lateral: NDArray[np.float64]

    def grid(
        self, *, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]
    ) -> VolumeGeometry:
        """Return the joint-aligned grid, indices growing (cranial, posterior, lateral).

        Parameters
        ----------
        spacing_mm : tuple of float
            Voxel distance along (cranial, posterior, lateral).
        shape : tuple of int
            Number of voxels along the same axes; the joint center is in the middle.
        """
        return VolumeGeometry.centered(
            center_lps_mm=self.center_lps_mm,
            axes=np.stack([self.cranial, self.posterior, self.lateral]),
            spacing_mm=spacing_mm,
            shape=shape,
        )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LocatedVertebra:
    """Vertebral body with its name and how sure the name is."""

    name: str
    center_lps_mm: NDArray[np.float64]
    probability: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LocatedJoint:
    """Facet joint as the localizer found it.

    Attributes
    ----------
    number : int
        Running number from the top of the volume, the same for both sides.
    level : Level or None
        None where the joint belongs to no lumbar level (thoracic or sacral).
    side : Side
        Side of the patient.
    frame : JointFrame
        Where it is.
    score : float
        Confidence of the detection, 0-1.
    level_probability : float
        Probability that `level` is right.
    """

    number: int
    level: Level | None
    side: Side
    frame: JointFrame
    score: float
    level_probability: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Localization:
    """Everything the localizer says about one study.

    Attributes
    ----------
    vertebrae : tuple of LocatedVertebra
        From the top.
    joints : tuple of LocatedJoint
        All located joints of any level, from the top, left first.
    numbering_probability : float
        Probability of the chosen numbering.
    alternative, alternative_probability : tuple of str, float
        Names of `vertebrae` under the best other numbering, empty if none; its share.
    level_assumed : bool
        Numbering could not be decided from what is in view.
    notes : tuple of str
        Sentences for the report.
    numbering_totals : mapping of str to float
        Sum of log votes for each possible numbering, by its name of the lowest body.
    sacrum_vote : float
        How sure the lowest bodies are sacral ones, 0-1.
    scout : ScoutReading or None
        What the scouts said; None when none was read.
    """

    vertebrae: tuple[LocatedVertebra, ...]
    joints: tuple[LocatedJoint, ...]
    numbering_probability: float
    alternative: tuple[str, ...] = ()
    alternative_probability: float = 0.0
    level_assumed: bool = False
    notes: tuple[str, ...] = ()
    numbering_totals: Mapping[str, float] = field(default_factory=dict)
    sacrum_vote: float = 0.0
    scout: ScoutReading | None = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointMasks:
    """Segmentation of one joint on its joint-aligned grid.

    Attributes
    ----------
    geometry : VolumeGeometry
        Grid from `JointFrame.grid`: indices grow (cranial, posterior, lateral).
    structures : (H, R, C) uint8 ndarray
        `Structure` labels.
    lesions : mapping of Lesion to (H, R, C) float32 ndarray
        Probability of each lesion, 0-1; the mask is probability >= 0.5.
    in_view : (H, R, C) bool ndarray
        Voxels covered by at least one series that can show the lesions.
    sequence : Sequence
        Contrast on which the lesions were judged.
    """

    geometry: VolumeGeometry
    structures: NDArray[np.uint8]
    lesions: Mapping[Lesion, NDArray[np.float32]]
    in_view: NDArray[np.bool_]
    sequence: Sequence


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SegmentedJoint:
    """One joint after segmentation, on every contrast that could be judged.

    Attributes
    ----------
    joint : FacetJoint
        Which joint.
    location : LocatedJoint
        Location; its center is the centroid of the joint space if outlined near it.
    masks : tuple of JointMasks
        One per contrast that shows edema (T2-FS, T1-FS-post); without any, one entry
        of another contrast on which only the effusion can be measured. Empty when the
        joint is outside every series.
    series_used : tuple of str
        Uids of the series that were read.
    sagittal_only : bool
        No axial stack contributed to the lesions.
    missing_slices : bool
        An interpolated slice lies in the joint.
    typicality : float
        1 like training, 0 unlike; compared with a threshold by the grade stage.
    """

    joint: FacetJoint
    location: LocatedJoint
    masks: tuple[JointMasks, ...]
    series_used: tuple[str, ...] = ()
    sagittal_only: bool = False
    missing_slices: bool = False
    typicality: float = 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """Value with its lower and upper limit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Extents:
    """What was measured on one joint; the input of the grade rules.

    Attributes
    ----------
    effusion_mm3, effusion_width_mm : Interval
        Intra-capsular fluid: volume and greatest width across the joint space.
    soft_tissue_edema_mm3, marrow_edema_mm3 : Interval
        Periarticular edema by tissue.
    articular_marrow_edema_mm3 : float
        Marrow edema within the two articular processes.
    cyst_mm3 : float
        Synovial cyst, kept apart.
    perimeter_fraction : Interval
        Abnormal share of the sectors with soft tissue, by the rules; corrected.
    perimeter_fraction_all_sectors : float
        Share over all 72 sectors, as outlined.
    perimeter_fraction_worst_plane : Interval
        Largest share seen in one plane, as outlined unless it grades.
    sector_map : (H, 72) int8 ndarray
        Unrolled perimeter: 1 abnormal, 0 normal, -1 no soft tissue; rows from the
        bottom of the joint to its top, columns from posterior over lateral.
    extension_mm3 : mapping of ExtensionSite to float
        Abnormal volume in each site connected with the periarticular signal.
    perimeter_fraction_height_30 : Interval or None
        Share of sectors abnormal over 30 % of the joint's height, whichever way grades.
    """

    effusion_mm3: Interval
    effusion_width_mm: Interval
    soft_tissue_edema_mm3: Interval
    marrow_edema_mm3: Interval
    articular_marrow_edema_mm3: float
    cyst_mm3: float
    perimeter_fraction: Interval
    perimeter_fraction_all_sectors: float
    perimeter_fraction_worst_plane: Interval
    sector_map: NDArray[np.int8]
    extension_mm3: Mapping[ExtensionSite, float]
    perimeter_fraction_height_30: Interval | None = None

    @property
    def edema_mm3(self) -> float:
        """Soft-tissue and marrow edema together."""
        return self.soft_tissue_edema_mm3.value + self.marrow_edema_mm3.value


class Reason(StrEnum):
    """Why a joint could not be graded, as written in tables."""

    NO_FAT_SUPPRESSION = "no-fat-suppression"
    NOT_IN_VIEW = "not-in-view"
    NOT_FOUND = "not-found"
    LEVEL_UNCERTAIN = "level-uncertain"
    METAL = "metal"
    MOTION = "motion"
    UNLIKE_TRAINING = "unlike-training"
    BAD_GEOMETRY = "bad-geometry"
    TOO_FEW_SLICES = "too-few-slices"


class Flag(StrEnum):
    """What a reader should know about a row, as written in tables."""

    LEVEL_ASSUMED = "level-assumed"
    LEVEL_UNCERTAIN = "level-uncertain"
    SAGITTAL_ONLY = "sagittal-only"
    RULE_VS_PROBABILITY = "rule-vs-probability"
    CYST = "cyst"
    UNLIKE_TRAINING = "unlike-training"
    MISSING_SLICES = "missing-slices"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SequenceGrade:
    """Grade of one joint on one contrast, with the measurement behind it.

    Attributes
    ----------
    sequence : Sequence
        Contrast that was graded.
    grade : int
        Czervionke-Fenton grade 0-4 by the written rules.
    extents : Extents
        What was measured.
    extension : tuple of ExtensionSite
        Sites reached by the signal.
    borderline : bool
        Perimeter fraction near one half or none, or width near its limit.
    trace : tuple of str
        One sentence per rule that decided.
    """

    sequence: Sequence
    grade: int
    extents: Extents
    extension: tuple[ExtensionSite, ...]
    borderline: bool
    trace: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Graded:
    """A graded joint: the highest of its per-sequence grades, with uncertainty.

    Attributes
    ----------
    joint : FacetJoint
        Which joint.
    location : LocatedJoint
        Where it is.
    masks : JointMasks
        Segmentation on the contrast that gave the grade.
    best, per_sequence : SequenceGrade, tuple of SequenceGrade
        The reported grade; all of them, `best` included.
    probabilities : tuple of float
        P(grade 0) ... P(grade 4), sum 1.
    grade_set : tuple of int
        Grades that hold the truth at the stated coverage.
    flags : tuple of Flag
        What a reader should know.
    series_used : tuple of str
        Uids of the series that were read.
    typicality : float
        As in `SegmentedJoint`.
    """

    joint: FacetJoint
    location: LocatedJoint
    masks: JointMasks
    best: SequenceGrade
    per_sequence: tuple[SequenceGrade, ...]
    probabilities: tuple[float, float, float, float, float]
    grade_set: tuple[int, ...]
    flags: tuple[Flag, ...] = ()
    series_used: tuple[str, ...] = ()
    typicality: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ungradable:
    """A joint without a grade, and why; what could be measured is kept.

    Attributes
    ----------
    joint : FacetJoint
        Which joint.
    reason : Reason
        The table value.
    explanation : str
        One sentence for the report.
    location : LocatedJoint or None
        Where it is, if it was found.
    masks, extents : JointMasks, Extents or None
        Segmentation and extents (effusion without fat suppression), if any.
    flags : tuple of Flag
        What a reader should know.
    series_used : tuple of str
        Uids of the series that were read.
    typicality : float
        As in `SegmentedJoint`; 0 if the joint was not segmented.
    """

    joint: FacetJoint
    reason: Reason
    explanation: str
    location: LocatedJoint | None = None
    masks: JointMasks | None = None
    extents: Extents | None = None
    flags: tuple[Flag, ...] = ()
    series_used: tuple[str, ...] = ()
    typicality: float = 0.0


Outcome = Graded | Ungradable


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StudyReport:
    """Result of one study.

    Attributes
    ----------
    study_uid, source, subject, date : str
        As in `Study`.
    outcomes : tuple of Graded or Ungradable
        One per requested level and side, sorted.
    localization : Localization
        All located vertebrae and joints.
    stage_seconds : mapping of str to float
        Wall time of each stage.
    """

    study_uid: str
    source: str
    subject: str
    date: str
    outcomes: tuple[Outcome, ...]
    localization: Localization
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

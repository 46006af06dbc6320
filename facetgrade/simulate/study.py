"""Simulated studies: one patient, one or two visits, DICOM and truth."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from facetgrade.errors import OutputError
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.imperfections import draw_imperfections
from facetgrade.simulate.movement import (
    displacement_lps,
    move_between,
    series_of_truth,
)
from facetgrade.simulate.pathology import (
    add_lookalikes,
    add_pathology,
    draw_followup_grades,
    draw_grades,
)
from facetgrade.simulate.placement import (
    axial_blocks,
    axial_stack,
    move_scene,
    sagittal_stack,
)
from facetgrade.simulate.protocols import Protocol, draw_protocol
from facetgrade.simulate.scanner import acquire
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.series_list import study_series
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import (
    SubjectTissue,
    draw_subject_tissue,
    physics_signals,
)
from facetgrade.simulate.truth_files import write_truth
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    Patient,
    draw_patient,
    new_uid,
    write_series,
)
from facetgrade.study import Plane

_LOGGER = logging.getLogger(__name__)
_FIRST_DAY = date(2020, 1, 6)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SimulatedStudy:
    """One visit: the patient as scanned and what the scanner made.

    Attributes
    ----------
    scene : Scene
        Patient with pathology, as during the first series that shows edema, or the
        first of all if none does: the pose of the truth.
    examination : Examination
        Papers of the visit.
    series : tuple of AcquiredSeries
        Images.
    """

    scene: Scene
    examination: Examination
    series: tuple[AcquiredSeries, ...]


def simulate(
    out: Path,
    *,
    studies: int,
    seed: int,
    pairs: bool,
    anatomy: str,
    config: SimulateSettings,
    grade: GradeSettings,
    first: int = 1,
) -> Iterator[Path]:
    """Simulate studies and yield each folder once it is written.

    Parameters
    ----------
    out : Path
        Folder that receives ``<study>/dicom`` and ``<study>/truth``.
    studies : int
        Number of studies; with `pairs` rounded up to an even number.
    seed : int
        The same seed and settings give the same studies, whatever their number.
    pairs : bool
        Whether each patient has a baseline and, a year later, a follow-up.
    anatomy : str
        ``parametric``, or ``NAME=FOLDER`` with one of `SOURCES` and the folder that
        holds its meshes or label maps.
    config : SimulateSettings
        ``configs/simulate.toml``.
    grade : GradeSettings
        ``configs/grade.toml``, which defines the true grade.
    first : int
        Number of the first patient, from 1; those before it are not made.

    Yields
    ------
    Path
        Folder of one study.

    Raises
    ------
    ValueError
        If `studies` is not positive, or the anatomy is unknown or lacks its folder.
    OutputError
        If the folder of a study holds something else.
    """
    if studies < 1:
        raise ValueError(f"studies must be at least 1, got {studies}")
    visits = ("baseline", "followup") if pairs else ("",)
    for number in patient_numbers(studies, len(visits), first=first):
        rng = np.random.default_rng([seed, number])
        for name, study in zip(
            visits,
            _visits(number, len(visits), anatomy, config, grade, rng),
            strict=True,
        ):
            folder = out / "_".join(filter(None, (f"sim-{number:04d}", name)))
            write_study(folder, study, grade=grade, rng=rng)
            _LOGGER.info("wrote %s, %d series", folder.name, len(study.series))
            yield folder


def patient_numbers(studies: int, visits: int, *, first: int) -> range:
    """Return the numbers of the patients that have a number of studies together."""
    return range(first, first - (-studies // visits))


def simulate_study(
    scene: Scene,
    patient: Patient,
    subject: SubjectTissue,
    *,
    study_date: date,
    config: SimulateSettings,
    rng: np.random.Generator,
) -> SimulatedStudy:
    """Scan a patient: pose, protocols, imperfections and vendor are drawn anew.

    Parameters
    ----------
    scene : Scene
        Patient with pathology.
    patient : Patient
        Papers.
    subject : SubjectTissue
        MR properties, the same at every visit.
    study_date : date
        Day of the visit.
    config : SimulateSettings
        Ranges.
    rng : Generator
        Source of all draws.
    """
    habits = list(config.study.habits)
    weights = np.array([config.study.habits[habit] for habit in habits], float)
    examination = Examination(
        patient=patient,
        study_uid=new_uid(rng),
        frame_of_reference_uid=new_uid(rng),
        study_date=study_date,
        hour=int(rng.integers(8, 18)),
        habit=Habit(str(rng.choice(habits, p=weights / weights.sum()))),
        transfer_syntax=str(rng.choice(config.study.transfer_syntaxes)),
    )
    planned = _pose(scene, config, rng)
    field_t = float(rng.choice(config.scanner.field_t))
    listed = study_series(config, field_t, rng)
    poses = move_between(planned, len(listed), config.study, rng)
    series = []
    for number, ((name, stream), lying) in enumerate(
        zip(listed, poses, strict=True), start=2
    ):
        protocol = draw_protocol(
            name,
            config.protocols[name],
            field_t=field_t,
            scanner=config.scanner,
            rng=stream,
        )
        series.append(
            _acquire_series(
                planned, subject, protocol, number, config, stream, lying=lying
            )
        )
    return _in_pose_of_truth(examination, series, poses)


def write_study(
    folder: Path,
    study: SimulatedStudy,
    *,
    grade: GradeSettings,
    rng: np.random.Generator,
) -> None:
    """Write the DICOM files and the truth of one study.

    Parameters
    ----------
    folder : Path
        Receives ``dicom`` and ``truth``.
    study : SimulatedStudy
        From `simulate_study`.
    grade : GradeSettings
        Defines the true grade.
    rng : Generator
        File order and slice numbering.

    Raises
    ------
    OutputError
        If the folder holds anything but an earlier simulated study.
    """
    _clear(folder)
    for series in study.series:
        write_series(folder / "dicom", series, study.examination, rng)
    truth = folder / "truth"
    write_truth(truth, study.scene, study.series, study.examination, grade)


def _clear(folder: Path) -> None:
    """Remove an earlier simulated study, refuse to touch anything else."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "truth").is_dir():
        raise OutputError(f"{folder} is not empty and holds no simulated study")
    shutil.rmtree(folder / "dicom", ignore_errors=True)
    shutil.rmtree(folder / "truth")


def _visits(
    number: int,
    visits: int,
    anatomy: str,
    config: SimulateSettings,
    grade: GradeSettings,
    rng: np.random.Generator,
) -> Iterator[SimulatedStudy]:
    """Yield the visits of one patient, a year apart, with changed grades."""
    patient = draw_patient(number, rng)
    source, data_folder = _split_source(anatomy)
    healthy = build_scene(config.anatomy, source, rng, data_folder=data_folder)
    healthy = add_lookalikes(healthy, rng, config.pathology.lookalikes)
    subject = draw_subject_tissue(rng)
    grades = draw_grades(rng, sorted(healthy.joints), config.pathology)
    day = _FIRST_DAY + timedelta(days=int(rng.integers(0, 365)))
    for visit in range(visits):
        if visit:
            grades = draw_followup_grades(rng, grades, config.pathology)
            day += timedelta(days=365)
        scene = add_pathology(healthy, grades, rng, config.pathology, grade)
        yield simulate_study(
            scene, patient, subject, study_date=day, config=config, rng=rng
        )


def _split_source(anatomy: str) -> tuple[str, Path | None]:
    """Split ``NAME=FOLDER``."""
    name, _, folder = anatomy.partition("=")
    return name, Path(folder) if folder else None


def _pose(scene: Scene, config: SimulateSettings, rng: np.random.Generator) -> Scene:
    """Lay the patient down a little differently at every visit."""
    angles = rng.uniform(*config.study.tilt_deg, 3)
    rotation = Rotation.from_euler("xyz", angles, degrees=True)
    return move_scene(
        scene, rotation=rotation, shift_mm=rng.uniform(*config.study.shift_mm, 3)
    )


def _in_pose_of_truth(
    examination: Examination, series: list[AcquiredSeries], poses: tuple[Scene, ...]
) -> SimulatedStudy:
    """Choose the pose of the truth and say how the patient lay in each series."""
    truth = poses[series_of_truth([one.protocol.sequence for one in series])]
    return SimulatedStudy(
        scene=truth,
        examination=examination,
        series=tuple(
            replace(one, displacement_lps=displacement_lps(truth, lying))
            for one, lying in zip(series, poses, strict=True)
        ),
    )


def _acquire_series(
    planned: Scene,
    subject: SubjectTissue,
    protocol: Protocol,
    number: int,
    config: SimulateSettings,
    rng: np.random.Generator,
    *,
    lying: Scene,
) -> AcquiredSeries:
    """Place all blocks of one series as planned and acquire them of who lies there."""
    signals = physics_signals(protocol, subject)
    imperfections = draw_imperfections(
        protocol, planned, scanner=config.scanner, rng=rng
    )
    volumes = [
        acquire(
            lying,
            geometry,
            slice_thickness_mm=protocol.slice_thickness_mm,
            signals=signals,
            imperfections=imperfections,
            rng=rng,
        )
        for geometry in _place(planned, protocol, config, rng)
    ]
    return AcquiredSeries(
        number=number,
        uid=new_uid(rng),
        protocol=protocol,
        imperfections=imperfections,
        volumes=tuple(volumes),
    )


def _place(
    scene: Scene,
    protocol: Protocol,
    config: SimulateSettings,
    rng: np.random.Generator,
) -> tuple[VolumeGeometry, ...]:
    """Place one stack, or blocks along the discs."""
    if protocol.plane is Plane.SAGITTAL:
        return (sagittal_stack(scene, protocol, rng),)
    if rng.random() < config.study.blocks_probability:
        blocks = int(rng.integers(3, 6))
        return axial_blocks(scene, protocol, blocks=blocks, rng=rng)
    return (axial_stack(scene, protocol, rng),)

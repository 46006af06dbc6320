"""A small phantom study as DICOM files of any vendor, with its report."""

from __future__ import annotations

import math
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from facetgrade.anatomy import Level, Side
from facetgrade.config_files import read_settings, shipped_path
from facetgrade.exchange.settings import DicomSettings, ExchangeSettings
from facetgrade.exchange.tolerant import tolerant
from facetgrade.findings import Reason, StudyReport, Ungradable
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest import (
    Privacy,
    StudyFiles,
    find_studies,
    load_study,
    shipped_settings,
)
from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    Patient,
    new_uid,
    write_series,
)
from facetgrade.study import Plane, Sequence, Study
from tests.report import builders as phantom
from tests.simulate.acquired import IMPERFECTIONS

PRIVACY = Privacy(key=b"0123456789abcdef", keep_patient_id=False, mask_uids=False)
SPACING_MM = (4.4, 1.0, 1.0)


def settings() -> DicomSettings:
    path = shipped_path("configs/exchange.toml")
    return read_settings(path, ExchangeSettings).dicom


def sagittal() -> VolumeGeometry:
    """Cover L3-L4 and L4-L5 of both sides, from right to left."""
    return VolumeGeometry.from_axes(
        origin_lps_mm=(phantom.MID_X_MM - 6 * 4.4, 0.5, 25.25),
        axes=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
        spacing_mm=SPACING_MM,
        shape=(13, 84, 60),
    )


def oblique_blocks() -> tuple[VolumeGeometry, VolumeGeometry]:
    """Cover each level by a block of its own angle, oblique about two axes."""
    return (
        _block((phantom.MID_X_MM, 30.0, 0.0), tilt_deg=14.0),
        _block((phantom.MID_X_MM, 32.0, -35.0), tilt_deg=-21.0),
    )


def flipped(geometry: VolumeGeometry, *axes: int) -> VolumeGeometry:
    """Count the given axes from the other end: the same voxels, read backward."""
    affine = geometry.index_to_lps.copy()
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (geometry.shape[axis] - 1)
        affine[:3, axis] *= -1.0
    return replace(geometry, index_to_lps=affine)


def write_phantom(
    folder: Path,
    habit: Habit = Habit.SIEMENS,
    *,
    flip: tuple[int, ...] = (),
    patient: Patient | None = None,
    day: date = date(2021, 5, 4),
    seed: int = 1,
    syntax: str = "explicit",
) -> Path:
    """Write a sagittal and an oblique two-block axial series, both fat-suppressed."""
    rng = np.random.default_rng(seed)
    examination = Examination(
        patient=patient or simulated_patient(),
        study_uid=new_uid(rng),
        frame_of_reference_uid=new_uid(rng),
        study_date=day,
        hour=9,
        habit=habit,
        transfer_syntax=syntax,
    )
    grids = {Plane.SAGITTAL: (sagittal(),), Plane.AXIAL: oblique_blocks()}
    for number, (plane, geometries) in enumerate(grids.items(), start=2):
        series = AcquiredSeries(
            number=number,
            uid=new_uid(rng),
            protocol=_protocol(plane, sum(g.shape[0] for g in geometries)),
            imperfections=IMPERFECTIONS,
            volumes=tuple(_acquire(flipped(g, *flip)) for g in geometries),
        )
        write_series(folder, series, examination, rng)
    return folder


def simulated_patient(number: int = 7) -> Patient:
    return Patient(
        patient_id=f"SIM-{number:04d}",
        name=f"SIM^{number:04d}",
        birth_date=date(1960, 2, 3),
        sex="F",
        weight_kg=70.0,
    )


def read(path: Path) -> Dataset:
    """Read a file whatever its values are."""
    with tolerant():
        dataset = pydicom.dcmread(path)
        for _ in dataset.iterall():
            pass
    return dataset


def dciodvfy_errors(path: Path) -> set[str]:
    """Return the errors that dciodvfy reports, without their places."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed")
    run = subprocess.run(
        [program, "-new", path], capture_output=True, text=True, check=False
    )
    lines = (run.stdout + run.stderr).splitlines()
    return {line.split(" - ", 2)[-1] for line in lines if line.startswith("Error")}


def load(folder: Path) -> tuple[StudyFiles, Study]:
    """Read the only study of a folder."""
    ingest = shipped_settings()
    (files,) = find_studies(folder, settings=ingest)
    return files, load_study(files, ingest, PRIVACY)


def report_on(study: Study) -> StudyReport:
    """Report four joints of the phantom, one of them without a grade.

    L3-L4 left is grade 2, right ungradable and not found; L4-L5 left is grade 3 and
    right grade 4.
    """
    levels = (Level.L3_L4, Level.L4_L5)
    used = tuple(series.uid for series in study.series)
    chosen = [
        replace(outcome, series_used=used)
        for outcome in phantom.outcomes()
        if outcome.joint.level in levels
    ]
    chosen[1] = Ungradable(
        joint=replace(chosen[0].joint, side=Side.RIGHT),
        reason=Reason.NOT_FOUND,
        explanation="No joint was detected where it should be.",
    )
    return replace(
        phantom.report(tuple(chosen)),
        study_uid=study.uid,
        subject=study.subject,
        date=study.date,
    )


def _block(
    center_lps_mm: tuple[float, float, float], *, tilt_deg: float
) -> VolumeGeometry:
    """Build an axial block tilted about the left-right axis and turned by 5 degrees."""
    tilt, turn = math.radians(tilt_deg), math.radians(5.0)
    along = np.array([math.cos(turn), math.sin(turn), 0.0])
    down = np.array(
        [
            -math.sin(turn) * math.cos(tilt),
            math.cos(turn) * math.cos(tilt),
            -math.sin(tilt),
        ]
    )
    return VolumeGeometry.centered(
        center_lps_mm=center_lps_mm,
        axes=np.stack([np.cross(along, down), down, along]),
        spacing_mm=SPACING_MM,
        shape=(6, 70, 88),
    )


def _acquire(geometry: VolumeGeometry) -> Volume:
    voxels = phantom._phantom(geometry, Sequence.T2_FS)
    return Volume(geometry=geometry, voxels=voxels)


def _protocol(plane: Plane, slices: int) -> Protocol:
    sagittal_stir = plane is Plane.SAGITTAL
    stir = FatSuppression.STIR
    return Protocol(
        name="sagittal_stir" if sagittal_stir else "axial_t2_fs",
        sequence=Sequence.T2_FS,
        plane=plane,
        field_t=1.5,
        tr_ms=4000.0,
        te_ms=70.0,
        ti_ms=160.0 if sagittal_stir else 0.0,
        echo_train_length=16,
        fat_suppression=stir if sagittal_stir else FatSuppression.SPECTRAL,
        contrast_agent=False,
        slice_thickness_mm=4.0,
        gap_mm=0.4,
        pixel_mm=1.0,
        matrix=84,
        slices=slices,
    )

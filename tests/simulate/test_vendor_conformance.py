"""dciodvfy accepts the images of every vendor and protocol."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from facetgrade.config import read_shipped
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.simulate.protocols import draw_protocol
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    new_uid,
    write_series,
)
from tests.exchange.builders import IMPERFECTIONS, dciodvfy_errors, simulated_patient

LEGAL = [habit for habit in Habit if habit is not Habit.STRIPPED]


def protocols(rng):
    """Yield every protocol with every fat suppression that sites use for it."""
    config = read_shipped("configs/simulate.toml", SimulateSettings)
    for name, ranges in config.protocols.items():
        protocol = draw_protocol(
            name, ranges, field_t=1.5, scanner=config.scanner, rng=rng
        )
        for suppression in sorted(set(ranges.fat_suppression)):
            yield replace(protocol, fat_suppression=suppression)


def write(folder, protocol, habit, syntax, rng):
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=(-20.0, 12.0, 7.0),
        axes=((0.0, -0.28, 0.96), (0.0, 0.96, 0.28), (1.0, 0.0, 0.0)),
        spacing_mm=protocol.spacing_mm,
        shape=(2, 40, 48),
    )
    voxels = rng.uniform(0.0, 900.0, geometry.shape).astype(np.float32)
    series = AcquiredSeries(
        number=3,
        uid=new_uid(rng),
        protocol=protocol,
        imperfections=IMPERFECTIONS,
        volumes=(Volume(geometry=geometry, voxels=voxels),),
    )
    examination = Examination(
        patient=simulated_patient(),
        study_uid=new_uid(rng),
        frame_of_reference_uid=new_uid(rng),
        study_date=date(2021, 5, 4),
        hour=9,
        habit=habit,
        transfer_syntax=syntax,
    )
    return write_series(folder, series, examination, rng)


@pytest.mark.parametrize("habit", LEGAL)
def test_images_of_every_protocol_are_valid(tmp_path, habit):
    rng = np.random.default_rng(3)
    for number, protocol in enumerate(protocols(rng)):
        syntax = "jpeg-2000" if number % 2 else "explicit"
        path = write(tmp_path / str(number), protocol, habit, syntax, rng)[0]
        assert dciodvfy_errors(path) == set(), protocol.name


def test_a_stripped_archive_lacks_attributes_and_has_illegal_uids(tmp_path):
    rng = np.random.default_rng(3)
    protocol = next(protocols(rng))
    path = write(tmp_path, protocol, Habit.STRIPPED, "explicit", rng)[0]
    kinds = (
        "Missing attribute for Type",
        "Value invalid for this VR [UI]",
        "MediaStorageSOPClassUID different from SOPClassUID",
        "A value is required for value 3 in MR Images",
    )
    errors = dciodvfy_errors(path)
    assert len([error for error in errors if kinds[1] in error]) == 3
    assert all(error.startswith(kinds) for error in errors)

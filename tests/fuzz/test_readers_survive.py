import struct

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from facetgrade.errors import IngestError
from facetgrade.ingest import load_study, scan_inputs
from tests.fuzz.readers import PRIVACY, READERS, SMALL
from tests.fuzz.seeds import write_seeds
from tests.ingest.builders import gradient_volume, image_dataset, save

QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PIXELS = gradient_volume((3, 4, 5))
ORDINARY = {
    "InstanceNumber": "IS",
    "ImagePositionPatient": "DS",
    "PixelSpacing": "DS",
    "SliceThickness": "DS",
    "EchoTime": "DS",
    "RescaleSlope": "DS",
    "RescaleIntercept": "DS",
    "SeriesDescription": "LO",
    "SharedFunctionalGroupsSequence": "SQ",
    "PerFrameFunctionalGroupsSequence": "SQ",
    "PhotometricInterpretation": "CS",
    "BitsStored": "US",
    "Rows": "US",
    "SpecificCharacterSet": "CS",
    "StudyDate": "DA",
}
KINDS = ("DS", "IS", "LO", "PN", "UN", "US", "FD", "SQ", "AT", "OB", "DA", "UT")
BYTES = (
    b"",
    b"abc ",
    b"9" * 400,
    b"1e999 ",
    b"nan ",
    b"-1e300\\0\\0 ",
    b"1e300\\1e300\\1e300 ",
    b"\\\\\\ ",
    b"\xff\xfe\xfd\xfc",
    bytes(8),
    struct.pack("<d", float("inf")),
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
)
changes = st.lists(
    st.tuples(st.floats(0.0, 1.0), st.binary(min_size=0, max_size=6), st.booleans()),
    min_size=1,
    max_size=6,
)


def changed(seed, how):
    """Replace, insert or remove a few bytes."""
    content = bytearray(seed)
    for place, new, keep_length in how:
        at = int(place * len(content))
        end = at + len(new) if keep_length else at + int(3 * place)
        content[at:end] = new
    return bytes(content)


def explicit_element(tag, kind, value):
    """Encode one element with whatever kind of value representation."""
    group, element = tag >> 16, tag & 0xFFFF
    head = struct.pack("<HH2s", group, element, kind.encode())
    if kind in ("UN", "SQ", "OB", "UT"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


@pytest.mark.parametrize("name", sorted(READERS))
@QUICK
@given(how=changes, which=st.integers(0, 100))
def test_changed_files_are_read_or_refused(name, tmp_path_factory, how, which):
    folder, seeds = prepared(name, tmp_path_factory)
    READERS[name](folder, changed(seeds[which % len(seeds)], how))


_PREPARED = {}


def prepared(name, tmp_path_factory):
    """Make the seeds of a reader once."""
    if name not in _PREPARED:
        folder = tmp_path_factory.mktemp(name)
        _PREPARED[name] = folder, write_seeds(folder, name)
    return _PREPARED[name]


@settings(QUICK, max_examples=150)
@given(
    keyword=st.sampled_from(sorted(ORDINARY)),
    kind=st.sampled_from(KINDS),
    value=st.sampled_from(BYTES),
    all_slices=st.booleans(),
)
def test_wrong_elements_never_crash(tmp_path_factory, keyword, kind, value, all_slices):
    read_with_element(tmp_path_factory.mktemp("e"), keyword, kind, value, all_slices)


@pytest.mark.parametrize(
    ("keyword", "kind", "value"),
    [
        ("InstanceNumber", "IS", b"9" * 400),
        ("SharedFunctionalGroupsSequence", "DS", b"1.5 "),
        ("PerFrameFunctionalGroupsSequence", "DS", b"1.5 "),
        ("PerFrameFunctionalGroupsSequence", "OB", b"\1\2\3\4"),
        ("RescaleSlope", "DS", b"1e999 "),
        ("RescaleIntercept", "DS", b"-1e300"),
        ("RescaleIntercept", "FD", struct.pack("<d", float("nan"))),
        ("ImagePositionPatient", "DS", b"1e300\\1e300\\1e300 "),
        ("ImagePositionPatient", "DS", b"1e154\\0\\0 "),
        ("SeriesDescription", "PN", b"\xff=\xfe^\xfd"),
    ],
)
def test_wrong_elements_that_once_crashed(tmp_path, keyword, kind, value):
    for all_slices in (False, True):
        read_with_element(tmp_path / str(all_slices), keyword, kind, value, all_slices)


def test_philips_scale_slope_that_is_no_number_is_ignored(tmp_path):
    for k, pixels in enumerate(PIXELS):
        path = save(image_dataset(pixels, (k * 4.4, 0, 0)), tmp_path / f"{k}.dcm")
        insert(path, explicit_element(0x2005100E, "DS", b"abc "))
    (files,) = scan_inputs([tmp_path], SMALL).studies
    assert len(load_study(files, SMALL, PRIVACY).series) == 1


def read_with_element(folder, keyword, kind, value, all_slices):
    """Read three slices, one or all with an element of wrong kind or value."""
    tag = tag_for_keyword(keyword)
    for k, pixels in enumerate(PIXELS):
        dataset = image_dataset(pixels, (k * 4.4, 0, 0), **{keyword: None})
        path = save(dataset, folder / f"{k}.dcm")
        if all_slices or k == 1:
            insert(path, explicit_element(tag, kind, value))
    for files in scan_inputs([folder], SMALL).studies:
        try:
            load_study(files, SMALL, PRIVACY)
        except IngestError as error:
            assert "no usable MR series" in str(error)  # noqa: PT017


def insert(path, element):
    """Put an encoded element in front of the pixels; readers need no order."""
    content = path.read_bytes()
    place = content.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    path.write_bytes(content[:place] + element + content[place:])


def test_volumes_of_nothing_but_nan_are_read_or_refused(tmp_path):
    for value in (np.nan, np.inf, 1e38):
        voxels = np.full((5, 6, 7), value, np.float32)
        image = nibabel.Nifti1Image(voxels, np.diag([4.0, 1.0, 1.0, 1.0]))
        READERS["nifti"](tmp_path, image.to_bytes())

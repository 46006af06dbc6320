import gdcm
import numpy as np
import openjpeg
import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.dicom import (
    classic_frame,
    read_dataset,
    real_values,
    stored_pixels,
)
from tests.ingest.builders import image_dataset, save

POSITION = (1.0, 2.0, 3.0)


def values(shape=(6, 7), low=0, high=4000):
    return np.random.default_rng(3).integers(low, high, shape)


def written(tmp_path, dataset, syntax):
    return read_dataset(save(dataset, tmp_path / "x.dcm", syntax).read_bytes())


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_syntax_written_by_pydicom_is_exact(tmp_path, syntax):
    pixels = values().astype(np.uint16)
    dataset = image_dataset(pixels, POSITION)
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)

    read = written(tmp_path, dataset, syntax)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_big_endian_is_exact(tmp_path):
    pixels = values().astype(np.uint16)
    dataset = image_dataset(pixels, POSITION)
    dataset.PixelData = pixels.astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"

    read = written(tmp_path, dataset, ExplicitVRBigEndian)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_ls_is_exact(tmp_path, signed):
    pixels = values(low=-900 if signed else 0).astype(np.int16 if signed else np.uint16)
    dataset = image_dataset(pixels, POSITION, signed=signed)
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)

    read = written(tmp_path, dataset, JPEGLSLossless)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_jpeg_2000_is_exact(tmp_path):
    pixels = values((32, 40)).astype(np.uint16)
    dataset = image_dataset(pixels, POSITION, bits_stored=12)
    stream = openjpeg.encode(pixels, bits_stored=12)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True

    read = written(tmp_path, dataset, JPEG2000Lossless)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def lossless_jpeg(folder, dataset):
    """Return a file in lossless JPEG, which only GDCM can write."""
    path = save(dataset, folder / "a.dcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(
        gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    )
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(folder / "b.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "b.dcm").read_bytes()


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_lossless_is_exact(tmp_path, bits):
    pixels = values(high=1 << bits).astype(np.uint8 if bits == 8 else np.uint16)
    dataset = image_dataset(pixels, POSITION, bits_stored=bits)

    read = read_dataset(lossless_jpeg(tmp_path, dataset))

    assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_a_damaged_element_elsewhere_does_not_hide_lossless_jpeg(tmp_path):
    pixels = values().astype(np.uint16)
    read = read_dataset(lossless_jpeg(tmp_path, image_dataset(pixels, POSITION)))
    tag = Tag(0x00180050)
    read._dict[tag] = RawDataElement(tag, "FD", 3, b"abc", 0, False, True)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_lossless_jpeg_that_ends_its_decoder_is_one_sentence(tmp_path):
    # GDCM ends its process where the marker of the Huffman table is damaged.
    pixels = values().astype(np.uint16)
    whole = lossless_jpeg(tmp_path, image_dataset(pixels, POSITION))
    broken = whole.replace(b"\xff\xc4", b"\xff\xff", 1)

    with pytest.raises(IngestError, match="the decoder ended"):
        stored_pixels(read_dataset(broken))

    np.testing.assert_array_equal(stored_pixels(read_dataset(whole))[0], pixels)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [(np.uint8, 8), (np.int8, 8), (np.uint16, 12), (np.int16, 12), (np.int16, 16)],
)
def test_native_integers_are_exact(tmp_path, dtype, bits):
    signed = np.dtype(dtype).kind == "i"
    half = 1 << (bits - 1)
    pixels = values(low=-half if signed else 0, high=half).astype(dtype)
    dataset = image_dataset(pixels, POSITION, signed=signed, bits_stored=bits)

    read = written(tmp_path, dataset, "1.2.840.10008.1.2.1")

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_overlay_in_unused_bits_is_cleared(tmp_path):
    pixels = values().astype(np.uint16)
    dataset = image_dataset(pixels | 0x8000, POSITION, bits_stored=12)

    read = written(tmp_path, dataset, "1.2.840.10008.1.2.1")

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_monochrome1_is_inverted(tmp_path):
    pixels = np.array([[0, 10], [20, 100]], np.uint16)
    dataset = image_dataset(pixels, POSITION, PhotometricInterpretation="MONOCHROME1")

    read = written(tmp_path, dataset, "1.2.840.10008.1.2.1")

    assert stored_pixels(read)[0].tolist() == [[100, 90], [80, 0]]


def test_truncated_pixels_are_one_sentence(tmp_path):
    path = save(image_dataset(values().astype(np.uint16), POSITION), tmp_path / "a.dcm")
    content = path.read_bytes()

    with pytest.raises(IngestError, match="cut off"):
        stored_pixels(read_dataset(content[:-40]))


def test_compressed_garbage_is_one_sentence(tmp_path):
    dataset = image_dataset(values().astype(np.uint16), POSITION)
    dataset.PixelData = encapsulate([b"\xff\x4f garbage"])
    dataset["PixelData"].is_undefined_length = True

    read = written(tmp_path, dataset, JPEG2000Lossless)

    with pytest.raises(IngestError, match="damaged or compressed in an unknown way"):
        stored_pixels(read)


def test_a_damaged_jpeg_2000_header_does_not_end_the_process(tmp_path):
    # Found by fuzzing: the size segment claims no component.
    stream = bytes.fromhex("ff4fff51002900006000ea001306c2b298033a8ead0c259f42c74add")
    dataset = image_dataset(values().astype(np.uint16), POSITION)
    dataset.PixelData = encapsulate([stream + bytes(120)])
    read = written(tmp_path, dataset, JPEG2000Lossless)

    with pytest.raises(IngestError, match="cannot be decoded"):
        stored_pixels(read)


def test_signed_jpeg_2000_under_an_unsigned_header_keeps_its_numbers(tmp_path):
    pixels = values((40, 41), high=2000).astype(np.int16)
    dataset = image_dataset(pixels.astype(np.uint16), POSITION)
    stream = openjpeg.encode(pixels, bits_stored=12)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True

    read = written(tmp_path, dataset, JPEG2000Lossless)

    np.testing.assert_array_equal(stored_pixels(read)[0], pixels)


def test_image_without_pixels_is_one_sentence(tmp_path):
    dataset = image_dataset(values().astype(np.uint16), POSITION, PixelData=None)

    read = written(tmp_path, dataset, "1.2.840.10008.1.2.1")

    with pytest.raises(IngestError, match="has no pixels"):
        stored_pixels(read)


def frame_of(pixels, scale_slope=None, **elements):
    dataset = image_dataset(pixels, POSITION, **elements)
    if scale_slope is not None:
        dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        dataset.add_new(0x2005100E, "FL", scale_slope)
    frame = classic_frame(dataset, SourceFile(POSITION))
    frame.stored = pixels
    return frame


def test_rescale_is_applied_to_every_frame():
    pixels = np.array([[0, 100]], np.uint16)
    frames = [
        frame_of(pixels, RescaleSlope="2", RescaleIntercept="5"),
        frame_of(pixels, RescaleSlope="0.5", RescaleIntercept="-1"),
    ]

    real, note = real_values(frames, frames[0])

    # 2 * 100 + 5; 0.5 * 100 - 1
    assert real[:, 0].tolist() == [[5.0, 205.0], [-1.0, 49.0]]
    assert real.dtype == np.float32
    assert note == ""


def test_philips_scale_slope_makes_slices_comparable():
    # FP = (SV * RS + RI) / (RS * SS); both slices show the same tissue, 8.0, which is
    # 8.0 * 2 * 5 on the scale of the first
    frames = [
        frame_of(np.array([[40]], "u2"), 5.0, RescaleSlope="2", RescaleIntercept="0"),
        frame_of(np.array([[80]], "u2"), 10.0, RescaleSlope="4", RescaleIntercept="0"),
    ]

    real, note = real_values(frames, frames[0])

    assert real.ravel().tolist() == [80.0, 80.0]
    assert "Philips" in note


def test_philips_slices_rescaled_alike_keep_their_display_values():
    pixels = np.array([[40]], "u2")
    frames = [
        frame_of(pixels, 5.0, RescaleSlope="2", RescaleIntercept="0") for _ in range(2)
    ]

    real, note = real_values(frames, frames[0])

    assert real.ravel().tolist() == [80.0, 80.0]
    assert note == ""


def test_philips_scaling_needs_every_slice():
    pixels = np.array([[40]], "u2")
    frames = [
        frame_of(pixels, 5.0, RescaleSlope="2", RescaleIntercept="0"),
        frame_of(pixels, RescaleSlope="2", RescaleIntercept="0"),
    ]

    real, _ = real_values(frames, frames[0])

    assert real.ravel().tolist() == [80.0, 80.0]


def test_bad_elements_are_absent_values(tmp_path):
    path = save(image_dataset(values().astype("u2"), POSITION), tmp_path / "a.dcm")
    content = path.read_bytes()
    assert content.count(b"20250304") == 1
    dataset = dcmread(path)
    dataset.add_new(0x00180080, "LO", "not a number")
    dataset.add_new(0x00180081, "LO", "")
    path = save(dataset, tmp_path / "b.dcm")

    frame = classic_frame(read_dataset(path.read_bytes()), SourceFile(path))

    assert np.isnan(frame.tags.repetition_time_ms)
    assert np.isnan(frame.tags.echo_time_ms)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not a rotation"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "not a rotation"),
        ({"PixelSpacing": None}, "no usable PixelSpacing"),
        ({"PixelSpacing": [0, 0]}, "no usable PixelSpacing"),
    ],
)
def test_frame_without_a_place_is_one_sentence(elements, message):
    dataset = image_dataset(values().astype("u2"), POSITION, **elements)

    with pytest.raises(IngestError, match=message):
        classic_frame(dataset, SourceFile(POSITION))

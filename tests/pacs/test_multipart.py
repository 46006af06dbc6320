import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetgrade.errors import ConnectionLostError, TransferError
from facetgrade.pacs.instances import identify
from facetgrade.pacs.multipart import boundary_of, split_parts
from tests.ingest.builders import gradient_volume, write_series

ANSWER = (
    b"--b\r\nContent-Type: application/dicom\r\n\r\nfirst\r\n--b\r\n\r\n"
    b"--second--\r\n\r\n--b--\r\n"
)


def chunks(content, size):
    return (content[k : k + size] for k in range(0, len(content), size))


@given(size=st.integers(1, len(ANSWER)))
def test_parts_are_the_same_in_pieces_of_any_size(size):
    parts = list(split_parts(chunks(ANSWER, size), b"b"))
    assert parts == [b"first", b"--second--\r\n"]


@given(length=st.integers(0, len(ANSWER) - 5))
def test_an_answer_without_its_end_is_never_taken_for_whole(length):
    with pytest.raises(ConnectionLostError, match="cut off"):
        list(split_parts(chunks(ANSWER[:length], 7), b"b"))


def test_the_boundary_may_be_quoted():
    kind = 'multipart/related; type="application/dicom"; boundary="a b"'
    assert boundary_of(kind) == b"a b"
    with pytest.raises(TransferError, match="holds no DICOM"):
        boundary_of("text/html")


@pytest.mark.parametrize("cut", [1, 2, 159, 161, 165, 400])
def test_a_cut_instance_is_never_taken_for_whole(cut, tmp_path):
    # The pixels, 160 bytes after a header of 12, are last.
    (path,) = write_series(tmp_path, gradient_volume((1, 8, 10)))
    content = path.read_bytes()
    identify(content)
    with pytest.raises(TransferError, match=r"cut off|cannot be read"):
        identify(content[:-cut])

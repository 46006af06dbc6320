import logging

from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from facetgrade.ingest.elements import numbers, quiet


def test_a_quiet_block_within_another_ends_neither():
    log = logging.getLogger("pydicom")
    before = log.level, config.settings.reading_validation_mode

    with quiet():
        with quiet():
            pass
        assert log.level == logging.CRITICAL
        assert config.settings.reading_validation_mode == config.IGNORE

    assert (log.level, config.settings.reading_validation_mode) == before


def test_a_damaged_sequence_in_place_of_numbers_is_absent():
    # Found by fuzzing: its item has a length that does not fit its type.
    tag = Tag("InstanceNumber")
    item = Dataset()
    item._dict[Tag(0x00280010)] = RawDataElement(
        Tag(0x00280010), "US", 3, b"abc", 0, False, True
    )
    dataset = Dataset()
    dataset[tag] = DataElement(tag, "SQ", Sequence([item]))

    with quiet():
        assert numbers(dataset, "InstanceNumber") == []

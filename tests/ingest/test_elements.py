import logging

from pydicom import config

from facetgrade.ingest.elements import quiet


def test_a_quiet_block_within_another_ends_neither():
    log = logging.getLogger("pydicom")
    before = log.level, config.settings.reading_validation_mode

    with quiet():
        with quiet():
            pass
        assert log.level == logging.CRITICAL
        assert config.settings.reading_validation_mode == config.IGNORE

    assert (log.level, config.settings.reading_validation_mode) == before

from facetgrade.config import read_settings, shipped_path
from facetgrade.train.cases import read_pathology_settings, read_scanner_settings
from facetgrade.train.settings import TrainSettings

CASES = read_settings(
    shipped_path("configs/train_segmenter.toml"), TrainSettings
).cases.model_copy(
    update={"overrides": {"scanner": {"snr": [1, 2]}, "pathology": {"attempts": 7}}}
)


def test_a_run_changes_only_what_it_names_of_the_simulator():
    plain = CASES.model_copy(update={"overrides": {}})

    changed = read_scanner_settings(CASES)

    assert changed.scanner.snr == (1.0, 2.0)
    unchanged = changed.scanner.model_copy(
        update={"snr": read_scanner_settings(plain).scanner.snr}
    )
    assert unchanged == read_scanner_settings(plain).scanner
    assert read_pathology_settings(CASES).attempts == 7

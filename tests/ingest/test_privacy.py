import logging
import stat

import pytest

from facetgrade.errors import ConfigError
from facetgrade.ingest import Privacy, find_studies, load_study, read_key, user_key
from tests.ingest.builders import gradient_volume, uid, write_series


def privacy_with(key=b"a" * 32, *, keep=False, mask=False):
    return Privacy(key=key, keep_patient_id=keep, mask_uids=mask)


def test_the_same_key_gives_the_same_pseudonym():
    assert privacy_with().subject("4711") == privacy_with().subject(" 4711\0")
    assert privacy_with().subject("4711") != privacy_with().subject("4712")


def test_another_key_gives_another_pseudonym():
    assert privacy_with().subject("4711") != privacy_with(b"b" * 32).subject("4711")


def test_subject_is_empty_without_patient_id():
    assert privacy_with().subject("  ") == ""


def test_patient_id_is_kept_on_request():
    assert privacy_with(keep=True).subject("4711") == "4711"


def test_masked_uids_are_valid_and_stable():
    masked = privacy_with(mask=True).uid("1.2.3")

    assert masked == privacy_with(mask=True).uid("1.2.3")
    assert masked.startswith("2.25.")
    assert len(masked) <= 64
    assert privacy_with().uid("1.2.3") == "1.2.3"


def test_masking_reaches_every_uid_of_a_study(tmp_path, settings):
    write_series(tmp_path, gradient_volume(), series="s", study="t")
    (files,) = find_studies(tmp_path, settings=settings)

    study = load_study(files, settings, privacy_with(mask=True))

    series = study.series[0]
    stack = series.stacks[0]
    uids = [study.uid, series.uid, *stack.instance_uids]
    uids.append(stack.volume.geometry.frame_of_reference_uid)
    assert all(one.startswith("2.25.") for one in uids)
    assert len(set(stack.instance_uids)) == 5
    assert files.study_uid == uid("t")


def test_no_patient_attribute_in_logs_notes_or_records(tmp_path, settings, caplog):
    caplog.set_level(logging.DEBUG)
    write_series(tmp_path, gradient_volume(), PatientID="Secret-4711")
    (tmp_path / "bad.dcm").touch()
    (files,) = find_studies(tmp_path, settings=settings)

    study = load_study(files, settings, privacy_with())

    everything = caplog.text + repr(files) + repr(study.notes) + study.subject
    assert "Secret" not in everything
    assert "4711" not in everything
    assert "aaaa" not in repr(privacy_with())


def test_user_key_is_made_once_and_only_for_its_owner(tmp_path):
    folder = tmp_path / "config" / "facetgrade"

    first, second = user_key(folder), user_key(folder)

    assert first == second
    assert len(first) == 64
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_short_and_missing_keys_are_refused(tmp_path):
    (tmp_path / "short").write_text("abc")

    with pytest.raises(ConfigError, match="has 3 bytes, at least 16 are needed"):
        read_key(tmp_path / "short")
    with pytest.raises(ConfigError, match=r"cannot be read .*check --key"):
        read_key(tmp_path / "none")


def test_key_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="give one with --key FILE"):
        user_key(tmp_path / "file" / "facetgrade")

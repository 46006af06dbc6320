"""Shared fixtures of the ingest tests."""

from __future__ import annotations

import pytest

from facetgrade.ingest import IngestSettings, Privacy, shipped_settings


@pytest.fixture(scope="session")
def settings() -> IngestSettings:
    return shipped_settings()


@pytest.fixture(scope="session")
def privacy() -> Privacy:
    return Privacy(key=b"k" * 32, keep_patient_id=False, mask_uids=False)

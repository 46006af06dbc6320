import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORD = {
    "id": "OSV-1",
    "summary": "reads too far",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Nice_Reader"},
            "ranges": [
                {
                    "type": "ECOSYSTEM",
                    "events": [{"introduced": "1.2"}, {"fixed": "1.4"}],
                }
            ],
            "versions": ["0.9"],
        }
    ],
}


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts/audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "named"),
    [("0.9", True), ("1.1", False), ("1.2", True), ("1.3.9", True), ("1.4", False)],
)
def test_versions_in_the_range_of_an_advisory_are_told(audit, version, named):
    found = list(audit.affected({"nice-reader": version}, RECORD))
    assert bool(found) is named
    assert all("OSV-1 reads too far" in text for text in found)


def test_a_withdrawn_advisory_counts_no_more(audit):
    record = {**RECORD, "withdrawn": "2026-01-01T00:00:00Z"}
    assert list(audit.affected({"nice-reader": "1.3"}, record)) == []


def test_the_bill_lists_all_locked_packages_and_the_models_with_hashes(audit):
    pins = audit.read_pins(ROOT / "requirements.lock")
    components = audit.bill_of_materials(pins)["components"]
    models = [one for one in components if one["type"] == "machine-learning-model"]
    assert len(components) == len(pins) + len(models)
    assert len(models) >= 2
    assert all(len(one["hashes"][0]["content"]) == 64 for one in models)
    assert {"torch", "pydicom"} <= {one["name"] for one in components}

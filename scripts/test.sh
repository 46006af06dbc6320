#!/usr/bin/env bash
# Install what the tests need, then run lint, types and all tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

install_debian dcm2niix dcmtk dicom3tools orthanc orthanc-dicomweb postgresql chromium
create_environment
install_lock requirements.lock
install_lock requirements-extras.lock
install_lock requirements-test.lock
install_facetgrade
command -v npm >/dev/null || install_debian npm
python scripts/fetch_viewer.py >/dev/null

ruff format --check .
ruff check .
mypy
python -m pytest "$@"

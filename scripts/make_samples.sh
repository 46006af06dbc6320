#!/usr/bin/env bash
# Simulate the studies of data_samples/ anew (a few minutes).
#
#   scripts/make_samples.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

create_environment
install_lock requirements.lock
install_facetgrade
python scripts/make_samples.py "$@"

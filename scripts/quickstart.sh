#!/usr/bin/env bash
# Install facetgrade into .venv/ and grade the sample studies into out/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

create_environment
install_lock requirements.lock
install_facetgrade
facetgrade grade data_samples -o out
echo
echo "Report: $PWD/out/index.html"

#!/usr/bin/env bash
# Compare simulated pairs a year apart, whose change and motion are known, and print the
# error of registration and how often the direction of change is right.
#
#   scripts/measure_registration.sh [STUDIES]    default: data_samples, two patients
#
# STUDIES is a folder of `facetgrade simulate --pairs`. Run again, it grades only what
# is new. Results go to out/registration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

studies=${1:-data_samples}
facetgrade compare "$studies" -o out/registration
python scripts/measure_registration.py out/registration "$studies"

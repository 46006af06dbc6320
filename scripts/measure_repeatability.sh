#!/usr/bin/env bash
# Simulate repeat scans with repositioning and measure the smallest detectable change of
# every extent and the error of registration. About 85 s of one core per patient.
#
#   scripts/measure_repeatability.sh [PATIENTS]      default 20, two scans of each
#
# Stopped and started again, it goes on where it was. Write what it prints into
# configs/compare.toml; the whole result goes to models/benchmark/repeatability.json.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

python scripts/measure_repeatability.py out/repeatability --patients "${1:-20}"
cp out/repeatability/repeatability.json models/benchmark/

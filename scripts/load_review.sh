#!/usr/bin/env bash
# Twenty readers at once, the server killed ten times, on SQLite and PostgreSQL: no
# read may be lost or doubled. Writes models/benchmark/review_load.json.
#   scripts/load_review.sh [OPTION...]    such as --seconds 20, --databases sqlite
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1

python scripts/load_review.py --out models/benchmark/review_load.json "$@"

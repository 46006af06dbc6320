#!/usr/bin/env bash
# Grade held-out simulated studies and publish the result in models/benchmark/.
#   scripts/benchmark.sh [STUDIES]      default: as many as configs/evaluate.toml says
# Stopped and started again, it goes on where it was. Needs ../shared/data.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

out=out/benchmark
facetgrade evaluate --config configs/evaluate.toml -o "$out" ${1:+--studies "$1"}
mkdir -p models/benchmark
cp "$out"/benchmark.json "$out"/benchmark.html "$out"/joints.json models/benchmark/
echo "published: models/benchmark/benchmark.html"

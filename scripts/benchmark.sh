#!/usr/bin/env bash
# Grade held-out simulated studies and publish the result in models/benchmark/.
#   scripts/benchmark.sh [OPTION...]    such as --workers 4, --studies 100
#   scripts/benchmark.sh --simulate-only    simulate, grade later
# Stopped and started again, it goes on where it was. Simulated studies stay in
# out/benchmark-studies and are graded again when models or settings change. Needs
# ../shared/data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

out=out/benchmark
facetgrade evaluate --config configs/evaluate.toml -o "$out" \
    --simulated out/benchmark-studies "$@"
case " $* " in *" --simulate-only "*) exit ;; esac
mkdir -p models/benchmark
cp "$out"/benchmark.json "$out"/benchmark.html "$out"/joints.json models/benchmark/
echo "published: models/benchmark/benchmark.html"

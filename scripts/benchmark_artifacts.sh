#!/usr/bin/env bash
# Count joints beside screws or under motion that get no grade, and publish the result in
# models/artifacts/.
#   scripts/benchmark_artifacts.sh [OPTION...]    as scripts/benchmark.sh
# Simulated studies stay in out/artifact-studies. Needs ../shared/data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

out=out/artifacts
facetgrade evaluate --config configs/evaluate_artifacts.toml -o "$out" \
    --simulated out/artifact-studies "$@"
case " $* " in *" --simulate-only "*) exit ;; esac
mkdir -p models/artifacts
cp "$out"/benchmark.json "$out"/benchmark.html "$out"/joints.json models/artifacts/
echo "published: models/artifacts/benchmark.html"

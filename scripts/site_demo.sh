#!/usr/bin/env bash
# Show what a simulated "site" gains from ten annotated cases of its own.
#   scripts/site_demo.sh [TEST_STUDIES [TRAIN_STUDIES [MINUTES]]]    default 40 10 30
# Simulates a site with its own look (configs/site.toml), fine-tunes the shipped segmenter
# on its cases with masks, and again with their grades alone, and compares both with the
# shipped one on the held-out site studies and on the simulated benchmark. The results go
# to models/site/. Takes hours, most of them simulation; stopped and started again, it
# goes on where it was. Needs ../shared/data for the benchmark.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

test_studies=${1:-40}
train_studies=${2:-10}
minutes=${3:-30}
benchmark_studies=${BENCHMARK_STUDIES:-40}
out=out/site
mkdir -p "$out"

if [ ! -e "$out/simulated" ]; then
    facetgrade simulate -o "$out/studies" --studies $((test_studies + train_studies)) \
        --seed 515151 --config configs/site.toml
    touch "$out/simulated"
fi
python scripts/list_cases.py "$out/studies" "$out/masks.csv" --train "$train_studies"
python scripts/list_cases.py "$out/studies" "$out/grades.csv" --train "$train_studies" \
    --grades-only

for kind in masks grades; do
    sed -e "s|^name = .*|name = \"segmenter-site-$kind\"|" \
        -e "s|^folder = .*|folder = \"$out/runs\"|" \
        -e "s|^minutes = .*|minutes = $minutes|" \
        -e 's|^keep = .*|keep = "last"|' \
        -e "s|^manifest = .*|manifest = \"$out/$kind.csv\"|" \
        -e "s|^splits = .*|splits = \"$out/splits-$kind.csv\"|" \
        -e "s|^weights = .*|weights = \"segmenter-site-$kind\"|" \
        configs/retrain_segmenter.toml >"$out/$kind.toml"
    facetgrade train "$out/$kind.toml"
    facetgrade compare-models \
        "$out/runs/segmenter-site-$kind/segmenter-site-$kind.safetensors" \
        --manifest "$out/masks.csv" --splits "$out/splits-$kind.csv" \
        --benchmark-studies "$benchmark_studies" \
        --simulated out/benchmark-studies -o "$out/compared-$kind"
    mkdir -p models/site
    cp "$out/compared-$kind/comparison.json" "models/site/$kind.json"
    cp "$out/compared-$kind/comparison.html" "models/site/$kind.html"
done
echo "published: models/site/masks.html, models/site/grades.html"

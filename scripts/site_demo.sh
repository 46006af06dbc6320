#!/usr/bin/env bash
# Show what a simulated "site" gains from ten annotated cases of its own.
#   scripts/site_demo.sh [TEST_STUDIES [TRAIN_STUDIES [STEPS]]]    default 40 10 1600
# Simulates a site with its own look (configs/site.toml, and a steep tone curve on series with
# fat suppression), fine-tunes the shipped segmenter on its cases with masks, and again with
# their grades alone, and compares both with the shipped one on the held-out site studies and
# on the simulated benchmark. The results go to models/site/.
# Takes two hours on two cores, most of them simulation and grading; stopped and started
# again, it goes on where it was; delete out/site to begin anew. WORKERS (2) studies are
# simulated at the same time, BENCHMARK_STUDIES (40) are graded, THREADS (2) train. Needs
# ../shared/data for the benchmark.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

test_studies=${1:-40}
train_studies=${2:-10}
steps=${3:-1600}
export out=out/site
export tone=3.5
export seed=525252
mkdir -p "$out/simulated" "$out/studies"
asked="$out/asked.txt" # what was simulated and trained with
now="$(cat configs/site.toml)
tone curve $tone, seed $seed, $train_studies cases, $steps steps"
if [ -e "$asked" ] || [ -n "$(ls "$out/simulated")" ]; then
    if [ ! -e "$asked" ] || [ "$(cat "$asked")" != "$now" ]; then
        echo "$out holds another site or training; delete it to begin anew" >&2
        exit 1
    fi
fi
echo "$now" >"$asked"

simulate_one() {
    [ ! -e "$out/simulated/$1" ] || return 0
    rm -rf "$out/fresh-$1" "$out/studies/sim-$(printf %04d "$1")"
    OMP_NUM_THREADS=1 facetgrade simulate -o "$out/fresh-$1" --studies 1 --first "$1" \
        --seed "$seed" --config configs/site.toml
    python scripts/apply_tone_curve.py "$out/fresh-$1" "$tone"
    mv "$out/fresh-$1"/sim-* "$out/studies/"
    rmdir "$out/fresh-$1"
    touch "$out/simulated/$1"
}
export -f simulate_one
seq "$((train_studies + test_studies))" |
    xargs -P "${WORKERS:-2}" -I{} bash -ec 'simulate_one {}'
python scripts/list_cases.py "$out/studies" "$out/masks.csv" --train "$train_studies"
python scripts/list_cases.py "$out/studies" "$out/grades.csv" --train "$train_studies" \
    --grades-only

for kind in masks grades; do
    sed -e "s|^name = .*|name = \"segmenter-site-$kind\"|" \
        -e "s|^folder = .*|folder = \"$out/runs\"|" \
        -e "s|^steps = .*|steps = $steps|" \
        -e "s|^threads = .*|threads = ${THREADS:-2}|" \
        -e 's|^keep = .*|keep = "last"|' \
        -e 's|^sources = .*|sources = { parametric = 12, mean-shape = 12 }|' \
        -e 's|^data_folder = .*|data_folder = "../shared/data"|' \
        -e "s|^manifest = .*|manifest = \"$out/$kind.csv\"|" \
        -e "s|^splits = .*|splits = \"$out/splits-$kind.csv\"|" \
        -e "s|^weights = .*|weights = \"segmenter-site-$kind\"|" \
        configs/retrain_segmenter.toml >"$out/$kind.toml"
    done_file="$out/compared-$kind/comparison.json"
    if [ ! -e "$done_file" ]; then
        # Both trainings draw the same simulated patients.
        if [ "$kind" = grades ] && [ ! -e "$out/runs/segmenter-site-grades/cases" ]; then
            mkdir -p "$out/runs/segmenter-site-grades"
            cp -R "$out/runs/segmenter-site-masks/cases" "$out/runs/segmenter-site-grades/"
        fi
        { time facetgrade train "$out/$kind.toml"; } 2>&1 | tee -a "$out/train-$kind.log"
        # The model in use grades the benchmark once for both comparisons.
        if [ "$kind" = grades ] && [ ! -e "$out/compared-grades/benchmark" ]; then
            mkdir -p "$out/compared-grades/benchmark"
            cp -R "$out/compared-masks/benchmark/current" "$out/compared-grades/benchmark/"
        fi
        facetgrade compare-models \
            "$out/runs/segmenter-site-$kind/segmenter-site-$kind.safetensors" \
            --manifest "$out/masks.csv" --splits "$out/splits-$kind.csv" \
            --benchmark-studies "${BENCHMARK_STUDIES:-40}" \
            --simulated out/benchmark-studies -o "$out/compared-$kind"
    fi
    echo "annotated with $kind:"
    python scripts/halved_drop.py "$done_file"
    mkdir -p models/site
    cp "$out/compared-$kind/comparison.json" "models/site/$kind.json"
    cp "$out/compared-$kind/comparison.html" "models/site/$kind.html"
done
echo "published: models/site/masks.html, models/site/grades.html"

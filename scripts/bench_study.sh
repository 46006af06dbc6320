#!/bin/sh
# Simulate N reference studies into DIR: three sagittal series of 17 slices 384x384
# and two axial series of 40 slices 320x320 each.
#
#   scripts/bench_study.sh DIR N
set -eu

if [ $# -ne 2 ]; then
    echo "usage: scripts/bench_study.sh DIR N" >&2
    exit 2
fi
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
facetgrade="$root/.venv/bin/facetgrade"
[ -x "$facetgrade" ] || facetgrade=facetgrade
exec "$facetgrade" simulate -o "$1" --studies "$2" --seed 20240 \
    --config "$root/configs/reference_study.toml"

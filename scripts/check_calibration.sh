#!/usr/bin/env bash
# Grade new simulated studies drawn like those of the calibration and publish how well
# probabilities and prediction sets are calibrated in models/calibration/check.*.
#   scripts/check_calibration.sh [OPTION...]    such as --workers 4, --studies 500
# Stopped and started again, it goes on where it was. Needs ../shared/data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

out=out/check-calibration
facetgrade evaluate --config configs/check_calibration.toml -o "$out" \
    --simulated out/check-calibration-studies "$@"
case " $* " in *" --simulate-only "*) exit ;; esac
for kind in json html; do
    cp "$out/benchmark.$kind" "models/calibration/check.$kind"
done
echo "published: models/calibration/check.html"

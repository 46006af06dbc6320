#!/usr/bin/env bash
# Choose when the segmenter is believed, then fit probabilities, intervals and
# thresholds of the shipped models on simulated studies, write them into configs/ and
# publish the numbers in models/calibration/.
#   scripts/calibrate.sh [OPTION...]    such as --workers 4, --studies 100
#   scripts/calibrate.sh --simulate-only    simulate, grade later
# Stopped and started again, it goes on where it was. Simulated studies stay in
# out/calibration-studies and are graded again when the models change. Needs
# ../shared/data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

out=out/calibration
case " $* " in
*" --simulate-only "*) ;;
*) python scripts/choose_belief.py -o out/belief --simulated out/calibration-studies "$@" ;;
esac
facetgrade calibrate configs/calibrate.toml -o "$out" --simulated out/calibration-studies \
    --write "$@"
case " $* " in *" --simulate-only "*) exit ;; esac
mkdir -p models/calibration
cp "$out"/calibration.json "$out"/calibration.html "$out"/observations.json \
    out/belief/belief.json models/calibration/
echo "published: models/calibration/calibration.html"

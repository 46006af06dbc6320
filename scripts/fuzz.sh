#!/usr/bin/env bash
# Fuzz every reader of foreign bytes in turns of SECONDS: first those that have had less
# than LEAST seconds, then the faster half, until all together have EXECUTIONS. A reader
# of whole studies does a few a second and one of archives thousands, so that equal
# numbers would take days. The same command goes on where it was stopped. Counts are kept
# in tests/fuzz/results.json, corpus and findings in FOLDER.
#
#   scripts/fuzz.sh [SECONDS] [EXECUTIONS] [LEAST] [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
create_environment
install_lock requirements-fuzz.lock

seconds=${1:-120} executions=${2:-1000000} least=${3:-300} folder=${4:-out/fuzz}
results=tests/fuzz/results.json
case $least in *[!0-9]*) echo "LEAST must be a number of seconds: $least" >&2; exit 2 ;; esac
waiting() {
    python - "$results" "$executions" "$least" <<'END'
import json, pathlib, sys

path, wanted, least = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
names = """dicom-file dicom dicomdir zip tar nifti sidecar config model-manifest
    csv-manifest json-manifest""".split()
found = json.loads(path.read_text()) if path.exists() else {}
spent = {name: found.get(name, {}).get("seconds", 0.0) for name in names}
counts = {name: found.get(name, {}).get("executions", 0) for name in names}
below = sorted((n for n in names if spent[n] < least), key=spent.get)
rates = sorted(names, key=lambda n: counts[n] / max(spent[n], 1.0))
fast = rates[len(names) // 2 :]
print(sum(counts.values()), *(below or (fast if sum(counts.values()) < wanted else ())))
END
}
mkdir -p "$folder"
before=-1
while read -r total readers <<<"$(waiting)" && [ -n "$readers" ]; do
    echo "$total executions; next: $readers"
    if [ "$total" -eq "$before" ]; then
        echo "the last turns added nothing; see $folder/*.log" >&2
        exit 1
    fi
    before=$total
    for reader in $readers; do
        PYTHONPATH=. OMP_NUM_THREADS=1 nice python scripts/fuzz.py "$reader" \
            --seconds "$seconds" --folder "$folder" --results "$results" \
            >"$folder/$reader.log" 2>&1 || echo "$reader stopped; see $folder/$reader.log"
    done
done
echo "$total executions"

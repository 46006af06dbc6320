#!/usr/bin/env bash
# Fuzz every reader of foreign bytes, SECONDS each, again and again until EXECUTIONS are
# reached. Counts are kept in tests/fuzz/results.json, corpus and findings in FOLDER.
#
#   scripts/fuzz.sh [SECONDS] [EXECUTIONS] [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
create_environment
install_lock requirements-fuzz.lock

seconds=${1:-60} executions=${2:-1000000} folder=${3:-out/fuzz}
results=tests/fuzz/results.json
count() {
    python -c 'import json, sys
print(sum(r["executions"] for r in json.load(open(sys.argv[1])).values()))' "$results"
}
mkdir -p "$folder"
until [ -e "$results" ] && [ "$(count)" -ge "$executions" ]; do
    for reader in dicom dicomdir zip tar nifti sidecar config model-manifest \
        csv-manifest json-manifest; do
        PYTHONPATH=. OMP_NUM_THREADS=1 nice python scripts/fuzz.py "$reader" \
            --seconds "$seconds" --folder "$folder" --results "$results" \
            >"$folder/$reader.log" 2>&1 || echo "$reader stopped; see $folder/$reader.log"
    done
    echo "$(count) executions"
done

#!/bin/sh
# Kill `facetgrade grade` again and again over many small studies and compare the end with
# an undisturbed run; see kill_and_resume.py for the options.
#
#   scripts/kill_and_resume.sh FOLDER [--studies 1000] [--kills 20]
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
python="$root/.venv/bin/python"
[ -x "$python" ] || python=python3
exec "$python" "$root/scripts/kill_and_resume.py" "$@"

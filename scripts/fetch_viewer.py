"""Bring the image viewer of `facetgrade review serve` into place, by its lock file."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "facetgrade" / "review" / "web"
LOCKED = WEB / "viewer"
FILES = ("package.json", "package-lock.json", ".npmrc")
BUNDLE = "node_modules/@niivue/niivue/dist/index.js"


def fetch_viewer() -> Path:
    """Install the pinned viewer with npm and copy its bundle; nothing if it is there.

    Returns
    -------
    Path
        The bundle, in the folder that the web server serves.
    """
    target = WEB / "static" / "vendor" / "niivue.js"
    stamp = target.with_suffix(".lock.sha256")
    wanted = hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()
    if target.is_file() and stamp.is_file() and stamp.read_text().strip() == wanted:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copy(LOCKED / name, folder)
        run_npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
        shutil.copy(Path(folder) / BUNDLE, target)
    stamp.write_text(wanted + "\n")
    return target


def run_npm(*arguments: str, folder: str) -> None:
    """Run npm quietly in a folder; its words are shown when it fails."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to fetch the viewer: install Debian's npm")
    result = subprocess.run(
        [npm, *arguments],
        cwd=folder,
        env={**os.environ, "npm_config_update_notifier": "false"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        sys.exit(f"npm could not fetch the viewer:\n{result.stderr}")


if __name__ == "__main__":
    print(fetch_viewer())

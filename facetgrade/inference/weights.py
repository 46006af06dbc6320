"""Find, verify and load weights: safetensors named by a manifest with SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from facetgrade import networks
from facetgrade.config import check_settings, read_toml, shipped_path
from facetgrade.errors import ModelError

MANIFEST = "manifest.toml"
PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


class ModelEntry(BaseModel):
    """One table of the manifest; keys that only people read are ignored.

    Attributes
    ----------
    file : str
        Name of the weight file beside the manifest.
    sha256 : str
        Hash of that file.
    license : str
        SPDX name.
    input : str
        What the network reads, in words.
    architecture : str
        Name known to `networks.build`.
    sizes : dict
        Keyword arguments of the network.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    license: str
    input: str
    architecture: str
    sizes: dict[str, Any]


def find_model(name: str) -> tuple[ModelEntry, Path]:
    """Look a model up in its manifest.

    Parameters
    ----------
    name : str
        Entry of the shipped ``models/manifest.toml`` or of the user's own models, or
        ``FOLDER/ENTRY`` for a folder with a manifest of its own.

    Returns
    -------
    ModelEntry
        Its manifest table.
    Path
        The weight file.

    Raises
    ------
    ModelError
        If there is no such entry.
    ConfigError
        If the manifest is missing or malformed.
    """
    folder_name, _, key = name.rpartition("/")
    folder = Path(folder_name) if folder_name else shipped_path("models")
    manifest = folder / MANIFEST
    entries = read_toml(manifest)
    own = user_models()
    if not folder_name and key not in entries and (own / MANIFEST).exists():
        folder, entries = own, entries | read_toml(own / MANIFEST)
        manifest = own / MANIFEST
    if key not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ModelError(f"{manifest} has no model {key!r}; it has {known}")
    entry = check_settings(entries[key], ModelEntry, manifest)
    if Path(entry.file).name != entry.file or "\0" in entry.file:
        raise ModelError(f"{manifest}: file {entry.file!r} must lie beside it")
    return entry, folder / entry.file


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a weight file says of itself.

    Raises
    ------
    ModelError
        If it is missing or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or error})"
        ) from error
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file ({error})") from error


def load_weights(name: str, device: torch.device) -> torch.nn.Module:
    """Build a network and fill it with verified weights, ready for inference.

    Parameters
    ----------
    name : str
        As for `find_model`.
    device : torch.device
        Where the network goes.

    Raises
    ------
    ModelError
        If the file is missing, altered, a pickle or of another architecture.
    ConfigError
        If the manifest is missing or malformed.
    """
    entry, path = find_model(name)
    _, tensors = read_tensors(path, entry.sha256)
    return weights_from(entry, path, tensors).to(device).eval().requires_grad_(False)


def user_models() -> Path:
    """Return the folder of the models that the user installed."""
    return Path.home() / ".config" / "facetgrade" / "models"


def weights_from(
    entry: ModelEntry, path: Path, tensors: dict[str, torch.Tensor]
) -> torch.nn.Module:
    """Build the network of a manifest entry and fill it.

    Raises
    ------
    ModelError
        If the tensors are not those of the architecture.
    """
    network = _build(entry, path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: the tensors are not those of {entry.architecture} with the sizes "
            "of the manifest; retrain or restore the matching pair"
        ) from error
    return network


def read_tensors(path: Path, sha256: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Read a weight file after checking its hash.

    Parameters
    ----------
    path : Path
        A safetensors file.
    sha256 : str
        What the manifest says; empty where nothing is said.

    Returns
    -------
    str
        Its hash.
    dict of str to Tensor
        Its tensors.

    Raises
    ------
    ModelError
        If the file is missing, altered or a pickle.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if _is_pickle(content):
        raise ModelError(
            f"{path}: a pickle can run any code and is never loaded; convert it to "
            "safetensors"
        )
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise ModelError(
            f"{path}: SHA-256 is {found[:12]}..., the manifest says {sha256[:12]}...; "
            "the file was altered or not fully downloaded"
        )
    try:
        return found, safetensors.torch.load(content)
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file ({error})") from error


def _is_pickle(content: bytes) -> bool:
    """Tell a pickle from safetensors, whose first byte may be that of a pickle.

    A safetensors file begins with the length of its header, 8 bytes, and the header.
    """
    return content.startswith(PICKLE_STARTS) and content[8:9] != b"{"


def _build(entry: ModelEntry, path: Path) -> torch.nn.Module:
    try:
        return networks.build(entry.architecture, **entry.sizes)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: cannot build {entry.architecture} from the manifest ({error})"
        ) from error

"""The checks of `facetgrade doctor`, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from facetgrade.config import PipelineConfig
from facetgrade.doctor.machine import (
    decoder_versions,
    describe_machine,
    library_versions,
    missing_extras,
    nvidia_driver_seen,
)
from facetgrade.doctor.self_test import run_self_test
from facetgrade.errors import FacetGradeError
from facetgrade.inference import (
    choose_device,
    choose_precision,
    describe_device,
    explain_device,
    explain_precision,
    find_model,
    keep_freed_memory,
    load_models,
)
from facetgrade.inference.weights import read_tensors


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    name : str
        What was looked at.
    state : State
        How it ended.
    text : str
        What was found, or what to do.
    """

    name: str
    state: State
    text: str


def examine(config: PipelineConfig, device_name: str) -> Iterator[Check]:
    """Check machine, libraries, models and a whole study, and advise.

    Parameters
    ----------
    config : PipelineConfig
        Settings of `facetgrade grade`.
    device_name : str
        As for `choose_device`.

    Yields
    ------
    Check
        In the order of the report; a failed one does not stop the rest.

    Raises
    ------
    ConfigError
        If the device does not exist.
    """
    device = choose_device(device_name)
    precision = choose_precision(config.inference.precision, device)
    yield Check("machine", State.OK, describe_machine())
    yield Check("libraries", State.OK, library_versions())
    yield _decoders()
    device_text = f"{describe_device(device)}: {explain_device(device_name)}"
    yield Check("device", State.OK, device_text)
    why = explain_precision(config.inference.precision, device)
    short = str(precision).removeprefix("torch.")
    yield Check("backend", State.OK, f"torch, {short}: {why}")
    yield _allocator()
    for name in (config.localize.weights, config.segment.weights):
        yield _model(name)
    models = None
    try:
        models = load_models(config, device)
    except FacetGradeError as error:
        yield Check("self-test", State.FAILED, f"FAIL: no networks ({error})")
    if models is not None:
        result = run_self_test(models, config)
        state = State.OK if result.passed else State.FAILED
        yield Check("self-test", state, result.text)
    yield from _advice(device.type, short)


def _model(name: str) -> Check:
    """Verify a weight file against its manifest."""
    try:
        entry, path = find_model(name)
        found, _ = read_tensors(path, entry.sha256)
    except FacetGradeError as error:
        return Check("model", State.FAILED, str(error))
    text = f"{name}: {path.name} has the SHA-256 of its manifest, {found}"
    return Check("model", State.OK, text)


def _decoders() -> Check:
    """Tell whether compressed DICOM files can be read."""
    versions, missing = decoder_versions()
    if missing:
        text = f"install {', '.join(missing)} to read all compressed DICOM files"
        return Check("decoders", State.NOTE, text)
    return Check("decoders", State.OK, versions)


def _allocator() -> Check:
    """Tell how freed memory is kept."""
    if keep_freed_memory():
        text = "glibc keeps freed memory for the next study (mallopt)"
    else:
        text = "that of the system, unchanged; the setting exists for glibc only"
    return Check("allocator", State.OK, text)


def _advice(device: str, precision: str) -> Iterator[Check]:
    """Say what would make grading faster, or is left out of this installation."""
    if device == "cpu" and nvidia_driver_seen():
        yield Check(
            "speed",
            State.NOTE,
            "an NVIDIA driver is loaded, but this torch cannot use it: install the "
            "CUDA build of the same torch version as its website says",
        )
    elif device == "cpu":
        slow = "" if precision == "bfloat16" else ", or a CPU with AVX512_BF16 or AMX"
        text = f"an NVIDIA GPU with the CUDA build of torch{slow} would be faster"
        yield Check("speed", State.NOTE, text)
    for extra, packages in missing_extras().items():
        text = f'{packages} missing; install with: pip install "facetgrade[{extra}]"'
        yield Check(f"extra {extra}", State.NOTE, text)

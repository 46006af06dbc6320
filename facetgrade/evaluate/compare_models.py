"""A new and the current model on the same locked held-out studies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.config import PipelineConfig, read_config
from facetgrade.errors import ConfigError
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.benchmark import run_benchmark
from facetgrade.evaluate.compare import OUTLINES
from facetgrade.evaluate.model_page import models_page
from facetgrade.evaluate.model_pairs import PairedJoint, compare_pairs, judge
from facetgrade.evaluate.model_settings import CompareModelsSettings
from facetgrade.evaluate.overlap import dice
from facetgrade.evaluate.provenance import made_by
from facetgrade.evaluate.rows import ComparedJoint, row_from_json
from facetgrade.evaluate.summary import Section
from facetgrade.findings import Graded, Outcome
from facetgrade.inference import Models, choose_device, load_models
from facetgrade.inference.fitted import model_settings, with_model
from facetgrade.inference.library import SECTIONS, active_models, to_toml, verify_file
from facetgrade.inference.weights import find_model, user_models
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.atomic import write_json, write_text
from facetgrade.train.annotated import StudyReader, by_study
from facetgrade.train.manifest import Manifest, ManifestRow, read_manifest
from facetgrade.train.masks import Annotation, read_annotation, sample_lesions
from facetgrade.train.splits import read_splits

Progress = Callable[[int, int, str], None]
HELD_OUT = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is compared on what.

    Attributes
    ----------
    new : str
        Name of a model, or its weight file; settings fitted to it go with it.
    current : str
        Name of the model in use; empty takes it from the folder of models.
    models : Path or None
        The user's models.
    manifest : Path
        Annotated cases; those of split ``test`` are graded.
    splits : Path or None
        Locked splits of the training; None takes those of the manifest.
    benchmark_studies : int
        Studies of the simulated benchmark; 0 leaves it out.
    simulated : Path or None
        Keeps the studies of the benchmark.
    device : str
        As for `facetgrade grade`.
    """

    new: str
    current: str
    models: Path | None
    manifest: Path
    splits: Path | None
    benchmark_studies: int
    simulated: Path | None
    device: str


def compare_models(
    asked: Comparison,
    settings: CompareModelsSettings,
    out: Path,
    progress: Progress | None = None,
) -> Section:
    """Grade held-out studies with both models and write comparison.json and .html.

    Parameters
    ----------
    asked : Comparison
        Models and cases.
    settings : CompareModelsSettings
        Intervals and what counts as worse.
    out : Path
        Receives the result.
    progress : callable or None
        Called with studies done, studies in all, and a line of text.

    Returns
    -------
    dict
        What is in comparison.json; `facetgrade models install` asks for it.

    Raises
    ------
    ConfigError
        If no case is held out, or both models are the same.
    ModelError
        If a model cannot be used.
    """
    new = _name_of(asked.new)
    stage = SECTIONS[find_model(new)[0].architecture]
    current = asked.current or active_models(asked.models or user_models())[stage]
    entries = {"new": find_model(new)[0], "current": find_model(current)[0]}
    if entries["new"].architecture != entries["current"].architecture:
        raise ConfigError(f"{new} and {current} do different work; compare like models")
    manifest = read_manifest(asked.manifest)
    rows = held_out_rows(manifest, asked.splits)
    configs = {
        "new": with_model(read_config(), stage, new),
        "current": with_model(read_config(), stage, current),
    }
    pairs = _pair_studies(rows, configs, asked.device, settings, progress)
    own = compare_pairs(pairs, settings.intervals.bootstrap)
    benchmark = _benchmark(
        asked, {"new": new, "current": current}, stage, settings, out
    )
    verdict, reasons = judge(
        own,
        benchmark,
        loss=settings.verdict.largest_loss,
        benchmark_loss=settings.verdict.largest_benchmark_loss,
    )
    hashes = {role: entry.sha256 for role, entry in entries.items()}
    result: Section = {
        "made": made_by("compare_models.toml", settings, hashes),
        "new": {"name": Path(new).name, "sha256": hashes["new"]},
        "current": {"name": Path(current).name, "sha256": hashes["current"]},
        "manifest_sha256": manifest.sha256,
        "held_out": sorted({row.subject for row in rows}),
        "verdict": verdict,
        "reasons": reasons,
        "own": own,
        "benchmark": benchmark,
    }
    write_json(out / "comparison.json", result)
    write_text(out / "comparison.html", models_page(result))
    return result


def held_out_rows(manifest: Manifest, splits: Path | None) -> list[ManifestRow]:
    """Return the graded rows of the split ``test``.

    Raises
    ------
    ConfigError
        If there are none.
    """
    locked = read_splits(splits) if splits else {}
    if splits and not locked:
        raise ConfigError(f"{splits}: no such file of locked splits")
    rows = [
        row
        for row in manifest.rows
        if locked.get(row.subject, row.split) == HELD_OUT and row.grade is not None
    ]
    if not rows:
        raise ConfigError(
            f"{manifest.path}: no graded case is in the split test; give --splits, the "
            "file that the training wrote"
        )
    return rows


def _name_of(new: str) -> str:
    """Return the name of a model that may be given as its weight file."""
    path = Path(new)
    if path.suffix != ".safetensors":
        return new
    verify_file(path)
    return f"{path.absolute().parent}/{path.stem}"


def _pair_studies(
    rows: Sequence[ManifestRow],
    configs: Mapping[str, PipelineConfig],
    device: str,
    settings: CompareModelsSettings,
    progress: Progress | None,
) -> list[PairedJoint]:
    """Grade every study with both models."""
    chosen = choose_device(device)
    models = {role: load_models(config, chosen) for role, config in configs.items()}
    reader = StudyReader(configs["current"])
    studies = list(by_study(rows))
    pairs = []
    for number, readers in enumerate(studies, start=1):
        outcomes = _grade_both(reader, readers, models, configs)
        pairs += [_pair(row, outcomes, settings) for row in readers]
        if progress:
            progress(number, len(studies), readers[0].study)
    return pairs


def _grade_both(
    reader: StudyReader,
    rows: Sequence[ManifestRow],
    models: Mapping[str, Models],
    configs: Mapping[str, PipelineConfig],
) -> dict[str, dict[FacetJoint, Outcome]]:
    """Grade one study with both models."""
    study = reader.read(rows[0])
    levels = tuple(sorted({row.joint.level for row in rows}))
    request = Request(levels=levels, accept_assumed_levels=True)
    outcomes: dict[str, dict[FacetJoint, Outcome]] = {}
    for role, config in configs.items():
        report = grade_study(study, models[role], config, request=request)
        outcomes[role] = {outcome.joint: outcome for outcome in report.outcomes}
    return outcomes


def _pair(
    row: ManifestRow,
    outcomes: Mapping[str, Mapping[FacetJoint, Outcome]],
    settings: CompareModelsSettings,
) -> PairedJoint:
    """Set both grades beside what a reader said."""
    new, current = (outcomes[role][row.joint] for role in ("new", "current"))
    grade = UNGRADABLE if row.grade is None else row.grade
    return PairedJoint(
        patient=row.subject,
        truth=grade,
        new=_grade(new),
        current=_grade(current),
        factors={
            "group": row.group,
            "level": row.joint.level.value,
            "side": row.joint.side.value,
            "reader": row.reader,
            "true grade": "0-1" if grade <= 1 else "2-4",
        },
        dice=_outline_dice(read_annotation(row), new, current, settings),
    )


def _grade(outcome: Outcome) -> int:
    """Return the grade of an outcome."""
    return outcome.best.grade if isinstance(outcome, Graded) else UNGRADABLE


def _outline_dice(
    annotation: Annotation | None,
    new: Outcome,
    current: Outcome,
    settings: CompareModelsSettings,
) -> dict[str, tuple[float, float]]:
    """Return Dice of both models with the reader's outlines that are large enough."""
    if annotation is None or new.masks is None or current.masks is None:
        return {}
    found: dict[str, tuple[float, float]] = {}
    for name, lesions in OUTLINES.items():
        if not set(lesions) <= annotation.known:
            continue
        values = []
        for outcome in (new, current):
            if outcome.masks is None:
                continue
            grid = outcome.masks.geometry
            places = [list(Lesion).index(lesion) for lesion in lesions]
            fractions = sample_lesions(annotation, grid)[places]
            actual = np.asarray((fractions > 127).any(axis=0))
            if actual.sum() * grid.voxel_volume_mm3 < settings.definitions.least_mm3:
                continue
            drawn = [outcome.masks.lesions[lesion] >= 0.5 for lesion in lesions]
            values.append(dice(np.asarray(np.stack(drawn).any(axis=0)), actual))
        if len(values) == 2:
            found[name] = (values[0], values[1])
    return found


def _benchmark(
    asked: Comparison,
    names: Mapping[str, str],
    stage: str,
    settings: CompareModelsSettings,
    out: Path,
) -> Section | None:
    """Run the simulated benchmark with both models on the same studies."""
    if not asked.benchmark_studies:
        return None
    from facetgrade.config import shipped_path

    rows: dict[str, list[ComparedJoint]] = {}
    for role, name in names.items():
        place = out / "benchmark" / role
        changes = place / "models.toml"
        write_text(changes, to_toml(model_settings({stage: name})))
        run_benchmark(
            shipped_path("configs/evaluate.toml"),
            place,
            studies=asked.benchmark_studies,
            device=asked.device,
            simulated=asked.simulated or out / "benchmark" / "studies",
            pipeline_path=changes,
        )
        kept = json.loads((place / "joints.json").read_text(encoding="utf-8"))
        rows[role] = [row_from_json(values) for values in kept]
    return compare_pairs(pair_benchmark(rows), settings.intervals.bootstrap)


def pair_benchmark(rows: Mapping[str, Sequence[ComparedJoint]]) -> list[PairedJoint]:
    """Join the rows of two benchmark runs by study and joint."""
    current = {(row.study, row.name): row for row in rows["current"]}
    return [
        PairedJoint(
            patient=row.patient,
            truth=row.truth_grade,
            new=row.grade,
            current=current[row.study, row.name].grade,
            factors={
                "group": row.factors.get("group", ""),
                "level": row.level,
                "side": row.side,
            },
        )
        for row in rows["new"]
    ]

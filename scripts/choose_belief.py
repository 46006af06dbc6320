"""Choose when the segmenter is believed, on the calibration studies.

python scripts/choose_belief.py -o OUT --simulated STUDIES [--studies N] [--workers N]

Reads every requested joint once with the shipped networks, keeps what they answered in
OUT, tries the values of configs/calibrate.toml and writes the best ones into
[segment.belief] of configs/pipeline.toml and [segmented] of configs/grade.toml, all
that was tried into OUT/belief.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache, partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from facetgrade.config import config_values, read_config, read_settings, shipped_path
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.belief import (
    Belief,
    BeliefScore,
    KeptJoint,
    MeasuredJoint,
    choose_belief,
    choose_edema_probability,
    measure_under,
    score_of,
)
from facetgrade.evaluate.compare import true_outlines
from facetgrade.evaluate.held_out import HeldOutPatient, draw_patients
from facetgrade.evaluate.patients import KeptFindings, work_through
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.studies import study_folder
from facetgrade.evaluate.truth import read_truth
from facetgrade.evaluate.tuned_files import set_value
from facetgrade.grade.settings import GradeSettings, SegmentedSettings
from facetgrade.inference import Models, choose_device, load_models, model_hashes
from facetgrade.localize import locate_joints
from facetgrade.pipeline import Request
from facetgrade.report.atomic import write_json, write_text
from facetgrade.segment import refine_locations, segment_joints

CONFIG, PIPELINE = "configs/calibrate.toml", "configs/pipeline.toml"
GRADE_RULES = "configs/grade.toml"


def main() -> None:
    """Read joints, try, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--simulated", type=Path, required=True)
    parser.add_argument("--studies", type=int)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    settings = read_settings(shipped_path(CONFIG), CalibrateSettings)
    joints = _read_joints(arguments, settings)
    with ProcessPoolExecutor(
        arguments.workers, mp_context=get_context("spawn")
    ) as pool:
        score = partial(_score, pool, arguments.workers, joints)
        first = settings.belief.edema_probability[0]
        belief, tried = choose_belief(
            settings.belief, lambda beliefs: [score(one, first) for one in beliefs]
        )
        probability, tried_probabilities = choose_edema_probability(
            settings.belief, lambda value: score(belief, value)
        )
    for one, reached in tried:
        print(f"{_figures(reached)}  {_brief(one)}")
    for value, reached in tried_probabilities:
        print(f"{_figures(reached)}  edema fills a sector from {value:g} on")
    _write(belief, probability, f"scripts/choose_belief.py, {len(joints)} joints")
    write_json(
        arguments.out / "belief.json",
        {
            "joints": len(joints),
            "chosen": _plain(belief),
            "tried": [{**asdict(r), "belief": _plain(b)} for b, r in tried],
            "edema_probability": probability,
            "tried_edema_probabilities": [
                {**asdict(r), "edema_probability": p} for p, r in tried_probabilities
            ],
        },
    )


def _read_joints(
    arguments: argparse.Namespace, settings: CalibrateSettings
) -> list[KeptJoint]:
    """Read all gradable joints of the calibration studies, once per model."""
    pipeline = read_config()
    plain = pipeline.model_copy(
        update={"segment": pipeline.segment.model_copy(update={"belief": {}})}
    )
    hashes = model_hashes(plain)
    held_out = settings.studies
    if arguments.studies:
        held_out = held_out.model_copy(update={"studies": arguments.studies})
    models = cache(lambda: load_models(plain, choose_device("auto")))
    request = Request(levels=held_out.levels, accept_assumed_levels=True)

    def look(patient: HeldOutPatient, folder: Path) -> list[KeptJoint]:
        out = arguments.out / "masks" / patient.name
        return _read_study(folder, out, models(), plain, request, settings)

    kept: KeptFindings[KeptJoint] = KeptFindings(
        folder=arguments.out / "joints",
        fingerprint=lambda patient: patient.fingerprint(
            config_values(plain.segment),
            config_values(plain.localize),
            config_values(settings.definitions),
            hashes,
            {"fields": list(KeptJoint.__slots__)},
        ),
        to_json=asdict,
        from_json=lambda v: KeptJoint(
            **{**v, "files": tuple(v["files"]), "outlines": tuple(v["outlines"])}
        ),
    )
    studies = study_folder(
        arguments.simulated, arguments.out, plain.grade, arguments.workers
    )
    return work_through(draw_patients(held_out), studies, kept, look, _print)


def _read_study(
    folder: Path,
    out: Path,
    models: Models,
    pipeline: Any,
    request: Request,
    settings: CalibrateSettings,
) -> list[KeptJoint]:
    """Segment the requested joints of one study and keep what was read."""
    study = read_folder(folder / "dicom", pipeline.ingest)
    truth = read_truth(folder / "truth")
    found = locate_joints(study, models.localizer, pipeline.localize)
    reading = study, models.segmenter, pipeline.segment, request.joints
    found = refine_locations(study, found, *reading[1:])
    segmented = segment_joints(study, found, *reading[1:])
    joints = []
    for joint, one in segmented.items():
        actual = truth.joints[joint]
        grade = actual.gradable_grade(
            min_covered=settings.definitions.min_covered,
            metal_mm=settings.definitions.metal_mm,
        )
        if grade == UNGRADABLE or not one.masks:
            continue
        name = f"{joint.level}_{joint.side}"
        present = {
            "effusion": actual.measures["effusion_width_mm"]
            >= settings.definitions.least_effusion_mm,
            "edema": actual.measures["edema_mm3"] >= settings.definitions.floor_mm3,
        }
        drawn = [
            true_outlines(actual, truth.lesion_labels, masks) for masks in one.masks
        ]
        joints.append(
            KeptJoint.write(
                out / name,
                one.masks,
                [{k: v for k, v in d.items() if present[k]} for d in drawn],
                grade=grade,
                measures=actual.measures,
            )
        )
    return joints


def _score(
    pool: ProcessPoolExecutor,
    workers: int,
    joints: Sequence[KeptJoint],
    belief: Belief,
    edema_probability: float,
) -> BeliefScore:
    """Score one belief, the joints shared out among the processes."""
    shares = [joints[start::workers] for start in range(workers)]
    rules = read_config().grade
    start = read_settings(shipped_path(CONFIG), CalibrateSettings).start
    segmented = SegmentedSettings(edema_probability=edema_probability)
    rules = rules.model_copy(
        update={"confidence": start.confidence, "segmented": segmented}
    )
    jobs = [pool.submit(_measure, share, _plain(belief), rules) for share in shares]
    return score_of(list(chain(*(job.result() for job in jobs))), rules)


def _measure(
    joints: Sequence[KeptJoint],
    belief: Mapping[str, Mapping[str, float]],
    rules: GradeSettings,
) -> list[MeasuredJoint]:
    """Measure joints in a process of its own."""
    pipeline = read_config()
    changed = type(pipeline.segment).model_validate(
        {**pipeline.segment.model_dump(), "belief": belief}
    )
    return measure_under(changed.belief, (joint.read() for joint in joints), rules)


def _write(belief: Belief, edema_probability: float, source: str) -> None:
    """Put the chosen values into the shipped settings."""
    rules = shipped_path(GRADE_RULES)
    text = rules.read_text(encoding="utf-8")
    value = edema_probability
    write_text(rules, set_value(text, "segmented", "edema_probability", value, source))
    path = shipped_path(PIPELINE)
    text = path.read_text(encoding="utf-8")
    for lesion, one in belief.items():
        for key, value in one.model_dump().items():
            section = f"segment.belief.{lesion.value}"
            text = set_value(text, section, key, value, source)
    write_text(path, text)


def _plain(belief: Belief) -> dict[str, dict[str, float]]:
    """Return a belief as JSON values."""
    return {lesion.value: one.model_dump() for lesion, one in belief.items()}


def _figures(score: BeliefScore) -> str:
    """Write the figures of one score."""
    return "  ".join(f"{key} {value:.3f}" for key, value in asdict(score).items())


def _brief(belief: Belief) -> str:
    """Name threshold, smallest volume and least mean probability of each lesion."""
    return "  ".join(
        f"{lesion.value} {'/'.join(f'{v:g}' for v in one.model_dump().values())}"
        for lesion, one in belief.items()
    )


def _print(done: int, total: int, text: str) -> None:
    print(f"[{done}/{total}] {text}", flush=True)


if __name__ == "__main__":
    main()

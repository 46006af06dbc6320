"""Fit the [pixels] weights of configs/series_rules.toml on simulated series.

Prints the new keys and a table of what the weights decide on subjects they have not
seen. Usage: python scripts/fit_series_rules.py [SUBJECTS] [SEED]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from facetgrade.config import read_settings, read_toml, shipped_path
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.grade.settings import GradeSettings
from facetgrade.ingest.contrast import contrast_features
from facetgrade.simulate import study as simulated
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.study import Sequence

CLASSES = (Sequence.T1, Sequence.T2, Sequence.T2_FS, Sequence.T1_FS_POST)
FLUID_BRIGHT, FAT_BRIGHT = (1, 2), (0, 1)
VARIANTS = 5
RIDGE = 0.004
CLEAR = 3.0
SPECTRAL = ["spectral", "dixon-water"]


def main() -> None:
    """Simulate, fit, print."""
    subjects = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    rows = [
        (number, kind, variant, features)
        for number in range(subjects)
        for kind, variant, features in subject_features(seed, number)
    ]
    subject = np.array([row[0] for row in rows])
    kind = np.array([row[1] for row in rows])
    plain = np.array([row[2] == 0 for row in rows])
    raw = np.array([row[3] for row in rows])
    low, high = np.nanpercentile(raw, 1, axis=0), np.nanpercentile(raw, 99, axis=0)
    known = np.where(np.isfinite(raw), raw, (low + high) / 2.0)
    inputs = np.c_[np.clip(known, low, high), np.ones(len(raw))]
    held_out = np.zeros((len(rows), len(CLASSES)))
    for number in range(subjects):
        weights = fit(inputs[subject != number], kind[subject != number])
        held_out[subject == number] = inputs[subject == number] @ weights.T
    print_table("as simulated", held_out[plain], kind[plain])
    print_table("cropped, shaded, noisier", held_out[~plain], kind[~plain])
    print(f"feature_low = {np.round(low, 2).tolist()}")
    print(f"feature_high = {np.round(high, 2).tolist()}")
    for name, row in zip(CLASSES, fit(inputs, kind), strict=True):
        print(f'weights."{name}" = {np.round(row, 2).tolist()}')


def subject_features(
    seed: int, number: int
) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
    """Yield class, variant and features of the series of one simulated subject."""
    rng = np.random.default_rng([seed, number, 1])
    for kind, volumes in simulated_series(seed, number):
        for variant in range(VARIANTS):
            seen = [varied(v, kind, rng) if variant else v for v in volumes]
            features = contrast_features(seen)
            if features is not None:
                yield kind, variant, features


def simulated_series(seed: int, number: int) -> Iterator[tuple[int, list[Volume]]]:
    """Yield class and stacks of the series of one simulated subject."""
    config = protocols()
    grade = read_settings(shipped_path("configs/grade.toml"), GradeSettings)
    rng = np.random.default_rng([seed, number])
    scene = simulated.build_scene(config.anatomy, "parametric", rng, data_folder=None)
    scene = simulated.add_lookalikes(scene, rng, config.pathology.lookalikes)
    tissue = simulated.draw_subject_tissue(rng)
    grades = simulated.draw_grades(rng, sorted(scene.joints), config.pathology)
    scene = simulated.add_pathology(scene, grades, rng, config.pathology, grade)
    scene = simulated._pose(scene, config, rng)
    for name, spec in config.protocols.items():
        if spec.instead is not None:
            continue  # the pixels of T1-FLAIR are not asked about fat
        protocol = simulated.draw_protocol(
            name,
            spec,
            field_t=float(rng.choice(config.scanner.field_t)),
            scanner=config.scanner,
            rng=rng,
        )
        series = simulated._acquire_series(
            scene, tissue, protocol, 1, config, rng, lying=scene
        )
        suppressed = spec.fat_suppression[0] != "none"
        is_t1 = spec.sequence.startswith("T1")
        kind = (3 if suppressed else 0) if is_t1 else (2 if suppressed else 1)
        yield kind, list(series.volumes)


def protocols() -> SimulateSettings:
    """Return the shipped protocols on coarse grids, with more fat suppression."""
    values = read_toml(shipped_path("configs/simulate.toml"))
    values["anatomy"] |= {"body_spacing_mm": 2.0, "column_spacing_mm": 1.0}
    specs = values["protocols"]
    t1, post = specs["sagittal_t1"], specs["axial_t1_fs_post"]
    specs["axial_t1"] = {**post, "fat_suppression": ["none"], "contrast_agent": False}
    specs["axial_t1_fs"] = {**post, "contrast_agent": False}
    specs["sagittal_t1_fs"] = {**t1, "fat_suppression": SPECTRAL}
    specs["sagittal_t1_post"] = {**specs["sagittal_t1_fs"], "contrast_agent": True}
    specs["sagittal_t2_fs"] = {**specs["sagittal_t2"], "fat_suppression": SPECTRAL}
    specs["axial_stir"] = {**specs["axial_t2_fs"], "fat_suppression": ["stir"]}
    for name, spec in specs.items():
        spec["matrix"] = [176] if spec["plane"] == "sagittal" else [160]
        if "t2_fs" in name:
            spec["te_ms"] = [45, 100]
        elif "t2" in name:
            spec["te_ms"] = [85, 160]
        elif "stir" in name:
            spec["te_ms"] = [30, 90]
    return SimulateSettings.model_validate(values)


def varied(volume: Volume, kind: int, rng: np.random.Generator) -> Volume:
    """Crop, shade like a surface coil, add noise, change the echo time.

    Signal decays by exp(-TE / T2), so another echo time is a power of the signal.
    """
    grid = volume.geometry
    size = np.array(grid.shape)
    kept = np.where(
        size < 25, size, (size * rng.choice([1, 1, 0.75, 0.55])).astype(int)
    )
    start = ((size - kept) * rng.uniform(0.35, 0.65, 3)).astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(start, kept, strict=True))
    crop: VolumeGeometry = grid.crop(tuple(start), tuple(kept))
    power = rng.uniform(0.8, 1.6 if kind in FLUID_BRIGHT else 1.2)
    values = (volume.voxels[window] / 1000.0) ** power
    depth_mm = rng.choice([np.inf, np.inf, 120.0, 90.0, 60.0])
    back_mm = crop.voxel_centers_lps_mm()[..., 1]
    values = values * np.exp((back_mm - back_mm.max()) / depth_mm)
    noise = rng.uniform(0.0, 0.04) * np.percentile(values, 99)
    parts = noise * rng.standard_normal((2, *values.shape))
    voxels = np.hypot(values + parts[0], parts[1]).astype(np.float32)
    return Volume(geometry=crop, voxels=voxels)


def fit(inputs: NDArray[np.float64], kind: NDArray[np.int_]) -> NDArray[np.float64]:
    """Fit a multinomial logistic model with equal weight for every class."""
    scale = inputs.std(axis=0)
    scale[-1] = 1.0
    scaled = inputs / scale
    truth = np.eye(len(CLASSES))[kind]
    share = (truth / truth.sum(axis=0)).sum(axis=1) / len(CLASSES)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(len(CLASSES), -1)
        odds = scaled @ weights.T
        odds -= odds.max(axis=1, keepdims=True)
        probability = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        slopes = weights.copy()
        slopes[:, -1] = 0.0
        gradient = ((probability - truth) * share[:, None]).T @ scaled + RIDGE * slopes
        value = -(share * np.log((probability * truth).sum(axis=1) + 1e-12)).sum()
        return value + RIDGE / 2 * (slopes**2).sum(), gradient.ravel()

    start = np.zeros(len(CLASSES) * inputs.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return best.reshape(len(CLASSES), -1) / scale


def print_table(title: str, odds: NDArray[np.float64], kind: NDArray[np.int_]) -> None:
    """Print how often fluid and fat are right, clearly right and clearly wrong."""
    print(title)
    for index, name in enumerate(CLASSES):
        rows = odds[kind == index]
        cells = []
        for bright in (FLUID_BRIGHT, FAT_BRIGHT):
            dark = [k for k in range(len(CLASSES)) if k not in bright]
            score = np.logaddexp(*rows[:, list(bright)].T)
            score = score - np.logaddexp(*rows[:, dark].T)
            right = score if index in bright else -score
            shares = [np.mean(right > limit) for limit in (0.0, CLEAR)]
            shares.append(np.mean(right < -CLEAR))
            cells.append(" ".join(f"{share:6.3f}" for share in shares))
        print(f"  {name:10s} n={len(rows):4d}  fluid {cells[0]}  fat {cells[1]}")


if __name__ == "__main__":
    main()

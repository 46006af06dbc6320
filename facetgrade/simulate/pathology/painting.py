"""Paint facet synovitis of wanted grades into a simulated patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.pathology.effusion import paint_effusion
from facetgrade.simulate.pathology.lookalikes import (
    PROVENANCE_KEY,
    add_lookalikes,
)
from facetgrade.simulate.pathology.plan import (
    LARGEST_FRACTION,
    JointPlan,
    draw_pattern,
    draw_plan,
    thickness_table,
)
from facetgrade.simulate.pathology.region import (
    HALF_EXTENT_MM,
    Field,
    JointRegion,
    copy_grid,
    cut_region,
    local_scene,
    own_side_mm,
    paste_block,
    put_region,
)
from facetgrade.simulate.pathology.settings import PathologySettings
from facetgrade.simulate.pathology.spread import (
    planned_marrow,
    planned_soft_tissue,
)
from facetgrade.simulate.pathology.surroundings import (
    Surroundings,
    fraction_of_perimeter,
    survey,
)
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.truth import (
    fine_joint_grid,
    measure_truth,
    truth_joint_masks,
)

_TOLERANCE = 0.02
_HALF = 0.5
_EDEMA = (Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA)


def add_pathology(
    scene: Scene,
    grades: Mapping[FacetJoint, int],
    rng: np.random.Generator,
    settings: PathologySettings,
    grade_settings: GradeSettings,
) -> Scene:
    """Paint facet synovitis of the wanted grades.

    What is painted is measured with the rules of the grade stage; a joint whose
    measured grade differs is painted again, a few times with another share of the
    perimeter and then from a new draw. The truth is always what `measure_truth` says
    of the returned scene, never the wanted grade. A scene that never went through
    `add_lookalikes` gets its lookalikes first.

    Parameters
    ----------
    scene : Scene
        Healthy patient.
    grades : mapping of FacetJoint to int
        Wanted grade of each joint, 0-4; joints not named stay as they are.
    rng : numpy.random.Generator
        Source of randomness; the same state gives the same scene.
    settings : PathologySettings
        What findings look like.
    grade_settings : GradeSettings
        Measurement and rules that decide the truth.

    Returns
    -------
    Scene
        With changed tissue, structure and lesions of `column`.

    Raises
    ------
    ValueError
        If a grade is not 0-4, or a joint is not in the scene or its column.
    """
    unknown = [str(joint) for joint in grades if joint not in scene.joints]
    if unknown:
        raise ValueError(f"grades must name joints of the scene, got {unknown}")
    if PROVENANCE_KEY not in scene.provenance:
        scene = add_lookalikes(scene, rng.spawn(1)[0], settings.lookalikes)
    column = copy_grid(scene.column)
    streams = rng.spawn(len(grades))
    for stream, (joint, grade) in zip(streams, sorted(grades.items()), strict=True):
        local, window = local_scene(scene, column, joint)
        local = _add_synovitis(local, joint, grade, stream, settings, grade_settings)
        column = paste_block(column, window, local.column)
    return replace(scene, column=column)


def _add_synovitis(
    scene: Scene,
    joint: FacetJoint,
    grade: int,
    rng: np.random.Generator,
    settings: PathologySettings,
    grade_settings: GradeSettings,
) -> Scene:
    """Paint one joint until its measured grade is the wanted one."""
    painted = scene
    for left in reversed(range(settings.attempts)):
        plan = draw_plan(rng, grade, settings)
        painted = _paint_plan(scene, joint, plan, rng, settings, grade_settings)
        if left == 0:
            break
        extents, found = measure_truth(painted, joint, grade_settings)
        clear = abs(extents.perimeter_fraction.value - _HALF) >= settings.margin
        if found.grade == grade and clear:
            break
    return painted


def _paint_plan(
    scene: Scene,
    joint: FacetJoint,
    plan: JointPlan,
    rng: np.random.Generator,
    settings: PathologySettings,
    grade_settings: GradeSettings,
) -> Scene:
    """Paint one plan."""
    region = cut_region(scene, scene.joints[joint], HALF_EXTENT_MM)
    paint_effusion(region, plan.effusion, rng)
    painted = put_region(scene, region)
    if plan.perimeter_fraction == 0.0 and plan.marrow_depth_mm == 0.0:
        return painted
    grid = fine_joint_grid(painted, joint)
    masks = truth_joint_masks(painted, joint, grid)
    around = survey(
        region,
        masks,
        grade_settings.measure.perimeter,
        own_mm=own_side_mm(region, scene, joint),
    )
    plan = _within_reach(plan, around, settings.margin)
    marrow = planned_marrow(region, joint, plan, around, rng)
    soft = _fitting_soft_tissue(region, plan, around, rng, settings, grade_settings)
    _write(region, (soft, marrow))
    return put_region(painted, region)


def _fitting_soft_tissue(
    region: JointRegion,
    plan: JointPlan,
    around: Surroundings,
    rng: np.random.Generator,
    settings: PathologySettings,
    grade_settings: GradeSettings,
) -> Field:
    """Draw soft-tissue edema, correcting its share of the perimeter once."""
    perimeter = grade_settings.measure.perimeter
    pattern = draw_pattern(rng, around, settings)
    texture_seed = int(rng.integers(2**63))

    def draw(sectors: int) -> Field:
        table = thickness_table(
            pattern,
            around,
            sectors=sectors,
            thickness_mm=plan.thickness_mm,
            height_share=perimeter.height_share,
        )
        texture = np.random.default_rng(texture_seed)
        return planned_soft_tissue(region, plan, around, table, texture)

    sectors = _sector_count(plan, around)
    soft = draw(sectors)
    if plan.perimeter_fraction == 0.0:
        return soft
    found = fraction_of_perimeter(region, around, soft, perimeter)
    corrected = _corrected(plan, around, sectors, found)
    return soft if corrected == sectors else draw(corrected)


def _write(region: JointRegion, edema: tuple[Field, Field]) -> None:
    """Put new edema over what other joints and lookalikes already show."""
    for lesion, fraction in zip(_EDEMA, edema, strict=True):
        np.maximum(region.lesions[lesion], fraction, out=region.lesions[lesion])


def _within_reach(plan: JointPlan, around: Surroundings, margin: float) -> JointPlan:
    """Bring a wanted majority into the range that this joint allows."""
    reach = float(around.fillable.sum()) / max(1, int(around.counted.sum()))
    lowest = _HALF + margin
    if plan.perimeter_fraction <= _HALF or reach <= lowest:
        return plan
    share = (plan.perimeter_fraction - lowest) / (LARGEST_FRACTION - lowest)
    largest = min(reach, LARGEST_FRACTION)
    return replace(plan, perimeter_fraction=lowest + share * (largest - lowest))


def _sector_count(plan: JointPlan, around: Surroundings) -> int:
    """Count the sectors that give the wanted share of the perimeter."""
    wanted = round(plan.perimeter_fraction * int(around.counted.sum()))
    return min(wanted, int(around.fillable.sum()))


def _corrected(
    plan: JointPlan, around: Surroundings, sectors: int, found: float
) -> int:
    """Change the number of sectors if the measured fraction misses the wanted one."""
    miss = plan.perimeter_fraction - found
    if abs(miss) <= _TOLERANCE:
        return sectors
    change = round(miss * int(around.counted.sum()))
    return int(np.clip(sectors + change, 1, max(1, int(around.fillable.sum()))))

"""Findings that look like facet synovitis and must never count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facetgrade.simulate.pathology import beside_joints, spine_findings
from facetgrade.simulate.pathology.hardware import fuse_segments
from facetgrade.simulate.pathology.lookalike_canvas import Canvas
from facetgrade.simulate.pathology.region import copy_grid
from facetgrade.simulate.pathology.settings import LookalikeSettings
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.streams import side_stream

# Named like the settings that say how often.
_PER_JOINT = (
    beside_joints.synovial_cyst,
    beside_joints.facet_fat_pad,
    beside_joints.perineural_cyst,
)
_PER_PATIENT = (
    spine_findings.laminectomy,
    beside_joints.epidural_veins,
    beside_joints.denervated_multifidus,
    beside_joints.remote_muscle_edema,
    beside_joints.subcutaneous_edema,
    beside_joints.interspinous_bursitis,
    spine_findings.endplate_edema,
    spine_findings.endplate_fat,
    spine_findings.hemangioma,
    spine_findings.high_intensity_zone,
    spine_findings.tarlov_cyst,
    beside_joints.fatty_multifidus,
)
PROVENANCE_KEY = "lookalikes"


def add_lookalikes(
    scene: Scene, rng: np.random.Generator, chances: LookalikeSettings
) -> Scene:
    """Draw findings that look like facet synovitis and must never count.

    Call it once per patient, before `add_pathology`; both visits of a patient then
    show the same.

    Parameters
    ----------
    scene : Scene
        Patient without pathology.
    rng : numpy.random.Generator
        Source of randomness.
    chances : LookalikeSettings
        How often each finding occurs.

    Returns
    -------
    Scene
        With changed tissue and lesions of both grids; ``provenance["lookalikes"]``
        names what was drawn, separated by ``;``.
    """
    grids = (copy_grid(scene.body), copy_grid(scene.column))
    canvas = Canvas(scene, grids, rng)
    drawn = []
    for draw_at in _PER_JOINT:
        for joint in sorted(scene.joints):
            if rng.random() < getattr(chances, draw_at.__name__):
                draw_at(canvas, scene.joints[joint])
                drawn.append(f"{draw_at.__name__} {joint}")
    for draw in _PER_PATIENT:
        if rng.random() < getattr(chances, draw.__name__):
            draw(canvas)
            drawn.append(draw.__name__)
    apart = side_stream(rng)
    if apart.random() < chances.pedicle_screws:
        fused = fuse_segments(grids, scene.vertebrae, apart)
        drawn += [f"pedicle_screws {fused}"] if fused else []
    provenance = {**scene.provenance, PROVENANCE_KEY: ";".join(drawn)}
    return replace(scene, body=grids[0], column=grids[1], provenance=provenance)

"""Population numbers of the vertebrae and one person's draw of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facetgrade.anatomy import Side

# Bones of one simulated spine from the top; the sacrum is built as one piece.
MOBILE = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
CHAIN = (*MOBILE, "S1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Proportions:
    """Size of one vertebra and of the joint and disc below it.

    Attributes
    ----------
    width_upper, width_lower, depth_upper, depth_lower : float
        Extents of the endplates in mm.
    height : float
        Height of the body through its middle in mm.
    wedge_deg : float
        Angle between the endplates, positive when the front is higher.
    canal_width, canal_depth : float
        Inner extents of the arch in mm.
    pedicle_width, pedicle_height : float
        Cross-section of the pedicles in mm.
    transverse_span : float
        Tip to tip of the transverse processes in mm.
    spinous_length, spinous_height : float
        From the back wall of the body to the spinous tip, and its height, in mm.
    disc_height, disc_wedge_deg : float
        Middle height and angle of the disc below.
    facet_spread : float
        Distance between the centers of the two joints below in mm.
    facet_setback : float
        From the line of body centers back to the joints below in mm.
    facet_drop : float
        From the middle plane of the disc down to the joints below in mm.
    facet_angle_deg : float
        Angle of the joints below to the sagittal plane.
    facet_width, facet_height : float
        Extents of the articular surfaces below in mm.
    """

    width_upper: float
    width_lower: float
    depth_upper: float
    depth_lower: float
    height: float
    wedge_deg: float
    canal_width: float
    canal_depth: float
    pedicle_width: float
    pedicle_height: float
    transverse_span: float
    spinous_length: float
    spinous_height: float
    disc_height: float
    disc_wedge_deg: float
    facet_spread: float
    facet_setback: float
    facet_drop: float
    facet_angle_deg: float
    facet_width: float
    facet_height: float

    @property
    def depth(self) -> float:
        """Mean depth of the body in mm."""
        return (self.depth_upper + self.depth_lower) / 2.0


_COLUMNS = tuple(Proportions.__dataclass_fields__)
# Bodies, canal, pedicles: Panjabi 1992 (L1-L5), heights nearer to Cook & Baker 2021;
# discs: anatomyjournal.ir A-10-159-1 and nepjol 40674; joints: Panjabi 1993 and
# Masharawi 2004, positions checked on the mean shape of 87 patients (J Biomech 146).
# fmt: off
_ADULT = {
    #                     T10    T11    T12     L1     L2     L3     L4     L5     S1
    "width_upper":      ( 32.0,  34.0,  38.5,  41.2,  42.6,  44.1,  46.6,  47.3,  50.0),
    "width_lower":      ( 34.0,  37.0,  40.5,  43.3,  45.5,  48.0,  49.5,  49.4,  40.0),
    "depth_upper":      ( 29.0,  30.5,  32.5,  34.1,  34.6,  35.2,  35.5,  35.0,  33.5),
    "depth_lower":      ( 30.0,  32.0,  33.5,  35.3,  35.0,  34.8,  34.4,  34.0,  26.0),
    "height":           ( 22.0,  23.0,  24.5,  25.5,  26.3,  26.7,  26.6,  26.2,  29.0),
    "wedge_deg":        ( -3.0,  -3.5,  -3.5,  -3.0,  -1.5,   0.0,   2.0,   8.0,   4.0),
    "canal_width":      ( 17.5,  18.5,  21.5,  23.7,  23.8,  24.3,  25.4,  27.1,  30.0),
    "canal_depth":      ( 16.0,  16.0,  17.0,  18.0,  17.7,  17.5,  18.0,  18.5,  15.0),
    "pedicle_width":    (  7.5,   9.0,   9.0,   8.6,   8.6,  10.2,  13.2,  17.0,  20.0),
    "pedicle_height":   ( 15.0,  16.5,  16.5,  15.8,  15.2,  14.6,  15.2,  16.5,  20.0),
    "transverse_span":  ( 58.0,  54.0,  48.0,  71.0,  77.0,  86.0,  82.0,  91.0, 104.0),
    "spinous_length":   ( 46.0,  47.0,  49.0,  51.0,  53.0,  54.0,  52.0,  44.0,  32.0),
    "spinous_height":   ( 20.0,  20.0,  22.0,  24.0,  25.0,  25.0,  22.0,  17.0,  15.0),
    "disc_height":      (  5.0,   6.0,   7.0,   9.0,  10.3,  11.2,  12.0,  11.0,   3.0),
    "disc_wedge_deg":   (  0.0,   0.0,   2.0,   5.0,   7.0,   9.0,  11.0,  14.0,   6.0),
    "facet_spread":     ( 24.0,  25.0,  24.0,  25.0,  26.0,  29.5,  34.5,  41.0,  30.0),
    "facet_setback":    ( 27.0,  29.0,  32.0,  35.0,  34.5,  33.5,  32.0,  32.5,  30.0),
    "facet_drop":       (  1.0,   3.0,   5.0,   5.5,   5.5,   5.5,   5.5,   7.0,   4.0),
    "facet_angle_deg":  ( 78.0,  60.0,  28.0,  27.0,  31.0,  38.0,  45.0,  51.0,  55.0),
    "facet_width":      ( 11.0,  11.0,  11.0,  11.5,  12.5,  14.0,  15.0,  16.0,  12.0),
    "facet_height":     ( 12.0,  12.5,  13.5,  14.5,  15.0,  15.5,  16.0,  16.0,  12.0),
}
# fmt: on
_ANGLES = {"wedge_deg", "disc_wedge_deg", "facet_angle_deg"}


def adult_proportions(name: str) -> Proportions:
    """Return the mean adult numbers of the vertebra `name`, one of `CHAIN`."""
    column = CHAIN.index(name)
    return Proportions(**{field: row[column] for field, row in _ADULT.items()})


def draw_proportions(
    rng: np.random.Generator, *, scale: float, sd: float
) -> dict[str, Proportions]:
    """Draw the sizes of all vertebrae of one person.

    Each length varies as a whole and, half as much, from vertebra to vertebra, so
    that neighbors fit.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    scale : float
        Size of the person, 1 = adult mean.
    sd : float
        Relative standard deviation of one length.
    """
    lengths = [name for name in _COLUMNS if name not in _ANGLES]
    person = dict(zip(lengths, rng.normal(1.0, sd, len(lengths)), strict=True))
    drawn = {}
    for name in CHAIN:
        adult = adult_proportions(name)
        own = rng.normal(1.0, sd / 2.0, len(lengths))
        factors = {n: scale * person[n] * f for n, f in zip(lengths, own, strict=True)}
        changed = {n: getattr(adult, n) * factors[n] for n in lengths}
        drawn[name] = replace(adult, **changed)
    return drawn


def facet_axes(
    angle_deg: float, *, pitch_deg: float, splay_deg: float, side: Side
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the axes of a facet joint in the frame of the disc.

    Parameters
    ----------
    angle_deg : float
        Angle of the joint to the sagittal plane.
    pitch_deg, splay_deg : float
        How far the top of the joint leans forward and toward the midline.
    side : Side
        Side of the patient.

    Returns
    -------
    normal, across, cranial : (3,) float64 ndarray
        Local (left, posterior, cranial) directions: from the inferior articular
        process to the superior one, backward along the joint line, and upward.
    """
    angle, pitch, splay = np.radians([angle_deg, pitch_deg, splay_deg])
    sign = side.sign
    cranial = np.array([-sign * np.tan(splay), -np.tan(pitch), 1.0])
    cranial /= np.linalg.norm(cranial)
    across = np.array([sign * np.sin(angle), np.cos(angle), 0.0])
    across -= cranial * (across @ cranial)
    across /= np.linalg.norm(across)
    normal = np.cross(across, cranial) * sign
    return normal, across, cranial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facetgrade.anatomy import ExtensionSite, Structure
from facetgrade.grade.measure import measure_extents

FINE = {"spacing_mm": (1.5, 0.5, 0.5), "shape": (20, 110, 110)}


def wedge(grid, first_degree, last_degree, inner_mm, outer_mm):
    inside = (grid.degrees >= first_degree) & (grid.degrees < last_degree)
    return grid.ring(inner_mm, outer_mm) * inside


def measured(build_joint, shipped, **painted):
    return measure_extents(build_joint(**painted), shipped.measure)


def test_effusion_volume_adds_up_fractions_of_voxels(build_joint, shipped):
    extents = measured(build_joint, shipped, effusion=lambda g: g.slab(0.9))
    # 0.9 x 12.6 (18 rows of 0.7 mm) x 15 mm = 170.1 mm3.
    assert extents.effusion_mm3.value == pytest.approx(170.1, rel=0.01)


def test_fluid_that_does_not_touch_the_joint_is_not_effusion(build_joint, shipped):
    extents = measured(
        build_joint, shipped, effusion=lambda g: wedge(g, 0, 90, 13.0, 18.0)
    )
    assert extents.effusion_mm3.value == 0.0


def test_soft_tissue_edema_has_its_volume(build_joint, shipped):
    extents = measured(
        build_joint, shipped, edema=lambda g: wedge(g, 0, 180, 10.0, 13.0), **FINE
    )
    # pi / 2 * (169 - 100) * 15 = 1626 mm3.
    assert extents.soft_tissue_edema_mm3.value == pytest.approx(1626.0, rel=0.03)
    assert extents.edema_mm3 == extents.soft_tissue_edema_mm3.value


def test_edema_beyond_reach_that_is_not_continuous_is_left_out(build_joint, shipped):
    far = measured(build_joint, shipped, edema=lambda g: wedge(g, 0, 90, 19.0, 22.0))
    near = measured(build_joint, shipped, edema=lambda g: wedge(g, 0, 90, 11.0, 22.0))
    assert far.soft_tissue_edema_mm3.value == 0.0
    # pi / 4 * (484 - 121) * 15 = 4277 mm3, all of it continuous.
    assert near.soft_tissue_edema_mm3.value == pytest.approx(4277.0, rel=0.03)


def test_marrow_edema_of_the_processes_is_kept_apart(build_joint, shipped):
    pedicle = {
        Structure.PEDICLE: lambda g: (
            (g.radius > 9.0)
            & (g.degrees > 170)
            & (g.degrees < 190)
            & g.in_pillar_height
        )
    }

    def marrow(grid):
        return (grid.posterior < -4.0) & (grid.radius < 16.0) & grid.in_pillar_height

    extents = measured(build_joint, shipped, marrow=marrow, label=pedicle)
    pedicle_mm3 = extents.extension_mm3[ExtensionSite.PEDICLE]
    # 20 degrees of a ring from 9 to 16 mm: pi / 18 * (256 - 81) * 15 = 458 mm3.
    assert pedicle_mm3 == pytest.approx(458.0, rel=0.08)
    assert extents.marrow_edema_mm3.value - extents.articular_marrow_edema_mm3 == (
        pytest.approx(pedicle_mm3, rel=0.02)
    )


@pytest.mark.parametrize(
    ("site", "structure", "lesion"),
    [
        (ExtensionSite.FORAMEN, Structure.FORAMEN, "edema"),
        (ExtensionSite.PEDICLE, Structure.PEDICLE, "marrow"),
        (ExtensionSite.TRANSVERSE_PROCESS, Structure.TRANSVERSE_PROCESS, "marrow"),
        (ExtensionSite.VERTEBRAL_BODY, Structure.VERTEBRAL_BODY, "marrow"),
    ],
)
def test_every_site_of_grade_4_is_measured(
    build_joint, shipped, site, structure, lesion
):
    place = {structure: lambda g: wedge(g, 180, 240, 12.0, 18.0) > 0.5}
    painted = {"edema": lambda g: wedge(g, 90, 240, 9.5, 15.0)}
    if lesion == "marrow":
        painted["marrow"] = painted["edema"]
    extents = measured(build_joint, shipped, label=place, **painted)
    # pi / 6 * (225 - 144) * 15 = 636 mm3.
    assert extents.extension_mm3[site] == pytest.approx(636.0, rel=0.1)
    others = [v for key, v in extents.extension_mm3.items() if key is not site]
    assert others == [0.0] * 4


@pytest.mark.parametrize(("gap_mm", "reached"), [(1.4, True), (4.0, False)])
def test_extension_must_be_continuous_but_may_cross_a_cortex(
    build_joint, shipped, gap_mm, reached
):
    # Edema of the soft tissue to 17.5 mm, then a gap, then edema of the pedicle.
    extents = measured(
        build_joint,
        shipped,
        label={Structure.PEDICLE: lambda g: g.radius > 17.5},
        edema=lambda g: wedge(g, 180, 240, 9.5, 17.5),
        marrow=lambda g: wedge(g, 180, 240, 17.5 + gap_mm, 23.0),
        **FINE,
    )
    assert (extents.extension_mm3[ExtensionSite.PEDICLE] > 100.0) == reached


def test_flavum_counts_only_beyond_the_recess(build_joint, shipped):
    flavum = {
        Structure.LIGAMENTUM_FLAVUM: lambda g: wedge(g, 200, 290, 9.0, 16.0) > 0.5
    }

    def flavum_mm3(outer_mm):
        extents = measured(
            build_joint,
            shipped,
            label=flavum,
            edema=lambda g: wedge(g, 200, 215, 9.0, outer_mm),
            **FINE,
        )
        return extents.extension_mm3[ExtensionSite.LIGAMENTUM_FLAVUM]

    # The outline ends at about 9 mm there, its recess at 12 mm.
    assert flavum_mm3(11.5) == 0.0
    # 15 degrees of a ring from 12 to 15 mm: pi / 24 * (225 - 144) * 15 = 159 mm3.
    assert flavum_mm3(15.0) == pytest.approx(159.0, rel=0.35)


def test_volume_limits_follow_the_probabilities(build_joint, shipped):
    extents = measured(
        build_joint, shipped, edema=lambda g: 0.6 * (wedge(g, 0, 180, 10, 13) > 0.5)
    )
    volume = extents.soft_tissue_edema_mm3
    # 0.6 counts 0.6; shifted to 0.7 it is 0.391, to 0.3 it is 0.778.
    assert volume.low / volume.value == pytest.approx(0.391 / 0.6, rel=0.01)
    assert volume.high / volume.value == pytest.approx(0.778 / 0.6, rel=0.01)


def test_faint_haze_has_no_volume_but_an_upper_limit(build_joint, shipped):
    extents = measured(
        build_joint, shipped, edema=lambda g: 0.4 * (wedge(g, 0, 180, 10, 13) > 0.5)
    )
    assert extents.soft_tissue_edema_mm3.value == 0.0
    assert extents.soft_tissue_edema_mm3.high > 500.0


def test_orientation_in_the_patient_does_not_matter(build_joint, shipped):
    painted = {
        "edema": lambda g: wedge(g, 30, 230, 9.5, 13.0),
        "effusion": lambda g: g.slab(1.6),
    }
    mirrored = np.diag([1.0, 1.0, -1.0]) @ np.eye(3)[::-1]
    left = measured(build_joint, shipped, **painted)
    right = measured(build_joint, shipped, axes=mirrored, **painted)
    np.testing.assert_array_equal(left.sector_map, right.sector_map)
    assert left.perimeter_fraction == right.perimeter_fraction
    assert left.effusion_width_mm == right.effusion_width_mm


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=st.integers(0, 71), count=st.integers(1, 71), thickness=st.floats(1.3, 4.0)
)
def test_fraction_is_the_painted_share(build_joint, shipped, first, count, thickness):
    def paint(grid):
        sector = (grid.degrees // 5 - first) % 72
        return grid.ring(9.0, 9.0 + thickness) * (sector < count)

    fraction = measured(build_joint, shipped, edema=paint).perimeter_fraction
    assert fraction.value == pytest.approx(count / 72.0, abs=1.01 / 72.0)
    assert fraction.value <= (count + 0.01) / 72.0  # ends may be lost, none is added


def test_processes_of_the_next_level_are_not_those_of_the_joint(build_joint, shipped):
    # A process 3 mm below the pillar, with its own edema, and an effusion above it.
    def below(grid):
        return (grid.up < -10.5) & (grid.radius < 8.0)

    extents = measured(
        build_joint,
        shipped,
        label={Structure.INFERIOR_ARTICULAR_PROCESS: below},
        marrow=below,
        effusion=lambda g: g.slab(2.0),
    )
    assert extents.articular_marrow_edema_mm3 == 0.0
    assert extents.marrow_edema_mm3.value == 0.0


def test_edema_far_above_the_joint_belongs_to_the_next_level(build_joint, shipped):
    # A column of edema beside the joint, from its middle upward: the joint ends at
    # 7.5 mm (plane 19 of 30 lies at 6.75 mm), 8 mm above it the volume ends.
    extents = measured(
        build_joint,
        shipped,
        edema=lambda g: (g.up > 0) & (g.radius > 11) & (g.radius < 13),
        shape=(30, 68, 68),
    )
    # pi * (169 - 121) * 14.25 = 2149 mm3 of the 22.5 mm in the grid.
    assert extents.soft_tissue_edema_mm3.value == pytest.approx(2149.0, rel=0.06)


def test_edema_only_above_the_joint_is_not_its_own(build_joint, shipped):
    extents = measured(
        build_joint,
        shipped,
        edema=lambda g: (g.up > 8.0) & (g.radius < 12.0),
        shape=(30, 68, 68),
    )
    assert extents.soft_tissue_edema_mm3.value == 0.0

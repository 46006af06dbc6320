import pytest

from facetgrade.anatomy import ExtensionSite
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.study import Sequence

EVERY_SITE = list(ExtensionSite)


def extension(**volumes_mm3):
    sites = dict.fromkeys(ExtensionSite, 0.0)
    return sites | {ExtensionSite[name.upper()]: v for name, v in volumes_mm3.items()}


def grade_of(extents, settings):
    return apply_rules(extents, Sequence.T2_FS, settings).grade


def test_a_healthy_joint_is_grade_0(build_extents, shipped):
    graded = apply_rules(build_extents(), Sequence.T2_FS, shipped)
    assert graded.grade == 0
    assert graded.trace == (
        "effusion 0.5 mm wide, 80 mm3: under 1.0 mm, physiologic",
        "no abnormal signal in or around the joint: grade 0",
    )


@pytest.mark.parametrize(("width_mm", "grade"), [(0.99, 0), (1.0, 1), (1.01, 1)])
def test_effusion_of_one_mm_is_grade_1(build_extents, shipped, width_mm, grade):
    assert grade_of(build_extents(effusion_width_mm=width_mm), shipped) == grade


@pytest.mark.parametrize(("volume_mm3", "grade"), [(250.0, 0), (251.0, 1)])
def test_a_distended_recess_is_grade_1(build_extents, shipped, volume_mm3, grade):
    assert grade_of(build_extents(effusion_mm3=volume_mm3), shipped) == grade


@pytest.mark.parametrize(("volume_mm3", "grade"), [(29.0, 1), (30.0, 2)])
def test_soft_tissue_edema_above_noise_is_grade_2(
    build_extents, shipped, volume_mm3, grade
):
    extents = build_extents(
        effusion_width_mm=2.0, soft_tissue_edema_mm3=volume_mm3, perimeter_fraction=0.1
    )
    assert grade_of(extents, shipped) == grade


@pytest.mark.parametrize(("sectors", "grade"), [(0, 0), (1, 2)])
def test_soft_tissue_edema_must_fill_a_sector(build_extents, shipped, sectors, grade):
    extents = build_extents(
        soft_tissue_edema_mm3=200.0, perimeter_fraction=sectors / 72
    )
    graded = apply_rules(extents, Sequence.T2_FS, shipped)
    assert graded.grade == grade
    if not sectors:
        assert "(200 mm3 of edema fill no sector of the perimeter)" in graded.trace[-1]


@pytest.mark.parametrize(("volume_mm3", "grade"), [(29.0, 0), (30.0, 2), (900.0, 2)])
def test_marrow_edema_of_the_processes_alone_is_grade_2(
    build_extents, shipped, volume_mm3, grade
):
    extents = build_extents(
        marrow_edema_mm3=volume_mm3, articular_marrow_edema_mm3=volume_mm3
    )
    assert grade_of(extents, shipped) == grade


def test_other_marrow_edema_alone_does_not_grade(build_extents, shipped):
    assert grade_of(build_extents(marrow_edema_mm3=500.0), shipped) == 0


@pytest.mark.parametrize(
    ("fraction", "grade"), [(1 / 72, 2), (36 / 72, 2), (37 / 72, 3), (1.0, 3)]
)
def test_exactly_half_of_the_perimeter_is_grade_2(
    build_extents, shipped, fraction, grade
):
    extents = build_extents(soft_tissue_edema_mm3=900.0, perimeter_fraction=fraction)
    assert grade_of(extents, shipped) == grade


@pytest.mark.parametrize(
    ("fraction", "borderline"),
    [(0.449, False), (0.45, True), (0.5, True), (0.55, True), (0.551, False)],
)
def test_fractions_near_one_half_are_borderline(
    build_extents, shipped, fraction, borderline
):
    extents = build_extents(soft_tissue_edema_mm3=900.0, perimeter_fraction=fraction)
    assert apply_rules(extents, Sequence.T2_FS, shipped).borderline is borderline


@pytest.mark.parametrize(
    ("width_mm", "volume_mm3", "borderline"),
    [
        (0.84, 60.0, False),
        (0.86, 60.0, True),
        (1.14, 60.0, True),
        (1.16, 60.0, False),
        (1.0, 251.0, False),  # the volume decides
    ],
)
def test_a_width_near_its_limit_is_borderline_where_it_decides(
    build_extents, shipped, width_mm, volume_mm3, borderline
):
    extents = build_extents(effusion_width_mm=width_mm, effusion_mm3=volume_mm3)
    graded = apply_rules(extents, Sequence.T2_FS, shipped)

    assert graded.borderline is borderline
    assert ("borderline" in " ".join(graded.trace)) is borderline


@pytest.mark.parametrize(
    ("fraction", "volume_mm3", "marrow_mm3", "borderline"),
    [
        (0.0, 29.0, 0.0, False),  # too little edema, whatever it fills
        (0.0, 31.0, 0.0, True),
        (0.014, 31.0, 0.0, True),
        (0.03, 31.0, 0.0, True),
        (0.056, 31.0, 0.0, False),
        (0.014, 31.0, 40.0, False),  # marrow edema decides
    ],
)
def test_edema_that_fills_a_sector_or_not_is_borderline(
    build_extents, shipped, fraction, volume_mm3, marrow_mm3, borderline
):
    extents = build_extents(
        soft_tissue_edema_mm3=volume_mm3,
        perimeter_fraction=fraction,
        articular_marrow_edema_mm3=marrow_mm3,
    )
    assert apply_rules(extents, Sequence.T2_FS, shipped).borderline is borderline


def test_a_width_near_its_limit_does_not_matter_beside_edema(build_extents, shipped):
    extents = build_extents(
        effusion_width_mm=1.0, soft_tissue_edema_mm3=900.0, perimeter_fraction=0.3
    )
    assert not apply_rules(extents, Sequence.T2_FS, shipped).borderline


@pytest.mark.parametrize("site", EVERY_SITE)
@pytest.mark.parametrize(("volume_mm3", "grade"), [(29.0, 3), (30.0, 4)])
def test_majority_with_extension_is_grade_4(
    build_extents, shipped, site, volume_mm3, grade
):
    extents = build_extents(
        soft_tissue_edema_mm3=900.0,
        perimeter_fraction=0.6,
        extension_mm3=extension() | {site: volume_mm3},
    )
    graded = apply_rules(extents, Sequence.T1_FS_POST, shipped)
    assert graded.grade == grade
    assert graded.extension == ((site,) if grade == 4 else ())


@pytest.mark.parametrize(("rule", "grade"), [("strict", 2), ("liberal", 4)])
@pytest.mark.parametrize("fraction", [0.3, 0.5])
def test_extension_without_majority_follows_the_charter(
    build_extents, change_settings, rule, grade, fraction
):
    extents = build_extents(
        soft_tissue_edema_mm3=400.0,
        perimeter_fraction=fraction,
        extension_mm3=extension(pedicle=100.0),
    )
    settings = change_settings(rules__extension_without_majority=rule)
    graded = apply_rules(extents, Sequence.T2_FS, settings)
    assert graded.grade == grade
    assert graded.extension == (ExtensionSite.PEDICLE,)
    assert f"{rule} rule: grade {grade}" in graded.trace[-1]


@pytest.mark.parametrize("rule", ["strict", "liberal"])
def test_majority_with_extension_is_grade_4_under_either_charter(
    build_extents, change_settings, rule
):
    extents = build_extents(
        soft_tissue_edema_mm3=400.0,
        perimeter_fraction=0.7,
        extension_mm3=extension(foramen=100.0),
    )
    settings = change_settings(rules__extension_without_majority=rule)
    assert grade_of(extents, settings) == 4


@pytest.mark.parametrize(("articular_mm3", "grade"), [(0.0, 0), (60.0, 2)])
def test_edema_of_a_pedicle_grades_only_with_edema_around_the_joint(
    build_extents, shipped, articular_mm3, grade
):
    extents = build_extents(
        articular_marrow_edema_mm3=articular_mm3,
        extension_mm3=extension(pedicle=300.0),
    )
    graded = apply_rules(extents, Sequence.T2_FS, shipped)
    assert graded.grade == grade
    assert graded.extension == ((ExtensionSite.PEDICLE,) if grade else ())


def test_a_cyst_is_named_and_does_not_grade(build_extents, shipped):
    graded = apply_rules(build_extents(cyst_mm3=400.0), Sequence.T2_FS, shipped)
    assert graded.grade == 0
    assert graded.trace[-1] == "synovial cyst of 400 mm3: named apart, not graded"


def test_trace_of_grade_3_names_fraction_and_rule(build_extents, shipped):
    extents = build_extents(soft_tissue_edema_mm3=900.0, perimeter_fraction=0.62)
    graded = apply_rules(extents, Sequence.T2_FS, shipped)
    assert graded.trace[-1] == (
        "extracapsular signal over 62 % of the perimeter (height_30); "
        "no extension: grade 3"
    )


def test_trace_of_grade_4_names_the_sites(build_extents, shipped):
    extents = build_extents(
        soft_tissue_edema_mm3=900.0,
        perimeter_fraction=0.51,
        extension_mm3=extension(foramen=120.0, vertebral_body=80.0),
    )
    assert apply_rules(extents, Sequence.T2_FS, shipped).trace[1:] == (
        "perimeter fraction 0.510 lies between 0.45 and 0.55: borderline",
        "signal extends to the intervertebral foramen (120 mm3), "
        "the vertebral body (80 mm3)",
        "extracapsular signal over 51 % of the perimeter (height_30); grade 4",
    )


@pytest.mark.parametrize(("degrees", "grade"), [(180, 2), (185, 3)])
def test_masks_of_half_a_ring_are_grade_2_and_a_sector_more_is_grade_3(
    build_joint, shipped, degrees, grade
):
    masks = build_joint(edema=lambda g: g.ring(9.0, 13.0) * (g.degrees < degrees))
    assert grade_of(measure_extents(masks, shipped.measure), shipped) == grade


@pytest.mark.parametrize(("width_mm", "grade"), [(0.85, 0), (1.15, 1)])
def test_masks_of_a_film_are_graded_by_its_width(build_joint, shipped, width_mm, grade):
    masks = build_joint(effusion=lambda g: g.slab(width_mm, 0.2))
    assert grade_of(measure_extents(masks, shipped.measure), shipped) == grade


def test_masks_of_marrow_edema_alone_are_grade_2(build_joint, shipped):
    masks = build_joint(marrow=lambda g: (g.lateral > 2) & (g.radius < 9.0))
    assert grade_of(measure_extents(masks, shipped.measure), shipped) == 2

import pytest

from facetgrade.ingest import shipped_settings
from facetgrade.ingest.contrast import PixelEvidence
from facetgrade.ingest.dicom import SeriesTags
from facetgrade.ingest.series import classify, plane_of, text_clues
from facetgrade.study import Plane, Sequence

RULES = shipped_settings().series_rules
SILENT = PixelEvidence()


def sequence_of(pixels=SILENT, **tags):
    return classify(SeriesTags(**tags), pixels, RULES).sequence


def times(tr, te, ti=float("nan")):
    return {
        "repetition_time_ms": tr,
        "echo_time_ms": te,
        "inversion_time_ms": ti,
    }


@pytest.mark.parametrize(
    ("normal", "plane"),
    [
        ((1, 0, 0), Plane.SAGITTAL),
        ((-0.8, 0.6, 0), Plane.SAGITTAL),
        ((0, 0.6, 0.8), Plane.AXIAL),
        ((0, -0.71, 0.7), Plane.CORONAL),
        ((0.58, 0.58, 0.58), Plane.OBLIQUE),
    ],
)
def test_plane_is_the_dominant_component_of_the_normal(normal, plane):
    assert plane_of(normal) is plane


@pytest.mark.parametrize(
    ("description", "sequence"),
    [
        ("t2_tse_sag_384", Sequence.T2),
        ("t2_tse_tra_384", Sequence.T2),
        ("t1_tse_sag_320", Sequence.T1),
        ("Sag T2", Sequence.T2),
        ("SAG STIR", Sequence.T2_FS),
        ("Sag Sitr", Sequence.T2_FS),
        ("SAG T2 STIR", Sequence.T2_FS),
        ("OSag STIR", Sequence.T2_FS),
        ("OAX FRFSE T2", Sequence.T2),
        ("Sag FSE2D T1W", Sequence.T1),
        ("T2WI_TRA", Sequence.T2),
        ("FST2_SAG", Sequence.T2_FS),
        ("KORONAL TIRM", Sequence.T2_FS),
        ("DP SPAIR", Sequence.T2_FS),
        ("TRA T2 FS", Sequence.T2_FS),
        ("T1W_TSE +C", Sequence.T1),
        ("SAG T1 POST GAD", Sequence.T1),
        ("t2_tirm_sag", Sequence.T2_FS),
        ("t1_tse_fs_tra_KM", Sequence.T1_FS_POST),
        ("T1 FS TRA +C", Sequence.T1_FS_POST),
        ("t1_tse_fs_tra", Sequence.OTHER),
        ("t1_tse_fs_tra_nativ", Sequence.OTHER),
        ("t2_tse_dixon_sag_W", Sequence.T2_FS),
        ("t2_tse_dixon_sag_IN", Sequence.T2),
        ("t2_tse_dixon_sag_F", Sequence.OTHER),
        ("t2_tse_dixon_sag_OPP", Sequence.OTHER),
        ("WATER: IDEAL AX T2", Sequence.T2_FS),
        ("Sag T2 FRFSE", Sequence.T2),
        ("Ax T2 FS", Sequence.T2_FS),
        ("T2W_TSE", Sequence.T2),
        ("STIR_longTE", Sequence.T2_FS),
        ("T2W_SPAIR", Sequence.T2_FS),
        ("T2 sag no fs", Sequence.T2),
        ("Sag PD FSE", Sequence.PD),
        ("t2*_medic_tra", Sequence.OTHER),
        ("", Sequence.OTHER),
    ],
)
def test_descriptions_met_in_practice(description, sequence):
    assert sequence_of(description=description) is sequence


@pytest.mark.parametrize(
    ("tags", "sequence"),
    [
        (times(600, 12), Sequence.T1),
        (times(1099, 24), Sequence.T1),
        (times(3500, 100), Sequence.T2),
        (times(1801, 60), Sequence.T2),
        (times(3500, 20), Sequence.PD),
        (times(4000, 55, 150), Sequence.T2_FS),
        (times(4000, 55, 220), Sequence.T2_FS),
        ({**times(2200, 10, 850), "scanning_sequence": ("IR", "SE")}, Sequence.T1),
        ({**times(4000, 70), "scan_options": ("FS",)}, Sequence.T2_FS),
        ({**times(4000, 40), "scan_options": ("FS", "SP")}, Sequence.T2_FS),
        ({**times(4000, 100), "scan_options": ("SP",)}, Sequence.T2),
        ({**times(4000, 90), "sequence_name": "*tir2d1_16"}, Sequence.T2_FS),
        ({**times(4000, 90), "sequence_name": "*tse2d1_16fs"}, Sequence.T2_FS),
        ({**times(4000, 90), "sequence_name": "*tse2d1_16"}, Sequence.T2),
        (
            {**times(600, 12), "scan_options": ("FS",), "contrast_agent": "Gd"},
            Sequence.T1_FS_POST,
        ),
        ({**times(600, 12), "scan_options": ("FS",)}, Sequence.OTHER),
        ({**times(600, 12), "contrast_agent": "Gd"}, Sequence.T1),
        (
            {**times(4000, 90), "image_type": ("DERIVED", "PRIMARY", "DIXON", "W")},
            Sequence.T2_FS,
        ),
        (
            {
                **times(500, 14),
                "scanning_sequence": ("GR",),
                "flip_angle_deg": 25.0,
            },
            Sequence.OTHER,
        ),
        (
            {**times(5, 2), "scanning_sequence": ("GR",), "flip_angle_deg": 10.0},
            Sequence.T1,
        ),
        ({**times(4500, 50), "scanning_sequence": ("SE", "IR")}, Sequence.T2_FS),
        ({**times(2200, 20), "scanning_sequence": ("SE", "IR")}, Sequence.OTHER),
        ({**times(4000, 90), "sequence_name": "fse-xl"}, Sequence.T2),
        ({**times(600, 10, 100), "contrast_agent": "Gd"}, Sequence.T1_FS_POST),
        ({"echo_time_ms": 95.0}, Sequence.T2),
        ({"echo_time_ms": 12.0}, Sequence.OTHER),
        ({"acquisition_contrast": "STIR"}, Sequence.T2_FS),
        ({"acquisition_contrast": "T1"}, Sequence.T1),
    ],
)
def test_technical_tags_decide(tags, sequence):
    assert sequence_of(**tags) is sequence


def test_tags_overrule_a_wrong_description():
    classified = classify(
        SeriesTags(description="SAG T1", **times(4000, 100)), SILENT, RULES
    )

    assert classified.sequence is Sequence.T2
    assert "evidence on weighting disagrees" in " ".join(classified.evidence)


def test_clear_pixels_overrule_a_description():
    dark_fluid = PixelEvidence(fluid=-4.0, fat=4.0)

    assert sequence_of(dark_fluid, description="T2") is Sequence.T1


@pytest.mark.parametrize("log_odds", [-1.2, -4.0])
def test_silent_description_of_a_stripped_series_is_no_evidence(log_odds):
    dark_fat = PixelEvidence(fluid=3.0, fat=log_odds)

    assert sequence_of(dark_fat, description="T2") is Sequence.T2_FS


def test_unclear_pixels_do_not_overrule_silent_tags():
    hint = PixelEvidence(fluid=3.0, fat=-1.5)

    assert sequence_of(hint, description="T2", **times(4000, 100)) is Sequence.T2


def test_gradient_echo_and_proton_density_are_left_to_text():
    bright_fluid = PixelEvidence(fluid=4.0, fat=4.0)

    assert sequence_of(bright_fluid, description="t2*_merge") is Sequence.OTHER
    assert sequence_of(bright_fluid, description="PD sag") is Sequence.PD


def test_clear_pixels_show_fat_suppression_that_nothing_names():
    dark_fat = PixelEvidence(fluid=3.0, fat=-3.0, sentences=("fat is dark",))

    classified = classify(SeriesTags(description="T2"), dark_fat, RULES)

    assert classified.sequence is Sequence.T2_FS
    assert "fat is dark" in classified.evidence


def test_unclear_pixels_do_not_overrule_a_description():
    hint = PixelEvidence(fluid=1.5, fat=1.5)

    assert sequence_of(hint, description="T1 FS post") is Sequence.T1_FS_POST


def test_unclear_pixels_decide_where_all_else_is_silent():
    hint = PixelEvidence(fluid=1.5, fat=-1.5)

    assert sequence_of(hint) is Sequence.T2_FS


def test_pixels_without_any_clue_leave_the_class_open():
    assert sequence_of(PixelEvidence(fluid=0.4, fat=-0.3)) is Sequence.OTHER


def test_tags_overrule_clear_pixels():
    bright_fat = PixelEvidence(fluid=3.0, fat=3.0)

    assert sequence_of(bright_fat, **times(4000, 55, 150)) is Sequence.T2_FS


@pytest.mark.parametrize(
    "words", ["pre contrast", "t1 without gad", "nativ", "sans contraste"]
)
def test_contrast_agent_is_not_read_into_its_absence(words):
    assert text_clues(words, RULES.text).contrast_agent is False


def test_stripped_t1_with_dark_fat_is_taken_as_post_contrast():
    dark_fat = PixelEvidence(fluid=-3.0, fat=-3.5)

    assert sequence_of(dark_fat, description="T1") is Sequence.T1_FS_POST
    assert sequence_of(dark_fat, description="T1 fs") is Sequence.OTHER
    assert sequence_of(dark_fat, description="T1 nativ") is Sequence.OTHER
    assert sequence_of(dark_fat, **times(600, 12)) is Sequence.OTHER


def test_t1_that_is_named_and_timed_is_not_suppressed_by_its_pixels_alone():
    dark_fat = PixelEvidence(fluid=-3.0, fat=-3.5)

    assert sequence_of(dark_fat, description="Sag T1 FSE", **times(600, 12)) is (
        Sequence.T1
    )
    assert sequence_of(dark_fat, description="Sag T1 fs", **times(600, 12)) is (
        Sequence.OTHER
    )
    bright_fluid = PixelEvidence(fluid=3.0, fat=-3.5)
    assert sequence_of(bright_fluid, description="Sag T1", **times(4000, 60)) is (
        Sequence.T2_FS
    )
    post = {"description": "Sag T1 +C", "scan_options": ("FS",)}
    assert sequence_of(dark_fat, **post, **times(600, 12)) is Sequence.T1_FS_POST


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"description": "T2"}, False),
        ({"description": "T2 fs"}, True),
        ({"description": "T1 nativ"}, True),
        (times(600, 12), True),
    ],
)
def test_silence_of_header_and_description_on_fat_is_noted(tags, told):
    assert classify(SeriesTags(**tags), SILENT, RULES).told is told


@pytest.mark.parametrize(
    "tags",
    [
        {"description": "t1_tirm_sag", "sequence_name": "*tir2d1_8"},
        {"description": "Sag T1 FLAIR", "scanning_sequence": ("IR", "SE")},
        {"description": "T1W_IR_TSE SAG"},
        {},
    ],
)
@pytest.mark.parametrize(
    "pixels",
    [
        SILENT,
        PixelEvidence(fat=5.0, fluid=-4.0),
        PixelEvidence(fat=-5.0, fluid=-4.0),  # simulated ones look suppressed
    ],
)
def test_t1_flair_keeps_its_fat_whatever_it_is_called(tags, pixels):
    assert sequence_of(pixels, **tags, **times(2250, 10, 850)) is Sequence.T1


def test_t1_flair_with_a_fat_saturation_option_is_suppressed():
    tags = {"scan_options": ("FS",), "contrast_agent": True, **times(2250, 10, 850)}
    assert sequence_of(**tags) is Sequence.T1_FS_POST


def test_t1_flair_whose_description_names_fat_suppression_is_suppressed():
    tags = {"description": "SAG T1 FLAIR FS +C", "contrast_agent": True}
    assert sequence_of(**tags, **times(2250, 10, 850)) is Sequence.T1_FS_POST

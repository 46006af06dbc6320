import pytest

from facetgrade.evaluate.factors import factors_of


def one_series(plane="sagittal", sequence="T2-FS", **changes):
    values = {
        "plane": plane,
        "sequence": sequence,
        "fat_suppression": "stir",
        "field_t": 1.5,
        "slice_thickness_mm": 4.0,
        "snr": 30.0,
        "fat_failures": 0,
        "motion": None,
        "blocks": [{}],
    }
    return {**values, **changes}


def factors(*series, **provenance):
    return factors_of({"provenance": provenance, "series": series, "habit": "ge"})


@pytest.mark.parametrize(
    ("series", "named"),
    [
        ([one_series()], "edema seen in sagittal slices only"),
        ([one_series("axial")], "edema seen in axial slices only"),
        ([one_series(), one_series("axial")], "edema seen in both planes"),
        ([one_series(sequence="T1")], "none shows edema"),
    ],
)
def test_the_planes_that_show_edema_are_named(series, named):
    assert factors(*series)["series"] == named


def test_the_best_edema_series_decides_noise_and_slices():
    found = factors(
        one_series(snr=15.0, slice_thickness_mm=5.0),
        one_series("axial", snr=45.0, slice_thickness_mm=3.0),
        one_series(sequence="T1", snr=70.0, slice_thickness_mm=2.0),
    )

    assert found["signal to noise"] == "over 40"
    assert found["slices that show edema"] == "below 3.3 mm"


def test_the_patient_is_described_by_what_was_drawn():
    found = factors(
        one_series(),
        scoliosis_deg="20.1",
        disc_degeneration="0.30",
        subcutaneous_mm="12",
        muscle_fat_fraction="0.60",
        lookalikes="hemangioma;laminectomy",
    )

    assert found["scoliosis"] == "over 15 degrees"
    assert found["disc degeneration"] == "0.3 to 0.6 of 1"
    assert found["subcutaneous fat"] == "below 20 mm"
    assert found["operated"] == "yes"


def test_one_moved_series_and_one_failed_suppression_are_told():
    found = factors(
        one_series(fat_failures=2), one_series("axial", motion={"shots": 8})
    )

    assert found["failed fat suppression"] == "yes"
    assert found["motion"] == "yes"


def test_truth_of_earlier_versions_lacks_only_what_it_does_not_say():
    early = one_series()
    del early["snr"], early["fat_failures"]

    found = factors(early)

    assert "signal to noise" not in found
    assert found["field"] == "1.5 T"

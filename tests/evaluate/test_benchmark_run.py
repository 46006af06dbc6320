import json
import tomllib
from dataclasses import replace

import pytest

from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.evaluate.benchmark import run_benchmark
from facetgrade.evaluate.gallery import gallery_page
from facetgrade.evaluate.rows import row_from_json
from facetgrade.evaluate.settings import EvaluateSettings
from facetgrade.inference import choose_device, load_models

CONFIG = shipped_path("configs/evaluate.toml")
GROUP = """
[[benchmark.groups]]
name = "coarse"
anatomy = "parametric"

[benchmark.groups.overrides.anatomy]
body_spacing_mm = 4.0
column_spacing_mm = 1.5

[benchmark.groups.overrides.study]
always = ["sagittal_stir", "axial_t2_fs"]
sometimes.axial_t2 = 0.0
sometimes.axial_t1_fs_post = 0.0
sometimes.axial_t1 = 0.0
sometimes.sagittal_t1_fs_post = 0.0

"""


def coarse_config(path):
    """Write the shipped settings with one quick group and few resamples."""
    text = CONFIG.read_text("utf-8").replace("resamples = 2000", "resamples = 20")
    start, end = text.index("[[benchmark.groups]]"), text.index("[targets]")
    path.write_text(text[:start] + GROUP + text[end:])
    return path


def joints_of(out):
    return json.loads((out / "joints.json").read_text("utf-8"))


def test_kappa_is_also_held_to_its_lower_limit():
    target = read_settings(CONFIG, EvaluateSettings).targets["kappa_lower"]
    assert (target.figure, target.limit) == ("kappa_quadratic", "low")
    assert target.at_least == 0.85


def test_all_fluid_stands_beside_the_effusion_as_the_rules_define_it():
    targets = read_settings(CONFIG, EvaluateSettings).targets
    beside = {"effusion_dice_anywhere", "fluid_dice"}
    assert set(targets["effusion_dice"].beside) == beside


def test_every_figure_that_must_be_shown_has_a_target():
    assert set(tomllib.loads(CONFIG.read_text("utf-8"))["targets"]) >= {
        "right",
        "median_mm",
        "exact",
        "kappa_quadratic",
        "direction_right",
        "graded_share",
    }


@pytest.mark.slow
def test_a_benchmark_keeps_its_studies_and_grades_them_again(tmp_path):
    config = coarse_config(tmp_path / "evaluate.toml")
    lines = []

    def run(name):
        return run_benchmark(
            config,
            tmp_path / name,
            studies=2,
            device="cpu",
            workers=1,
            simulated=tmp_path / "studies",
            progress=lambda *line: lines.append(line),
        )

    first = run("out")
    (mark,) = (tmp_path / "studies").glob("*/simulated.json")
    made = mark.stat().st_mtime_ns
    again = run("other")

    assert len(first["headline"]) >= 6
    assert first["counts"] == {"studies": 2, "patients": 1, "joints": 8}
    assert mark.stat().st_mtime_ns == made
    assert again["headline"] == first["headline"]
    assert "Targets" in (tmp_path / "out" / "benchmark.html").read_text("utf-8")
    assert len(joints_of(tmp_path / "out")) == 8
    lines.clear()
    run("out")
    assert [line[2] for line in lines] == ["1 of 1 patients were done"]

    rows = [row_from_json(row) for row in joints_of(tmp_path / "out")]
    worst = replace(rows[5], located=True, right=False)
    settings = read_config()
    page = gallery_page(
        [worst, *rows[:5]],
        lambda study: next((tmp_path / "studies").glob(f"*/*_{study.split('_')[1]}")),
        load_models(settings, choose_device("cpu")),
        settings,
        joints=1,
        made=[("commit", "abc")],
    )
    assert f"{worst.study} {worst.name}" in page
    assert "data:image/jpeg;base64," in page

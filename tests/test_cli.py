import csv
import hashlib
import logging
import os
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import safetensors.torch

from facetgrade import networks
from facetgrade.cli import main
from tests.ingest.builders import gradient_volume, write_series

ROOT = Path(__file__).parents[1]
LOCALIZER = ("spine-localizer", {"channels": [4, 4, 4, 4, 4]})
SEGMENTER = ("joint-segmenter", {"channels": [4, 4]})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder with untrained weights, their configuration, and room for a key."""
    folder = tmp_path_factory.mktemp("home")
    manifest = []
    for name, (architecture, sizes) in {"l": LOCALIZER, "s": SEGMENTER}.items():
        network = networks.build(architecture, **sizes)
        content = safetensors.torch.save(network.state_dict())
        (folder / f"{name}.safetensors").write_bytes(content)
        manifest.append(
            f"""[{name}]
file = "{name}.safetensors"
sha256 = "{hashlib.sha256(content).hexdigest()}"
license = "Apache-2.0"
input = "untrained"
architecture = "{architecture}"
sizes = {{ channels = {sizes["channels"]} }}
"""
        )
    (folder / "manifest.toml").write_text("\n".join(manifest))
    (folder / "tiny.toml").write_text(
        f'[localize]\nweights = "{folder}/l"\n[segment]\nweights = "{folder}/s"\n'
    )
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("input") / "patient"
    write_series(folder, gradient_volume((18, 40, 40)), series="sag T2")
    return folder


def facetgrade(*arguments, home=None, cwd=None):
    env = {**os.environ, "HOME": str(home), "COLUMNS": "200"} if home else None
    command = [sys.executable, "-m", "facetgrade", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=cwd, check=False
    )


def grade(*arguments, home, **options):
    config = ("--config", home / "tiny.toml", "--device", "cpu")
    return facetgrade("grade", *config, *arguments, home=home, **options)


def test_help_takes_less_than_a_third_of_a_second():
    program = (
        "import sys, facetgrade.cli; "
        "sys.exit(bool({'torch', 'numpy', 'pydicom', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = facetgrade("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, since a busy machine may let any process wait.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3
    assert "research only" in result.stdout


def test_the_version_is_that_of_the_package():
    assert facetgrade("version").stdout == "facetgrade 0.1.0\n"


def test_a_study_is_graded_from_any_folder(home, study, tmp_path):
    result = grade(study, "-o", "out", home=home, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 study finished" in result.stdout
    assert result.stdout.endswith("report: out/index.html\n")
    with (tmp_path / "out/joints.csv").open(newline="") as file:
        sides = [(row["level"], row["side"]) for row in csv.DictReader(file)]
    levels = ("L3-L4", "L4-L5")
    assert sides == [(level, side) for level in levels for side in ("left", "right")]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    log = (tmp_path / "out/facetgrade.log").read_text()
    assert "ingest: study" in log
    assert "Secret" not in log
    assert "patient-7" not in log


def test_other_levels_can_be_asked_for(home, study, tmp_path):
    out = tmp_path / "out"
    result = grade(study, "-o", out, "--levels", "l5-s1", home=home)
    assert result.returncode == 0
    _, *rows = (out / "joints.csv").read_text().splitlines()
    assert [row.split(",")[4:6] for row in rows] == [
        ["L5-S1", "left"],
        ["L5-S1", "right"],
    ]


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command inside this process, which spares its imports."""
    logger = logging.getLogger("facetgrade")
    before = (logger.handlers, logger.level, logger.propagate)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["facetgrade", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    yield run
    for handler in logger.handlers:
        handler.close()
    logger.handlers, logger.level, logger.propagate = before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--levels", "L6-S1"], "known are L1-L2"),
        (["--device", "gpu"], "device must be auto"),
        (["--anchor", "L5=1,2"], "anchor must look like"),
        (["--anchor", "L5=1,2,3", "--anchors", "a.csv"], "not both"),
        (["--anchors", "none.csv"], "none.csv: cannot be read"),
        (["--key", "none.key"], "key file none.key cannot be read"),
        (["--nonsense"], "No such option: --nonsense"),
    ],
)
def test_a_wrong_option_is_code_2(command, home, study, tmp_path, arguments, message):
    options = ("-o", tmp_path / "out", "--config", home / "tiny.toml")
    code, _, errors = command("grade", study, *options, *arguments)
    assert (code, message in errors) == (2, True)


def test_an_unknown_setting_is_one_line_and_code_2(command, study, tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[localize]\nweight = 1\n")
    code, _, errors = command("grade", study, "-o", tmp_path, "--config", path)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert errors.startswith(f"error: {path}: unknown key localize.weight")


def test_a_missing_input_is_code_2(command, tmp_path):
    code, _, errors = command("grade", tmp_path / "none", "-o", tmp_path / "out")
    assert (code, "does not exist" in errors) == (2, True)


def hostile_zip(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../escaped.dcm", b"x")


def zip_bomb(folder):
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(60_000_000))


@pytest.mark.parametrize(
    "fill",
    [
        lambda _: None,
        lambda folder: (folder / "empty.dcm").touch(),
        lambda folder: (folder / "notes.txt").write_text("not an image"),
        lambda folder: (folder / "cut.dcm").write_bytes(bytes(128) + b"DICM\2\0"),
        hostile_zip,
        zip_bomb,
    ],
    ids=["empty", "zero-bytes", "text", "truncated", "traversal", "bomb"],
)
def test_bad_input_is_one_error_and_code_2(command, home, tmp_path, fill):
    folder = tmp_path / "in"
    folder.mkdir()
    fill(folder)
    options = ("-o", tmp_path / "out", "--config", home / "tiny.toml")
    key = ("--key", home / "tiny.toml")
    code, _, errors = command("grade", folder, *options, *key)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert errors.startswith("error: no MR study was found in ")
    assert {path.name for path in tmp_path.rglob("*")} <= {
        "in",
        "out",
        "facetgrade.log",
        *(path.name for path in folder.iterdir()),
    }


def test_a_file_name_of_odd_bytes_is_one_line(command, home, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / os.fsdecode(b"no\xff\nimage.txt")).touch()
    options = ("-o", tmp_path / "out", "--config", home / "tiny.toml")
    code, output, errors = command("grade", folder, *options)
    lines = [line for line in output.splitlines() if line.startswith("not used")]
    assert (code, len(lines), len(errors.splitlines())) == (2, 1, 1)
    assert "image.txt is empty" in lines[0]


def test_a_bug_is_called_one(command, monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr("facetgrade.cli.app", broken)
    with pytest.raises(ZeroDivisionError):
        command("version")


def test_results_of_other_settings_are_refused(home, study, tmp_path):
    out = tmp_path / "out"
    assert grade(study, "-o", out, home=home).returncode == 0
    again = grade(study, "-o", out, home=home)
    assert "done before" in again.stdout
    other = grade(study, "-o", out, "--mask-uids", home=home)
    assert other.returncode == 2
    assert "other settings (mask-uids)" in other.stderr
    forced = grade(study, "-o", out, "--mask-uids", "--force", home=home)
    assert forced.returncode == 0


def test_altered_weights_are_refused(home, study, tmp_path):
    for path in home.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "l.safetensors").write_bytes(b"altered")
    config = tmp_path / "tiny.toml"
    config.write_text(config.read_text().replace(str(home), str(tmp_path)))
    result = grade(study, "-o", tmp_path / "out", home=tmp_path)
    assert result.returncode == 2
    assert "SHA-256" in result.stdout + result.stderr


def test_an_interrupt_is_code_130(home, study, tmp_path):
    command = [sys.executable, "-m", "facetgrade", "grade", study, "-o", "out"]
    config = ["--config", home / "tiny.toml", "--device", "cpu"]
    with subprocess.Popen(
        [*map(str, command + config)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().startswith("device: cpu")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (130, False)


@pytest.mark.slow
def test_a_wheel_holds_all_that_a_run_needs(tmp_path):
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("facetgrade-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    for folder in ("configs", "models"):
        files = [p for p in (ROOT / folder).rglob("*") if p.is_file()]
        assert {f"facetgrade/{p.relative_to(ROOT).as_posix()}" for p in files} <= packed
    own = [p for p in (ROOT / "facetgrade").rglob("*") if p.is_file()]
    wanted = {p.relative_to(ROOT).as_posix() for p in own if p.suffix != ".pyc"}
    assert wanted <= packed

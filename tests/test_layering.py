import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "facetgrade"
FILES = sorted(PACKAGE.rglob("*.py"))
STAGES = ("ingest", "localize", "segment", "grade", "report")
BUILT_UPON_REPORTS = ("compare", "review")

ALLOWED = {
    "typer": ("cli.py", "commands/"),
    "pydicom": (
        "ingest/",
        "exchange/",
        "deidentify/",
        "pacs/",
        "report/",
        "simulate/",
    ),
    "pynetdicom": ("pacs/",),
    "requests": ("pacs/",),
    "fastapi": ("review/web/",),
    "uvicorn": ("review/web/",),
    "torch": (
        "networks.py",
        "inference/",
        "localize/",
        "segment/",
        "train/",
        "evaluate/",
    ),
    "nibabel": (
        "ingest/",
        "exchange/",
        "report/",
        "simulate/",
        "evaluate/",
        "train/",
        "review/training.py",
    ),
    "rich": ("commands/", "batch/console.py", "train/"),
    "sqlite3": ("batch/", "pacs/ledger.py", "review/"),
}
EDGES = (
    "ingest/",
    "exchange/",
    "deidentify/",
    "pacs/",
    "report/",
    "inference/",
    "config_files.py",
    "batch/",
    "review/",
    "compare/graded.py",
    "compare/pairs_table.py",
    "compare/pdf.py",
    "compare/tables.py",
    "compare/write.py",
    "simulate/",
    "train/",
    "datasets/",
    "evaluate/",
)
LONGEST_FILE, LONGEST_FUNCTION = 400, 40


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = tuple(f"facetgrade.{other}" for other in STAGES if other != stage)
    found = [
        (name(path), module)
        for path in (PACKAGE / stage).rglob("*.py")
        for module in imported(path)
        if any(module == other or module.startswith(f"{other}.") for other in others)
    ]
    assert found == []


@pytest.mark.parametrize("stage", STAGES)
def test_stages_know_nothing_of_the_flow(stage):
    above = (
        "facetgrade.pipeline",
        "facetgrade.batch",
        "facetgrade.cli",
        "facetgrade.commands",
        *(f"facetgrade.{package}" for package in BUILT_UPON_REPORTS),
    )
    found = [
        (name(path), module)
        for path in (PACKAGE / stage).rglob("*.py")
        for module in imported(path)
        if module.startswith(above)
    ]
    assert found == []


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_imported_at_its_edge_only(library):
    found = [
        name(path)
        for path in FILES
        if not name(path).startswith(ALLOWED[library])
        and any(module.split(".")[0] == library for module in imported(path))
    ]
    assert found == []


def test_files_are_read_and_written_at_the_edges_only():
    calls = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir"}
    found = [
        (name(path), node.lineno)
        for path in FILES
        if not name(path).startswith((*EDGES, "commands/"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in calls
    ]
    assert found == []


@pytest.mark.parametrize("forbidden", ["utils", "helpers", "common"])
def test_no_file_is_named_after_nothing(forbidden):
    assert [name(path) for path in FILES if path.stem == forbidden] == []


def test_files_are_short():
    lengths = {name(path): len(path.read_text().splitlines()) for path in FILES}
    assert {key: n for key, n in lengths.items() if n > LONGEST_FILE} == {}


def test_function_bodies_are_short():
    found = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if length > LONGEST_FUNCTION:
                    found[f"{name(path)}:{node.name}"] = length
    assert found == {}

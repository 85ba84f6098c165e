"""The shape of the house: which way imports go, what is loaded when, and how long its parts are."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import impasto

PACKAGE = Path(impasto.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

RANKS = {
    "__version__": 0,
    "types": 0,
    "errors": 0,
    "times": 0,
    "device": 1,
    "features": 1,
    "pixels": 1,
    "paint": 2,
    "fast": 2,
    "metrics": 2,
    "still": 3,
    "export": 3,
    "fast.course": 3,
    "fast.data": 3,
    "fast.loop": 3,
    "fast.views": 3,
    "fast.recognition": 3,
    "fast.pupil": 3,
    "fast.encoder": 3,
    "fast.train": 3,
    "fast.learn": 3,
    "video": 4,
    "mesh": 5,
    "cli": 6,
    "studio": 6,
    "": 7,  # impasto itself, which hands out the names of all: every name of its own that is not here is as high
    "__main__": 7,
}
"""Parts from the ground up; a part imports its like and those below. A new one is given its place here."""

HEAVY = ("torch", "gradio", "av", "cv2", "trimesh")
HELP_SECONDS = 0.5
"""Processor time of `impasto --help`, interpreter included."""


def part(module: str) -> str:
    """The part of the house that a module belongs to: "impasto.pixels.io" is of "pixels", "impasto.fast.train" its own."""
    names = module.split(".")[1:]
    return ".".join(names[:2]) if ".".join(names[:2]) in RANKS else ".".join(names[:1])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(source: str, name: str, package: bool) -> Iterator[str]:
    """Modules of impasto that a module imports anywhere in it, within functions and for types alone too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("impasto."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "impasto":
            yield f"impasto.{node.attr}"  # what is taken from a plain `import impasto`
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            if origin.split(".")[0] == "impasto":
                yield from (f"{origin}.{alias.name}" for alias in node.names)


def wrong_ways(source: str, name: str, package: bool = False) -> list[str]:
    """What a module imports from above itself."""
    own = RANKS[part(name)]
    return [other for other in imported(source, name, package) if RANKS.get(part(other), RANKS[""]) > own]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    assert part(name_of(path)) in RANKS, f"{path} is of a new part: give it a place in RANKS"
    assert wrong_ways(path.read_text(), name_of(path), path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("impasto.pixels.io", "from impasto.paint import optimize"),
        ("impasto.pixels.io", "import impasto.cli.report"),
        ("impasto.paint.image", "def f():\n    from impasto.fast.train import train"),
        ("impasto.features.statistics", "from ..paint import objective"),
        ("impasto.errors", "from .features import weights"),
        ("impasto.fast.nets", "from .train import train"),
        ("impasto.paint.image", "import impasto\nimpasto.stylize"),
        ("impasto.paint.image", "from impasto import stylize"),
    ],
)
def test_a_wrong_import_is_seen(name, line):
    assert wrong_ways(line, name)
    assert not wrong_ways(line, "impasto.__main__")


def test_neighbors_do_not_import_each_other_in_a_circle():
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        own = part(name_of(path))
        others = {part(other) for other in imported(path.read_text(), name_of(path), path.name == "__init__.py")}
        edges.setdefault(own, set()).update(others - {own})
    done: set[str] = set()
    while ready := {own for own, others in edges.items() if own not in done and others <= done | (others - edges.keys())}:
        done |= ready
    assert edges.keys() - done == set()


def fresh(code: str) -> tuple[list[str], float]:
    """Run code in a new interpreter: which heavy packages it loaded, and its processor time in seconds."""
    last = (
        f"import json, sys, time; sys.stderr.write(json.dumps([[m for m in {HEAVY} if m in sys.modules], time.process_time()]))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\n{last}"], capture_output=True, text=True, check=True)
    loaded, seconds = json.loads(done.stderr.splitlines()[-1])
    return loaded, seconds


HELP = """
import sys
sys.argv = ["impasto", "--help"]
from impasto.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize("code", ["import impasto", HELP], ids=["import impasto", "impasto --help"])
def test_nothing_heavy_is_loaded(code):
    assert fresh(code)[0] == []


def test_help_comes_at_once():
    assert min(fresh(HELP)[1] for _ in range(3)) < HELP_SECONDS


def test_public_names_are_sorted_and_there():
    assert list(impasto.__all__) == sorted(impasto.__all__)
    assert [name for name in impasto.__all__ if not hasattr(impasto, name)] == []
    assert set(impasto.__all__) <= set(dir(impasto))


def calls_print(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print" for node in ast.walk(tree)
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_keep_to_their_size_and_say_nothing(path):
    text = path.read_text()
    lines = text.count("\n")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert lines <= 400
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 60] == []
    assert part(name_of(path)) == "cli" or not calls_print(tree)
    assert not re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", text)

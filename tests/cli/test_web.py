"""`impasto export --web`: what it says, what it refuses, and the server."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from impasto import cli
from impasto.export import web


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Networks are exported, and checked, in tests of their own."""
    monkeypatch.setattr(web.onnx, "write", lambda bound, path, precision: path.write_bytes(precision.encode()))


def test_the_app_is_written_and_told_of(tmp_path, capsys):
    folder = tmp_path / "app"
    line = ["export", "starry-night", "scream", "-o", str(folder), "--web"]
    assert cli.main([*line, "--json"]) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert (facts["output"], facts["filters"]) == (str(folder), ["starry-night", "scream"])
    assert facts["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert "filter 2 of 2" in told.err
    assert cli.main(line) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main([*line, "--force", "--quiet"]) == 0
    assert capsys.readouterr() == (f"{folder}\n", "")


def test_a_file_is_no_folder_for_the_app(tmp_path, capsys):
    assert cli.main(["export", "scream", "-o", str(tmp_path / "app.onnx"), "--web"]) == 2
    assert "app.onnx is a file's name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--serve"], "--web"),
        (["--web", "--port", "9000"], "--serve"),
        (["--web", "--precision", "int8"], "--precision"),
        (["--web", "--serve", "--port", "70000"], "70000"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, capsys, more, named):
    assert cli.main(["export", "scream", "-o", str(tmp_path / "app"), *more]) == 2
    told = capsys.readouterr()
    assert named in told.err
    assert len(told.err.splitlines()) == 1
    assert not (tmp_path / "app").exists()


SERVE = """
import sys
from impasto import cli
from impasto.export import web
web.onnx.write = lambda bound, path, precision: path.write_bytes(b"network")
sys.exit(cli.main(sys.argv[1:]))
"""


def test_the_app_is_served_until_it_is_interrupted(tmp_path):
    line = ["export", "scream", "-o", str(tmp_path / "app"), "--web", "--serve", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, *line], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = next(found[0] for told in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", told)))
            with urllib.request.urlopen(address) as answer:
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert b"<title>impasto</title>" in answer.read()
        finally:
            process.terminate()
        assert process.wait(timeout=20) == 130

"""Files to paint, the command run within this process, and an engine that takes no time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from impasto import cli
from impasto.cli import report
from impasto.errors import UsageError
from impasto.paint.pictures import Stylized
from impasto.types import Step


@dataclass
class Ran:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


@pytest.fixture
def impasto(capfd, monkeypatch):
    """`impasto("image", "a.png", ...)`: run the command here, as a script would; signals and logging are left as they were."""
    monkeypatch.setattr(report, "listen", lambda: None)
    monkeypatch.setattr(report, "tracebacks", False)

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return Ran(code, *capfd.readouterr())

    return run


def draw(path, seed=0, size=(40, 32), mode="RGB"):
    """A picture of soft colored squares."""
    random = np.random.default_rng(seed)
    image = PILImage.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize(size).convert(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in with photo.png, b.png, style.png, other.png."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo", "b", "style", "other")):
        draw(tmp_path / f"{name}.png", seed)
    return tmp_path


@dataclass
class Engine:
    """What was asked of the engine, and what it shall do."""

    total: int = 3
    begun: list = field(default_factory=list)
    resumed: list = field(default_factory=list)
    steps: int = 0
    """Steps made altogether."""
    at_step: object = None
    """Called with the painting and the number of each step."""


@pytest.fixture
def engine(monkeypatch):
    """A stand-in for `Painting` that returns the content after three steps, with a real recipe."""
    told = Engine()

    class Painting:
        def __init__(self, content, styles, settings, *, deadline, names, bind, **regions):
            if settings.size == "13":
                raise UsageError("size 13 is unlucky")
            self.content, self.styles, self.settings, self.names = content, styles, settings, names
            self.deadline, self.regions, self.made = deadline, regions, 0
            told.begun.append(self)

        def plan(self):
            return "a plan"

        def steps(self):
            for index in range(self.made, told.total):
                self.made = index + 1
                told.steps += 1
                if told.at_step:
                    told.at_step(self, self.made)
                yield Step(self.made, told.total, size=self.content.size)

        def result(self):
            styles = [{"source": style.name, "weight": style.weight, "sha256": style.sha256} for style in self.styles]
            settings = {**self.settings.as_dict(), "steps": f"64:{self.made}", "time": 0.0}
            recipe = {"version": "0", "verb": "image", "settings": settings, **self.names, "styles": styles}
            return Stylized(self.content, recipe)

        def save_state(self, path):
            Path(path).write_text(str(self.made))

        def load_state(self, path):
            text = Path(path).read_text()
            if text == "other":
                raise UsageError(f"{path} is the state of other work")
            self.made = int(text)
            told.resumed.append(self.made)

    monkeypatch.setattr("impasto.still.Painting", Painting)
    return told


@pytest.fixture
def drawing():
    return draw

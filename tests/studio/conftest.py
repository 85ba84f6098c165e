"""A desk and files on it that the tests of the studio share."""

import pytest

from impasto.pixels import io
from impasto.studio.desk import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "desk")


@pytest.fixture
def files(tmp_path, picture):
    """Paths of a photograph and a painting."""
    found = []
    for seed, name in ((1, "photo.png"), (2, "painting.png")):
        io.save(io.load(picture(seed, 72, 96)), tmp_path / name)
        found.append(str(tmp_path / name))
    return found

"""The page that shows a painted model, opened from a file in headless Chromium."""

import shutil
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

pytest.importorskip("numba", reason="models need the extra mesh, which is not installed")
pytest.importorskip("xatlas", reason="models need the extra mesh, which is not installed")

from impasto.mesh import load, viewer
from impasto.mesh.atlas import build
from impasto.mesh.paint import Painted

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser is driven with playwright, which is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]

GRAPHICS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SHOWN = "() => document.querySelector('model-viewer').loaded"
PLY = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 4
property list uchar int vertex_indices
end_header
0 0 0
2 0 0
1 2 0
1 1 2
3 0 2 1
3 0 1 3
3 1 2 3
3 2 0 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "model.ply").write_text(PLY)
    model = load.load(tmp_path / "model.ply")
    atlas = build(model, 64)
    maps = [[torch.tensor(color).view(1, 3, 1, 1).expand(*page.image.shape) for page in atlas.pages]
            for color in ((0.9, 0.1, 0.1), (0.1, 0.2, 0.9))]  # fmt: skip
    painted, before = (Painted(model, atlas, each, {}) for each in maps)
    return viewer.save(painted, tmp_path / "viewer.html", before, unlit=True)


def middle(page):
    """The color in the middle of the window, 0 ... 255, once frames have been drawn."""
    page.wait_for_function(SHOWN, timeout=60_000)
    page.wait_for_timeout(400)
    pixels = np.asarray(PILImage.open(BytesIO(page.screenshot())).convert("RGB"))
    height, width = pixels.shape[:2]
    return pixels[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].reshape(-1, 3).mean(0)


def test_the_page_shows_the_model_and_asks_for_nothing(file):
    asked, wrong = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=GRAPHICS)
        page = browser.new_page(viewport={"width": 480, "height": 360})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(file.as_uri())
        red = middle(page)
        assert red[0] > 180 > 80 > red[2]
        page.mouse.dblclick(240, 180)
        place = [float(word) for word in page.text_content("output").split(",")]
        assert all(-0.01 <= value <= 2.01 for value in place), "a place on the model, in its coordinates"
        orbit = "() => document.querySelector('model-viewer').getCameraOrbit().toString()"
        page.mouse.move(240, 180)
        page.mouse.down()
        page.mouse.move(300, 180, steps=3)
        page.mouse.up()
        page.wait_for_timeout(1500)
        seen = page.evaluate(orbit)
        page.click("button")
        blue = middle(page)
        assert blue[2] > 180 > 80 > blue[0]
        assert page.evaluate(orbit) == seen, "seen from the same side"
        browser.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1

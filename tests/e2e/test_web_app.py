"""The browser app in headless Chromium, as a phone would show it, with a camera that draws itself."""

import base64
import http.server
import os
import re
import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

import impasto
from impasto.export import web

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser is driven with playwright, which is not installed")
pytest.importorskip("onnxruntime", reason="filters are exported with the extra onnx, which is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.slow,
]

FILTERS = ["starry-night", "great-wave"]
HALF_A_LEVEL = 0.5 / 255
"""Weights are of 16 bit in the page's files."""
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
NO_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"]
GPU = ["--enable-unsafe-webgpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PHONE = {"viewport": {"width": 412, "height": 839}, "device_scale_factor": 2.625, "is_mobile": True, "has_touch": True}
SCREENS = {
    "portrait": PHONE["viewport"],
    "landscape": {"width": 839, "height": 412},
    "small": {"width": 320, "height": 568},
    "desktop": {"width": 1280, "height": 800},
}


class Plain(web.Handler):
    """A static host that sends no headers of its own."""

    def send_header(self, keyword, value):
        if keyword not in web.HEADERS:
            super().send_header(keyword, value)


@contextmanager
def served(folder, handler=web.Handler):
    """The folder's address while it is served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return web.write(tmp_path_factory.mktemp("web") / "app", FILTERS)


@pytest.fixture(scope="module")
def address(app):
    with served(app) as (found, _):
        yield found


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        yield partial(playwright.chromium.launch, executable_path=CHROMIUM)


@pytest.fixture(scope="module")
def browser(chromium):
    with chromium(args=["--no-sandbox", *CAMERA]) as found:
        yield found


@contextmanager
def phone(browser, address, *, wait=True, **options):
    """A page of the app; nothing may go wrong in it unseen."""
    context = browser.new_context(**PHONE, **options)
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    if wait:
        ready(page)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def page(browser, address):
    with phone(browser, address) as found:
        yield found


def ready(page):
    """Wait for the painter, and for what becomes of the page once its service worker is there."""
    page.wait_for_selector("#begin:enabled", timeout=60_000)


def until(page, expression, value=None, seconds=30):
    """Wait until an expression of the page is true (playwright's own way needs eval, which the page forbids)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if page.evaluate(expression, value):
                return
        except sync_api.Error as error:  # the page was loaded anew meanwhile
            if "context" not in str(error):
                raise
        page.wait_for_timeout(50)
    pytest.fail(f"after {seconds} s still not {expression}")


def state(page, name):
    page.wait_for_selector(f"[data-state={name}]", timeout=30_000)


def kept(page):
    page.wait_for_selector("[data-offline=ready]", timeout=60_000)


def finished(page):
    state(page, "still")
    page.wait_for_selector("#picture[aria-busy=false]", timeout=60_000)


def pixels(page):
    """What the canvas shows: height x width x 3 in [0, 1]."""
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    with PILImage.open(BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), np.float32) / 255


def changed(page, first):
    """The largest change of the live picture within 0.7 s, between two of one size: it adapts to hold the frame rate."""
    for _ in range(20):
        page.wait_for_timeout(700)
        second = pixels(page)
        if second.shape == first.shape:
            return np.abs(second - first).max()
        first = second
    pytest.fail("the live picture changed its size 20 times in a row")


def photograph(width=320, height=240):
    """A picture that compresses without much loss."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    rings = 0.5 + 0.3 * np.sin(9 * np.hypot(x - 0.4, y - 0.6))
    return np.stack([rings, 0.2 + 0.6 * x, 0.8 - 0.5 * y], 2).astype(np.float32)


def as_file(picture):
    image = PILImage.fromarray((picture * 255).round().astype(np.uint8))
    image.save(data := BytesIO(), "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": data.getvalue()}


def choose(page, name):
    page.tap(f"label:has(#filter-{name})")
    until(page, "name => localStorage.getItem('filter') === name", name)


SLIDE = """value => {
    const slider = document.getElementById("strength");
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
}"""


def box(page, selector):
    return page.locator(selector).evaluate("each => each.getBoundingClientRect().toJSON()")


def test_the_camera_is_painted_live(page):
    page.tap("#begin")
    state(page, "live")
    until(page, "document.getElementById('rate').textContent.includes('fps')")
    first = pixels(page)
    assert max(first.shape) >= 160
    assert first.std() > 0.05
    assert changed(page, first) > 0.1  # the camera's clock has moved
    page.tap("#turn")
    until(page, "document.getElementById('note').textContent === 'Front camera'")


def test_a_filter_is_switched_and_a_picture_painted(page):
    page.set_input_files("#file", as_file(photograph()))
    finished(page)
    night = pixels(page)
    assert night.shape == (240, 320, 3)
    choose(page, "great-wave")
    finished(page)
    wave = pixels(page)
    assert np.abs(night - wave).mean() > 0.05
    page.evaluate(SLIDE, 0)
    finished(page)
    assert np.abs(pixels(page) - photograph()).max() < 0.02  # strength 0 is the picture itself
    assert page.text_content("output").startswith("0")


def test_a_picture_is_taken_saved_and_shared(browser, address):
    with phone(browser, address, wait=False) as page:
        page.add_init_script("navigator.canShare = () => true; navigator.share = async (what) => { window.shared = what; };")
        page.reload()
        ready(page)
        page.tap("#begin")
        state(page, "live")
        until(page, "document.getElementById('picture').width > 100")
        page.tap("#shutter")
        finished(page)
        shown = pixels(page)
        assert max(shown.shape) >= 480  # larger than the live picture: from the camera's own pixels
        with page.expect_download() as download:
            page.tap("#save")
        assert download.value.suggested_filename.startswith("impasto-starry-night-")
        with PILImage.open(download.value.path()) as saved:
            assert saved.format == "JPEG"
            assert np.abs(np.asarray(saved, np.float32) / 255 - shown).mean() < 0.04  # JPEG, its colors at half size
        page.tap("#share")
        until(page, "Boolean(window.shared)")
        assert page.evaluate("[shared.files[0].type, shared.files[0].size > 1000]") == ["image/jpeg", True]
        page.tap("#back")
        state(page, "live")


def test_a_clip_is_recorded(page):
    page.tap("#begin")
    state(page, "live")
    until(page, "document.getElementById('picture').width > 100")
    page.tap("#record")
    assert page.get_attribute("#record", "aria-pressed") == "true"
    page.wait_for_timeout(2000)
    page.tap("#record")
    state(page, "clip")
    until(page, "document.getElementById('clip').videoWidth > 100")
    with page.expect_download() as download:
        page.tap("#save")
    head = download.value.path().read_bytes()[:12]
    assert head[:4] == b"\x1aE\xdf\xa3" or head[4:8] == b"ftyp"


def test_it_works_after_the_server_is_gone(app, browser):
    with served(app) as (address, server), phone(browser, address) as page:
        kept(page)
        server.shutdown()
        server.server_close()
        page.context.set_offline(True)
        page.reload()
        ready(page)
        assert page.evaluate("crossOriginIsolated")
        page.set_input_files("#file", as_file(photograph()))
        finished(page)
        night = pixels(page)
        choose(page, "great-wave")  # which was never chosen online
        finished(page)
        assert np.abs(night - pixels(page)).mean() > 0.05


def replaced(app):
    """The app as it would be written anew, with another headline."""
    for name in ("sw.js", "keep.js"):
        shutil.copy(web.SOURCES / name, app / name)
    page = app / "index.html"
    page.write_text(page.read_text().replace("Paint what you see", "Paint it anew"))
    web._stamp(app)


def test_a_new_version_is_taken_up_whole(app, browser, tmp_path):
    own = shutil.copytree(app, tmp_path / "app")
    with served(own) as (address, server), phone(browser, address) as page:
        page.evaluate("caches.open('impasto of another app')")
        kept(page)
        replaced(own)
        page.reload()
        until(page, "navigator.serviceWorker.getRegistration().then(each => Boolean(each.waiting))")
        ready(page)
        assert page.text_content("h2") == "Paint what you see"  # an open page stays what it is
        server.shutdown()
        server.server_close()
        page.context.set_offline(True)
        page.goto("about:blank")
        page.wait_for_timeout(500)
        page.goto(address)
        ready(page)
        assert page.text_content("h2") == "Paint it anew"
        choose(page, "great-wave")
        names = page.evaluate("caches.keys()")
        assert len(names) == 2  # the old version's is gone
        assert "impasto of another app" in names


class Tidy(web.Handler):
    """A host that has one address for each page, and leads there from others."""

    def do_GET(self):
        if self.path != "/index.html":
            return super().do_GET()
        self.send_response(301)
        self.send_header("Location", "/")
        self.end_headers()


def test_a_page_that_a_host_led_elsewhere_for_is_shown(app, browser):
    with served(app, Tidy) as (address, _), phone(browser, address) as page:
        kept(page)
        page.goto(f"{address}index.html")
        ready(page)


def test_a_filter_that_cannot_be_loaded_is_told_of(app, browser):
    with served(app) as (address, server), phone(browser, address, service_workers="block") as page:
        server.shutdown()
        server.server_close()
        page.tap("label:has(#filter-great-wave)")
        until(page, "document.getElementById('note').textContent.includes('is there a network?')")
        assert page.is_checked("#filter-starry-night")


def test_a_painter_that_does_not_start_is_told_of_for_good(app, browser, tmp_path):
    own = shutil.copytree(app, tmp_path / "app")
    (own / "runtime" / "ort-wasm-simd-threaded.wasm").unlink()
    with served(own) as (address, _), phone(browser, address, wait=False, service_workers="block") as page:
        until(page, "document.getElementById('note').textContent.includes('could not be started')")
        page.wait_for_timeout(8500)
        assert "could not be started" in page.text_content("#note")
        assert page.is_hidden("#loading")


def test_a_graphics_processor_that_fails_is_done_without(app, browser, tmp_path):
    own = shutil.copytree(app, tmp_path / "app")
    worker = own / "painter-worker.js"
    told = worker.read_text()
    lying = re.sub(r"(async function hasGPU\(.*\) {)", r"\1 return true;", told)
    assert lying != told
    worker.write_text(lying)
    with served(own) as (address, _), phone(browser, address, service_workers="block") as page:
        assert page.evaluate("document.documentElement.dataset.runtime") == "wasm"
        page.set_input_files("#file", as_file(photograph()))
        finished(page)


STREAMS = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.streams = [];
navigator.mediaDevices.getUserMedia = async (asked) => {
    const stream = await open(asked);
    streams.push(stream);
    return stream;
};
"""
ON = "streams.flatMap(each => each.getTracks()).filter(each => each.readyState === 'live').length"


def test_no_camera_is_left_on(browser, address):
    with phone(browser, address, wait=False) as page:
        page.add_init_script(STREAMS)
        page.reload()
        ready(page)
        page.evaluate("() => { for (let i = 0; i < 2; i++) document.getElementById('begin').click(); }")
        state(page, "live")
        until(page, "streams.length === 2")
        assert page.evaluate(ON) == 1
        page.set_input_files("#file", as_file(photograph()))
        finished(page)
        assert page.evaluate(ON) == 0
        until(page, "document.activeElement.id === 'save'")


def test_a_camera_that_goes_away_is_told_of_and_the_clip_is_kept(page):
    page.tap("#begin")
    state(page, "live")
    until(page, "document.getElementById('picture').width > 100")
    page.tap("#record")
    assert page.is_disabled("#shutter")
    page.wait_for_timeout(1500)
    page.evaluate("document.getElementById('camera').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    state(page, "clip")
    until(page, "document.getElementById('clip').videoWidth > 100")
    until(page, "document.getElementById('note').textContent.includes('camera has gone')")
    page.tap("#back")
    state(page, "start")
    assert page.evaluate("document.activeElement.id") == "begin"


def test_a_camera_that_is_denied_is_explained(chromium, address):
    with chromium(args=["--no-sandbox", *NO_CAMERA]) as browser, phone(browser, address) as page:
        page.tap("#begin")
        until(page, "document.getElementById('note').textContent.includes('camera is not allowed')")
        assert page.evaluate("document.documentElement.dataset.state") == "start"
        page.set_input_files("#file", as_file(photograph()))  # and pictures are painted all the same
        finished(page)


def test_it_works_without_shared_memory(app, browser):
    with served(app, Plain) as (address, _), phone(browser, address, service_workers="block") as page:
        assert page.evaluate("[typeof SharedArrayBuffer, document.documentElement.dataset.threads]") == ["undefined", "1"]
        page.set_input_files("#file", as_file(photograph()))
        finished(page)
        assert pixels(page).std() > 0.05


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no use for threads")
def test_the_service_worker_brings_threads_to_a_static_host(app, browser):
    with served(app, Plain) as (address, _), phone(browser, address) as page:
        until(page, "crossOriginIsolated && Number(document.documentElement.dataset.threads) > 1")


@pytest.mark.parametrize("screen", SCREENS)
def test_every_control_can_be_touched(page, screen):
    for name in ("start", "live", "still"):
        if name == "live":
            page.tap("#begin")
        if name == "still":
            page.tap("#shutter")
        state(page, name)
        page.set_viewport_size(SCREENS[screen])
        size = page.viewport_size
        boxes = page.evaluate("""() => [...document.querySelectorAll("button, input[type=range], label.filter")]
            .filter(each => each.checkVisibility())
            .map(each => [each.id || each.textContent, each.getBoundingClientRect().toJSON(), each.matches("label")])""")
        assert len(boxes) >= 5
        for label, place, scrolls in boxes:
            assert min(place["width"], place["height"]) >= 44, (name, label, place)
            assert scrolls or (place["left"] >= 0 and place["right"] <= size["width"]), (name, label, place)
            assert scrolls or (place["top"] >= 0 and place["bottom"] <= size["height"]), (name, label, place)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        picture, controls = box(page, ".welcome" if name == "start" else "#picture"), box(page, ".panel")
        assert min(picture["width"], picture["height"]) > 80
        assert picture["bottom"] <= controls["top"] + 1 or picture["right"] <= controls["left"] + 1  # nothing lies over it


def test_it_can_be_used_by_keyboard_and_heard(page):
    assert (
        page.evaluate("""[...document.querySelectorAll("button")]
        .filter(each => !(each.textContent.trim() || each.getAttribute("aria-label"))).map(each => each.id)""")
        == []
    )
    page.focus("#filter-starry-night")
    page.keyboard.press("ArrowRight")
    until(page, "localStorage.getItem('filter') === 'great-wave'")
    page.focus("#begin")
    page.keyboard.press("Enter")
    state(page, "live")
    page.focus("#strength")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#strength") == "99"
    tree = page.locator("body").aria_snapshot()
    for heard in (
        'group "Filter"',
        'radio "Under the Wave',
        'slider "Strength"',
        'button "Take the picture"',
        'img "The painted',
    ):
        assert heard in tree


def test_it_can_be_installed(page):
    kept(page)
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"].endswith("manifest.webmanifest")
    wrong = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in wrong if each["errorId"] != "in-incognito"] == []


PAINT = """async ([runtime, filter, numbers, width, height, strength]) => {
    const { Painter } = await import("./painter.js");
    const painter = new Painter();
    const ready = await painter.start({ runtime });
    const painted = await painter.paintNumbers(filter, Float32Array.from(numbers), width, height, strength);
    painter.stop();
    return [ready.runtime, [...painted]];
}"""


def painted(page, runtime, name, picture, share):
    """A picture, 3 x height x width, painted in the browser."""
    _, height, width = picture.shape
    asked = [runtime, f"filters/{name}.onnx", picture.ravel().tolist(), width, height, share]
    used, numbers = page.evaluate(PAINT, asked)
    assert used == runtime
    return np.array(numbers, np.float32).reshape(picture.shape)


@pytest.mark.parametrize("name", FILTERS)
def test_the_picture_is_pythons(page, name):
    picture = photograph(128, 96).transpose(2, 0, 1)
    for share in (1.0, 0.4):
        expected = impasto.stylizer(name)(torch.from_numpy(picture)[None], strength=share)[0].numpy()
        assert np.abs(painted(page, "wasm", name, picture, share) - expected).max() < HALF_A_LEVEL


def test_the_picture_is_the_same_on_a_graphics_processor(chromium, address):
    with chromium(args=["--no-sandbox", *GPU]) as browser, phone(browser, address) as page:
        if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
            pytest.skip("this Chromium has no WebGPU, not even an emulated one")
        assert page.evaluate("document.documentElement.dataset.runtime") == "wasm"  # an emulated one is never chosen by itself
        picture = photograph(64, 48).transpose(2, 0, 1)
        expected = impasto.stylizer("starry-night")(torch.from_numpy(picture)[None])[0].numpy()
        assert np.abs(painted(page, "webgpu", "starry-night", picture, 1.0) - expected).max() < HALF_A_LEVEL


def test_the_pace_holds_the_frame_rate(page):
    """Devices that need so long a pixel: as large as 24 frames a second allow, and no swinging to and fro."""
    settle = """async (us) => {
        const { Pace, SIZES } = await import("./pace.js");
        const pace = new Pace(24, 256);
        const seen = [];
        for (let i = 0; i < 400; i++) {
            pace.took((us * pace.size ** 2) / 1000);
            seen.push(pace.size);
        }
        return [seen.slice(-100), SIZES];
    }"""
    for microseconds in (20.0, 0.9, 0.4, 0.02):
        seen, sizes = page.evaluate(settle, microseconds)
        assert len(set(seen)) == 1
        rates = {size: 1e6 / (microseconds * size**2) for size in sizes}
        assert rates[seen[0]] > 20 or seen[0] == sizes[0]
        assert all(rates[size] < 30 for size in sizes if size > seen[0])


def test_the_device_measures_itself(page, address):
    page.goto(f"{address}benchmark.html")
    rows = page.evaluate(
        "async () => (await import('./benchmark.js')).measureAll("
        "{ live: 'filters/starry-night.onnx', sizes: [[64, 64]], seconds: 0.3, chosen: [['wasm', 1]] })"
    )
    assert [(row["runtime"], row["threads"], row["size"]) for row in rows] == [("wasm", 1, [64, 64])]
    assert 0 < rows[0]["fps"] < 2000

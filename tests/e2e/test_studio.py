"""The studio as people and programs meet it: the page in headless Chromium, its endpoints with gradio_client, and many at once.

Skipped where the extra `studio`, Playwright or Chromium is not installed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

pytest.importorskip("gradio_client", reason="the extra studio is not installed")

import gradio_client
import httpx

import impasto
from impasto.pixels import io, recipe

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EXAMPLES = Path(__file__).parents[2] / "examples"
ANSWERS, FIRST = 12, 5
"""Seconds until the page answers, and from then to the first picture at 512 px."""
STYLE = "mosaic"
KEPT = 100e6
"""Bytes that the allocators of forty threads may keep for later."""


def free_port():
    with closing(socket.socket()) as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Server:
    """`impasto studio` as a process, with a temporary folder of its own."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), folder
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.path.dirname(os.path.dirname(impasto.__file__))}
        # a proxy that does not answer: nobody may be asked but the server itself
        environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
        line = [sys.executable, "-m", "impasto", "studio", "--port", str(self.port)]
        begun = time.monotonic()
        self.process = subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                httpx.get(self.url, trust_env=False)
                break
            except httpx.TransportError:
                assert self.process.poll() is None, "the studio did not start"
                assert time.monotonic() - begun < 120
                time.sleep(0.05)
        self.seconds = time.monotonic() - begun

    def get(self, path, **more):
        return httpx.get(self.url + path, trust_env=False, **more)

    def memory(self):
        """Bytes in use."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(text.split("VmRSS:")[1].split()[0])

    def close(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture(scope="module", autouse=True)
def no_proxy():
    """The clients of these tests ask the server and nobody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("studio"))
    yield found
    if found.process.poll() is None:
        found.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photograph and a painting, small, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("cat.jpg", "swirls.jpg"):
        with PILImage.open(EXAMPLES / name) as image:
            image.thumbnail((320, 320))
            image.save(folder / name, quality=95)
    (folder / "words.jpg").write_text("these are words")
    return folder


def client(server):
    return gradio_client.Client(server.url, verbose=False, download_files=str(server.folder / "downloads"))


def asked(files, **changed):
    photo = changed.pop("photo") if "photo" in changed else gradio_client.handle_file(files / "cat.jpg")
    values = {"photo": photo, "named": [STYLE], "paintings": [], "shares": ""}
    values |= {"strength": 1, "size": 128, "quality": "draft", "style_scale": 1, "preserve_color": "off", "time": 0, "seed": 0}
    return {**values, **changed, "api_name": "/photo"}


def test_the_page_answers_and_the_first_picture_comes_in_time(server):
    begun = time.monotonic()
    photo = gradio_client.handle_file(EXAMPLES / "coffee.jpg")
    _, file = client(server).predict(**asked(EXAMPLES, photo=photo, size=512))
    seconds = time.monotonic() - begun
    with PILImage.open(file) as image:
        assert max(image.size) == 512
    assert server.seconds < ANSWERS
    assert seconds < FIRST


# --- programs -------------------------------------------------------------------------------------------------------------


def test_endpoints_have_names(server):
    found = client(server).view_api(return_format="dict")
    assert found["named_endpoints"].keys() == {"/photo", "/texture", "/doodle", "/video", "/model", "/learn", "/export"}
    assert not found["unnamed_endpoints"]


def test_an_endpoint_gives_what_the_command_gives(server, files, tmp_path):
    _, file = client(server).predict(**asked(files))
    line = ["image", files / "cat.jpg", "--style", STYLE, "--size", "128", "--quality", "draft", "-o", tmp_path / "out.png"]
    subprocess.run([sys.executable, "-m", "impasto", *map(str, line)], check=True, capture_output=True)
    ours, theirs = (np.asarray(PILImage.open(path)).astype(int) for path in (file, tmp_path / "out.png"))
    assert np.abs(ours - theirs).max() <= 1
    told = recipe.read(file)
    assert (told["verb"], told["content"]["source"], told["styles"][0]["source"]) == ("image", "cat.jpg", STYLE)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"photo": None}, "There is no photograph yet"),
        ({"named": []}, "There is no style yet"),
        ({"named": ["mosiac"]}, "did you mean mosaic"),
        ({"shares": "1, 2"}, "2 shares for 1 styles"),
        ({"size": 9999}, "9999"),
    ],
)
def test_wrong_requests_are_answered_in_a_sentence(server, files, changed, message):
    with pytest.raises(gradio_client.exceptions.AppError, match=message):
        client(server).predict(**asked(files, **changed))


def test_a_file_that_is_no_picture(server, files):
    with pytest.raises(gradio_client.exceptions.AppError, match=r"words\.jpg is damaged or not a picture"):
        client(server).predict(**asked(files, photo=gradio_client.handle_file(files / "words.jpg")))


def test_textures_and_doodles(server, files):
    handle, ask = gradio_client.handle_file, client(server).predict
    news, file = ask(handle(files / "swirls.jpg"), 64, "xy", "draft", 1, 0, api_name="/texture")
    assert news["text"].startswith("Done")
    assert recipe.read(file)["tile"] == "xy"
    maps = [handle(EXAMPLES / name) for name in ("doodle.png", "swirls.jpg", "swirls-map.png")]
    _, file = ask(*maps, 128, "draft", 0, api_name="/doodle")
    with PILImage.open(file) as image:
        assert max(image.size) == 128
    assert recipe.read(file)["verb"] == "doodle"


def test_a_clip(server, tmp_path):
    av = pytest.importorskip("av")
    pytest.importorskip("cv2")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        with PILImage.open(EXAMPLES / "cat.jpg") as image:
            whole = np.asarray(image.convert("RGB").resize((120, 64)))
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(whole[:, 2 * number : 2 * number + 96]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = {"video": gradio_client.handle_file(tmp_path / "clip.mp4"), "subtitles": None}["video"]
    news, file = client(server).predict(clip, [STYLE], [], "", 128, 1, "good", "fast", "off", api_name="/video")
    assert news["text"].startswith("Done")
    with av.open(file) as container:
        assert [frame.width for frame in container.decode(video=0)] == [128] * 5


def test_a_model(server, tmp_path):
    for package in ("av", "trimesh", "xatlas", "numba"):
        pytest.importorskip(package)
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
    (tmp_path / "corner.obj").write_text(corners + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    model = gradio_client.handle_file(tmp_path / "corner.obj")
    news, file = client(server).predict(model, [STYLE], [], "", 128, 1, "draft", "off", 10, api_name="/model")
    assert news["text"].startswith("Done")
    assert Path(file).read_bytes()[:4] == b"glTF"


def test_a_painting_becomes_a_filter_of_this_session_alone(server, files):
    handle, one = gradio_client.handle_file, client(server)
    news, file = one.predict(handle(files / "swirls.jpg"), "", 0.25, "Swirls", "", "CC0", api_name="/learn")
    assert "swirls can be chosen" in news["text"]
    from impasto.fast import style

    assert style.read(Path(file)).passport["title"] == "Swirls"
    _, painted = one.predict(**asked(files, named=["swirls"]))
    assert recipe.read(painted)["styles"][0]["source"] == "swirls"
    with pytest.raises(gradio_client.exceptions.AppError, match="no filter named 'swirls'"):
        client(server).predict(**asked(files, named=["swirls"]))


def test_a_filter_leaves_as_a_file(server):
    runtime = pytest.importorskip("onnxruntime")
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    news, file = client(server).predict([STYLE], ".onnx", "fp16", 128, api_name="/export")
    assert "largest difference" in news["text"]
    session = runtime.InferenceSession(Path(file).read_bytes(), providers=["CPUExecutionProvider"])
    content = np.random.default_rng(0).random((1, 3, 40, 56), dtype=np.float32)
    (painted,) = session.run(None, {"content": content, "strength": np.array(1, np.float32)})
    assert painted.shape == content.shape
    with pytest.raises(gradio_client.exceptions.AppError, match="holds one filter, and 2 are chosen"):
        client(server).predict([STYLE, "scream"], ".onnx", "fp16", 128, api_name="/export")


def test_cancel_stops_the_work_within_a_step(server, files):
    job = client(server).submit(**asked(files, size=1024, quality="best"))
    while not any("Step" in str(each) for each in job.outputs()):
        assert not job.done()
        time.sleep(0.1)
    job.cancel()
    begun = time.monotonic()
    client(server).predict(**asked(files))  # its turn comes when the other is gone
    assert time.monotonic() - begun < 20


def test_closing_the_client_stops_its_work(server, files):
    one = client(server)
    job = one.submit(**asked(files, size=1024, quality="best"))
    while not any("Step" in str(each) for each in job.outputs()):
        time.sleep(0.1)
    one.close()
    begun = time.monotonic()
    client(server).predict(**asked(files))
    assert time.monotonic() - begun < 40


# --- what must not be possible --------------------------------------------------------------------------------------------


def call(server, photo):
    """A request for a painting, as raw as a stranger would write it: its status, or what comes of it."""
    rest = [[STYLE], [], "", 1, 128, "draft", 1, "off", 0, 0]
    answer = httpx.post(f"{server.url}/gradio_api/call/photo", json={"data": [photo, *rest]}, trust_env=False)
    if answer.status_code != 200:
        return f"status {answer.status_code}"
    return server.get(f"/gradio_api/call/photo/{answer.json()['event_id']}", timeout=30).text


@pytest.mark.parametrize("path", ["/etc/passwd", str(EXAMPLES / "cat.jpg"), "../../../../etc/passwd"])
def test_a_file_of_this_machine_cannot_be_named(server, path):
    meta = {"_type": "gradio.FileData"}
    text = call(server, {"path": path, "meta": meta})
    assert "event: error" in text
    assert "event: complete" not in text


def test_a_link_is_not_followed(server):
    with closing(socket.socket()) as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(1)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/cat.jpg"
        assert call(server, {"path": url, "url": url, "meta": {"_type": "gradio.FileData"}}) == "status 403"
        assert server.get(f"/gradio_api/file={url}").status_code == 403
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.parametrize("path", ["/etc/passwd", str(EXAMPLES / "cat.jpg"), os.path.abspath(__file__)])
def test_a_file_of_this_machine_is_not_served(server, path):
    assert server.get(f"/gradio_api/file={path}").status_code in (403, 404)
    assert server.get(f"/file={path}").status_code in (403, 404)


def test_the_queue_cannot_be_passed_by(server):
    rest = [[STYLE], [], "", 1, 128, "draft", 1, "off", 0, 0]
    answer = httpx.post(f"{server.url}/gradio_api/run/photo", json={"data": [None, *rest]}, trust_env=False)
    assert answer.status_code == 404


def test_other_names_and_machines_are_refused(server):
    assert server.get("/", headers={"host": "evil.example"}).status_code == 403
    assert server.get("/", headers={"origin": "http://evil.example"}).status_code == 403
    with closing(socket.socket()) as outside:
        outside.settimeout(1)
        mine = next((each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)), "127.0.0.1")
        if mine.startswith("127."):
            pytest.skip("this machine has no other address")
        assert outside.connect_ex((mine, server.port)) != 0


def test_a_port_that_is_taken_is_said(server):
    line = [sys.executable, "-m", "impasto", "studio", "--port", str(server.port)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"--port {server.port} cannot be used" in done.stderr


# --- many at once ---------------------------------------------------------------------------------------------------------


def answer(job):
    """The file that a job made; None where it was told that the studio is busy."""
    error = job.exception(timeout=60)
    if error is None:
        return job.result()[1]
    assert "busy" in str(error)
    return None


def twenty_at_once(server, folder, photos):
    """Twenty clients ask while one long job is at work: eight find no place, the others get their own picture back."""
    clients = [client(server) for _ in photos]
    holding = client(server)
    long = holding.submit(**asked(folder, photo=gradio_client.handle_file(photos[0]), size=1024, quality="best"))
    while not any("Step" in str(each) for each in long.outputs()):
        time.sleep(0.1)
    begun = time.monotonic()
    # at strength 0 the picture that comes back is the one that was sent
    jobs = [
        each.submit(**asked(folder, photo=gradio_client.handle_file(photo), strength=0))
        for each, photo in zip(clients, photos, strict=True)
    ]
    while sum("Waiting" in str(job.outputs()) or job.done() for job in jobs) < 20:
        assert time.monotonic() - begun < 60
        time.sleep(0.1)
    long.cancel()
    answers = [answer(job) for job in jobs]
    assert sum(each is None for each in answers) == 8
    for file, photo in zip(answers, photos, strict=True):
        if file is not None:
            assert np.array_equal(np.asarray(PILImage.open(file).convert("RGB")), np.asarray(PILImage.open(photo)))
    for each in [*clients, holding]:
        each.close()


def test_twenty_at_once_are_answered_right_or_told_that_it_is_busy_and_leave_no_memory(server, tmp_path):
    random = np.random.default_rng(1)
    photos = [tmp_path / f"{number}.png" for number in range(20)]
    for photo in photos:
        pixels = np.kron(random.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        PILImage.fromarray(pixels).save(photo)
    twenty_at_once(server, tmp_path, photos)  # threads get memory of their own, which stays theirs
    before = server.memory()
    twenty_at_once(server, tmp_path, photos)
    deadline = time.monotonic() + 30
    while server.memory() > before + KEPT and time.monotonic() < deadline:
        time.sleep(0.5)
    assert server.memory() < before + KEPT


# --- people ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield found
        found.close()


class Visit:
    """A tab of the browser with the studio in it; notes whom it asked, and what went wrong in it."""

    def __init__(self, browser, server, **options):
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.errors, self.hosts = [], set()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
        self.page.goto(server.url)
        self.page.wait_for_selector("#filters img", timeout=60_000)

    def drop(self, field, *paths):
        self.page.locator(f"#{field} input[type=file]").first.set_input_files([str(path) for path in paths])

    def choose(self, name=STYLE):
        self.page.locator("#filters").get_by_text(name, exact=True).click()

    def after(self, wanted=lambda src: src, timeout=40):
        """Address of the picture behind the slider, when it is as wanted."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.page.locator("#photo-slider img").evaluate_all("all => all.map(each => each.src)")
            if len(found) == 2 and wanted(found[-1] if "before" in found[0] else found[0]):
                return found[-1] if "before" in found[0] else found[0]
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{found} in the slider, {self.status()!r}")

    def status(self):
        return self.page.locator(".status").first.inner_text()

    def wait(self, text, timeout=60):
        self.page.locator(".status, .wrong").get_by_text(text).first.wait_for(timeout=1000 * timeout)

    def radio(self, field, name):
        self.page.locator(f"#{field}").get_by_text(name).first.click()

    def slider(self, label, value):
        number = self.page.get_by_label(f"number input for {label}").first
        number.fill(str(value))
        number.press("Tab")


@pytest.fixture
def visit(browser, server):
    visits = []

    def come(**options):
        visits.append(Visit(browser, server, **options))
        return visits[-1]

    yield come
    for each in visits:
        each.context.close()
        assert each.errors == []
        assert each.hosts <= {f"127.0.0.1:{server.port}", ""}


def test_the_whole_flow_of_a_photograph(visit, files, tmp_path):
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.choose()
    filtered = tab.after()
    tab.wait("This is the filter's. Paint refines it.")
    tab.slider("Strength", 0.8)
    filtered = tab.after(lambda src: src != filtered)
    tab.slider("Size", 256)
    tab.page.locator("#photo-start").click()
    first = tab.after(lambda src: "preview" in src)
    second = tab.after(lambda src: "preview" in src and src != first)
    assert second != first
    tab.page.locator("#photo-stop").click()
    tab.wait("Stopped after")
    tab.after(lambda src: src.endswith("cat-painted.png") and src != filtered)
    with tab.page.expect_download() as download:
        tab.page.locator("#photo-file").click()
    download.value.save_as(tmp_path / "mine.png")
    told = recipe.read(tmp_path / "mine.png")
    assert told["settings"]["strength"] == 0.8
    assert max(io.load(tmp_path / "mine.png").size) == 256
    tab.page.screenshot(path=tmp_path / "photo.png")

    # dropped into another tab, it brings the settings back; the photograph is not at hand there
    other = visit()
    other.drop("photo-photo", tmp_path / "mine.png")
    other.wait("The settings of this picture are back.")
    assert other.page.get_by_label("number input for Strength").first.input_value() == "0.8"
    assert other.page.get_by_label("number input for Size").first.input_value() == "256"
    assert other.page.get_by_text(STYLE, exact=True).count() == 2  # in the gallery, and chosen


def test_what_is_wrong_stands_beside_its_field(visit, files):
    tab = visit()
    tab.page.locator("#photo-start").click()
    tab.wait("There is no photograph yet: drop one here.")
    tab.drop("photo-photo", files / "words.jpg")
    alert = tab.page.get_by_role("alert").filter(has_text="words.jpg is damaged or not a picture")
    alert.wait_for(timeout=20_000)
    photo = tab.page.locator("#photo-photo").bounding_box()
    below = alert.bounding_box()["y"] - (photo["y"] + photo["height"])
    assert 0 <= below < 60
    tab.page.locator("#photo-photo").get_by_label("Remove").first.click()
    tab.drop("photo-photo", files / "cat.jpg")
    alert.wait_for(state="hidden", timeout=20_000)
    tab.page.locator("#photo-start").click()
    tab.wait("There is no style yet: choose a filter, or drop a painting.")


def test_two_tabs_wait_for_each_other_and_see_nothing_of_each_other(visit, files):
    one, other = visit(), visit()
    for tab, size in ((one, 1024), (other, 128)):
        tab.drop("photo-photo", files / "cat.jpg")
        tab.choose()
        tab.after()
        tab.slider("Size", size)
    one.page.locator("#photo-start").click()
    one.wait("Step")
    other.page.locator("#photo-start").click()
    other.wait("Waiting: 1 job before yours.")
    one.page.locator("#photo-stop").click()
    one.wait("Stopped after")
    other.wait("Done after")
    one.page.reload()
    other.page.get_by_role("tab", name="History").click()
    other.page.locator("#results img").first.wait_for(timeout=20_000)
    assert other.page.locator("#results img").count() == 1
    one.page.get_by_role("tab", name="History").click()
    one.page.wait_for_timeout(1500)
    assert one.page.locator("#results img").count() == 0


def desks(server):
    """The folders of all tabs and clients."""
    return set(server.folder.glob("impasto-studio-*/desks/*"))


def test_closing_the_tab_stops_its_work_and_clears_its_folder(visit, server, files):
    before = desks(server)
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.choose()
    tab.after()
    tab.slider("Size", 1024)
    tab.page.locator("#photo-start").click()
    tab.wait("Step")
    mine = desks(server) - before
    assert mine
    tab.page.close()
    begun = time.monotonic()
    client(server).predict(**asked(files))
    assert time.monotonic() - begun < 40
    while mine & desks(server):
        assert time.monotonic() - begun < 60
        time.sleep(0.2)


def test_a_region_is_painted_with_the_brush(visit, files):
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.choose()
    before = tab.after()
    tab.page.get_by_text("Regions: another style").click()
    canvas = tab.page.locator("#photo-regions canvas").first
    canvas.wait_for(timeout=20_000)
    tab.page.wait_for_timeout(1500)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(*middle)
    tab.page.mouse.down()
    for step in range(1, 8):
        tab.page.mouse.move(middle[0] + 8 * step, middle[1] + 4 * step)
    tab.page.mouse.up()
    tab.page.wait_for_timeout(1000)
    tab.radio("photo-quality", "draft")
    tab.page.locator("#photo-start").click()
    tab.wait("there is red in the regions: choose below what red stands for")
    field = tab.page.get_by_label("Where it is red")
    field.click()
    tab.page.get_by_role("option", name="leave the photograph as it is").click()
    tab.page.locator("#photo-start").click()
    tab.wait("Done after")
    assert tab.after(lambda src: src != before)


def test_several_paintings_of_one_name_in_the_page(visit, files, tmp_path):
    twins = [tmp_path / name / "style.jpg" for name in ("one", "other")]
    for path, source in zip(twins, ("swirls.jpg", "cat.jpg"), strict=True):
        path.parent.mkdir()
        shutil.copy(files / source, path)
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.drop("photo-paintings", *twins)
    tab.after()
    tab.page.get_by_text("Regions: another style").click()
    tab.page.wait_for_timeout(1000)
    tab.page.get_by_label("Where it is red").click()
    tab.page.get_by_role("option", name="style.jpg (2)").wait_for()
    tab.page.keyboard.press("Escape")
    tab.radio("photo-quality", "draft")
    tab.page.locator("#photo-start").click()
    tab.wait("Done after")
    tab.page.get_by_role("tab", name="History").click()
    tab.page.get_by_text("cat in the style of style, style (2)").first.wait_for(timeout=20_000)


def test_a_map_is_dropped_and_painted_in(visit, files, tmp_path):
    with PILImage.open(files / "cat.jpg") as photo:
        pixels = np.full((photo.height, photo.width, 3), 255, np.uint8)
    pixels[:, : pixels.shape[1] // 2] = (20, 60, 240)
    PILImage.fromarray(pixels).save(tmp_path / "map.png")
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.choose()
    before = tab.after()
    tab.page.get_by_text("Regions: another style").click()
    tab.page.locator("#photo-regions canvas").first.wait_for(timeout=20_000)
    tab.page.wait_for_timeout(1000)
    tab.drop("photo-chart", files / "words.jpg")
    tab.wait("words.jpg is damaged or not a picture")
    tab.page.locator("#photo-chart").get_by_label("Remove").first.click()
    tab.drop("photo-chart", tmp_path / "map.png")
    tab.page.get_by_text("blue stands for #143cf0").wait_for(timeout=20_000)
    tab.page.wait_for_timeout(1500)
    tab.page.locator("#photo-regions").screenshot(path=tmp_path / "regions.png")
    tab.radio("photo-quality", "draft")
    tab.page.locator("#photo-start").click()
    tab.wait("there is blue in the regions: choose below what blue stands for")
    tab.page.screenshot(path=tmp_path / "whole.png", full_page=True)
    tab.page.get_by_label("Where it is blue").click()
    tab.page.get_by_role("option", name="leave the photograph as it is").click()
    tab.page.locator("#photo-start").click()
    tab.wait("Done after")
    after = tab.after(lambda src: src != before)
    made = PILImage.open(BytesIO(httpx.get(after, trust_env=False).content)).convert("RGB")
    with PILImage.open(files / "cat.jpg") as photo:
        difference = np.abs(np.asarray(made.resize(photo.size)).astype(int) - np.asarray(photo)).mean((0, 2))
    middle = len(difference) // 2
    assert difference[: middle - 20].mean() < 8 < difference[middle + 20 :].mean()


def test_the_camera_is_painted_and_gives_way(visit, files, tmp_path):
    tab, other = visit(), visit()
    tab.page.get_by_role("tab", name="Live").click()
    camera = tab.page.locator("#live-camera")
    camera.get_by_text("Click to Access Webcam").click()
    camera.get_by_text("Record").click(timeout=20_000)
    tab.wait("There is no style yet: choose a filter, or drop a painting.")
    tab.page.get_by_label("Chosen filters").locator("visible=true").fill(STYLE)
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Escape")
    tab.wait("frames a second")
    shown = tab.page.locator("#live-shown img")
    shown.wait_for(timeout=20_000)
    first = shown.get_attribute("src")
    assert first.startswith("data:image/jpeg")
    tab.page.wait_for_timeout(2000)
    assert shown.get_attribute("src") != first
    tab.page.screenshot(path=tmp_path / "live.png", full_page=True)
    other.drop("photo-photo", files / "cat.jpg")
    other.choose()
    other.after()
    other.slider("Size", 1024)
    other.page.locator("#photo-start").click()
    other.wait("Step")
    tab.wait("Waiting: 1 job before yours.")
    other.page.locator("#photo-stop").click()
    other.wait("Stopped after")
    tab.wait("frames a second")
    camera.get_by_text("Stop").click()
    tab.wait("The camera is off.")


def test_filters_are_exported_in_the_page(visit, tmp_path):
    pytest.importorskip("onnxruntime")
    tab = visit()
    tab.page.get_by_role("tab", name="Export").click()
    tab.page.locator("#export-start").click()
    tab.wait("There is no filter yet: choose one.")
    tab.page.get_by_label("Filters").locator("visible=true").first.fill(STYLE)
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Escape")
    tab.page.locator("#export-precision").get_by_label("int8").check()
    tab.page.locator("#export-start").click()
    tab.wait("Done after", timeout=120)
    tab.wait("kB, int8; largest difference")
    tab.page.locator("#export-check").get_by_text("PSNR").wait_for()
    with tab.page.expect_download() as download:
        tab.page.locator("#export-file").click()
    assert download.value.suggested_filename == f"{STYLE}.onnx"
    tab.page.screenshot(path=tmp_path / "export.png", full_page=True)


def test_a_doodle_is_drawn_in_the_page(visit):
    tab = visit()
    tab.page.get_by_role("tab", name="Doodle").click()
    tab.drop("doodle-painting", EXAMPLES / "swirls.jpg")
    tab.drop("doodle-chart", EXAMPLES / "swirls-map.png")
    tab.page.wait_for_timeout(3000)
    canvas = tab.page.locator("#doodle-editor canvas").first
    canvas.scroll_into_view_if_needed()
    tab.page.wait_for_timeout(500)
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(x - 100, y)
    tab.page.mouse.down()
    for step in range(12):
        tab.page.mouse.move(x - 100 + 18 * step, y + (20 if step % 2 else -20))
        tab.page.wait_for_timeout(20)
    tab.page.mouse.up()
    tab.page.wait_for_timeout(1000)
    tab.page.get_by_label("number input for Size").locator("visible=true").fill("128")
    tab.page.keyboard.press("Tab")
    tab.radio("doodle-quality", "draft")
    tab.page.locator("#doodle-start").click()
    tab.wait("Done after")
    tab.page.locator("#doodle-shown img").wait_for(timeout=10_000)


def test_it_works_by_keyboard(visit, files):
    tab = visit()
    tab.drop("photo-photo", files / "cat.jpg")
    tab.page.get_by_label("Chosen filters").first.focus()
    tab.page.keyboard.type(STYLE)
    tab.page.keyboard.press("Enter")
    tab.after()
    tab.page.keyboard.press("Escape")
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.id") == "photo-start":
            break
    assert tab.page.evaluate("document.activeElement.id") == "photo-start"
    tab.page.keyboard.press("Enter")
    tab.wait("Step")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.id") == "photo-stop"
    tab.page.keyboard.press("Enter")
    tab.wait("Stopped after")


TABS = ("Photo", "Texture", "Doodle", "Video", "Live", "Model", "Learn", "Export", "History")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_its_screen_light_and_dark(visit, tmp_path, width, scheme):
    tab = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    color = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, color.removeprefix("rgb(").rstrip(")").split(",")[:3])) > 384
    assert light == (scheme == "light")
    for name in TABS:
        shown = tab.page.get_by_role("tab", name=name)
        if not shown.count() or not shown.is_visible():
            tab.page.get_by_role("button", name="more").or_(tab.page.locator(".overflow-menu button")).first.click()
            shown = tab.page.locator(".overflow-dropdown button").get_by_text(name, exact=True)
        shown.click()
        tab.page.wait_for_timeout(400)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        tab.page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)


def test_the_end_leaves_nothing_behind(tmp_path, files):
    server = Server(tmp_path)
    client(server).predict(**asked(files))
    assert list(tmp_path.glob("impasto-studio-*"))
    assert server.close() == 130
    assert {path.name for path in tmp_path.iterdir()} <= {"downloads"}  # the client's

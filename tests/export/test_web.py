"""The browser app as a folder, and its server; what it does in a browser is in tests/e2e/test_web_app.py."""

import http.client
import json
import re
import shutil
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image as PILImage

from impasto.errors import OutputError, OutputExists, PaintingError, UsageError, WeightsError
from impasto.export import web
from impasto.fast import style as filters

RUNTIME = {
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort-wasm-simd-threaded.jspi.wasm": "a54c76f86b0f0d9572380cf1c6292a7b3903716ffcbcd6b0e5c7050bf430eb93",
}
"""SHA-256 of onnxruntime-web 1.30.0's files as npm has them."""
ELSEWHERE = re.compile(r"""(https?:)?//[a-z0-9-]+\.[a-z]""")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Networks are exported, and checked, in tests of their own."""

    def write(bound, path, precision):
        path.write_bytes(precision.encode() + bound.code.numpy().tobytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web.onnx, "write", write)
        yield


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """An app that nobody changes."""
    return web.write(tmp_path_factory.mktemp("web") / "app", ["starry-night", "great-wave"])


@pytest.fixture
def own(app, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(app, tmp_path / "own"))


@pytest.fixture
def ask(own):
    """`ask("/path")`: status, headers and body from our server of the app."""
    with web.server(own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def get(path, method="GET"):
            connection = http.client.HTTPConnection(*server.server_address, timeout=10)
            connection.request(method, path)
            answer = connection.getresponse()
            found = answer.status, answer.headers, answer.read()
            connection.close()
            return found

        get.address = server.server_address
        yield get
        server.shutdown()
        thread.join()


def test_every_file_that_is_named_is_there(app):
    about = json.loads((app / "app.json").read_text())
    assert [each["name"] for each in about["filters"]] == ["starry-night", "great-wave"]
    assert about["filters"][0]["title"] == "The Starry Night"
    assert about["filters"][0]["by"] == "Vincent van Gogh, 1889"
    named = [each[key] for each in about["filters"] for key in ("file", "live", "thumb")]
    named += [name for names in about["runtime"].values() for name in names]
    for page in ("index.html", "benchmark.html", "licences.html"):
        named += re.findall(r'(?:href|src)="([^"#]+)"', (app / page).read_text())
    for script in app.glob("*.js"):
        named += re.findall(r'(?:from |import\(|new URL\()"\.?/?([^"]+\.m?js)"', script.read_text())
    assert len(named) > 30
    assert [name for name in named if not (app / name).is_file()] == []


def test_nothing_comes_from_elsewhere(app):
    own = [path for path in app.iterdir() if path.suffix in {".html", ".css", ".js", ".json", ".webmanifest"}]
    assert len(own) > 10
    assert [path.name for path in own if ELSEWHERE.search(path.read_text())] == []


def test_the_runtime_is_npms(app):
    assert {name: sha256((app / "runtime" / name).read_bytes()).hexdigest() for name in RUNTIME} == RUNTIME
    assert "MIT License" in (app / "runtime" / "LICENSE").read_text()


def test_the_manifest_makes_it_installable(app):
    manifest = json.loads((app / "manifest.webmanifest").read_text())
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        with PILImage.open(app / icon["src"]) as image:
            assert icon["sizes"] == f"{image.width}x{image.height}"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    assert {icon["sizes"] for icon in manifest["icons"]} == {"192x192", "512x512"}


def test_the_service_worker_knows_every_file_once(app):
    text = (app / "sw.js").read_text()
    shell, later = (json.loads(re.search(rf"const {name} = (\[.*\]);", text)[1]) for name in ("SHELL", "LATER"))
    there = [path.relative_to(app).as_posix() for path in app.rglob("*") if path.is_file()]
    assert sorted([*shell, *later]) == sorted(["./", *(name for name in there if name != "sw.js")])
    assert {"./", "index.html", "app.js", "app.json", "filters/great-wave.jpg"} <= set(shell)
    assert {"filters/great-wave.onnx", "runtime/ort-wasm-simd-threaded.wasm"} <= set(later)


def version(app):
    (worker,), (page,) = (re.findall(r'"([0-9a-f]{12})"', (app / name).read_text()) for name in ("sw.js", "keep.js"))
    assert worker == page
    return worker


def test_the_version_follows_the_contents(app, tmp_path):
    again = web.write(tmp_path / "again", ["starry-night", "great-wave"])
    fewer = web.write(tmp_path / "fewer", ["starry-night"])
    assert version(app) == version(again) != version(fewer)


def test_thumbnails_are_of_their_filters(app):
    small = [PILImage.open(app / "filters" / f"{name}.jpg").convert("RGB") for name in ("starry-night", "great-wave")]
    assert {image.size for image in small} == {(web.THUMBNAIL, web.THUMBNAIL)}
    blue = [sum(image.resize((1, 1)).getpixel((0, 0))) for image in small]
    assert abs(blue[0] - blue[1]) > 20  # a night is darker than paper


def test_an_app_is_replaced_only_by_force(own):
    (own / "old").touch()
    with pytest.raises(OutputExists, match="--force"):
        web.write(own, ["scream"])
    assert (own / "old").exists()
    web.write(own, ["scream"], force=True)
    assert not (own / "old").exists()
    assert (own / "filters" / "scream.onnx").exists()
    assert not (own / "filters" / "starry-night.onnx").exists()


def test_what_is_no_app_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").touch()
    (tmp_path / "file").touch()
    for name in ("photos", "file"):
        with pytest.raises(OutputExists, match="another folder"):
            web.write(tmp_path / name, ["scream"], force=True)
    assert (tmp_path / "photos" / "mine.jpg").exists()
    with pytest.raises(OutputError, match="make it first"):
        web.write(tmp_path / "none" / "app", ["scream"])


def test_a_filter_that_loses_too_much_in_8_bits_stays_in_float(tmp_path, monkeypatch):
    def write(bound, path, precision):
        if precision == "int8":
            raise PaintingError("31 dB")
        path.touch()

    monkeypatch.setattr(web.onnx, "write", write)
    app = web.write(tmp_path / "app", ["scream"])
    (entry,) = json.loads((app / "app.json").read_text())["filters"]
    assert entry["live"] == entry["file"] == "filters/scream.onnx"


@pytest.mark.parametrize("name", [".", "../here"])
def test_the_folder_that_we_are_in_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="give another folder"):
        web.write(name, ["scream"])


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "app").mkdir()
    assert (web.write(tmp_path / "app", ["scream"]) / "index.html").is_file()


def test_what_fails_leaves_nothing(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError):
        web.write(tmp_path / "app", ["scream", str(tmp_path / "broken.safetensors")])
    assert [path.name for path in tmp_path.iterdir()] == ["broken.safetensors"]


def test_styles_must_be_some_and_differ(tmp_path):
    with pytest.raises(UsageError, match="one at least"):
        web.write(tmp_path / "app", [])
    with pytest.raises(UsageError, match="two filters are named 'scream'"):
        web.write(tmp_path / "app", ["scream", "scream"])


def test_titles_cannot_bring_code(tmp_path):
    known = filters.named("scream")
    evil = filters.Style("../a B<script>.jpg", known.code, {}, known.net, {}, {"title": "<script>alert(1)</script>"})
    app = web.write(tmp_path / "app", [evil])
    assert (app / "filters" / "a-b-script.onnx").is_file()
    assert "<script>" not in (app / "licences.html").read_text()


def test_the_server_sends_what_threads_need(ask):
    kinds = {
        "/": "text/html",
        "/app.js": "text/javascript",
        "/runtime/ort.wasm.min.mjs": "text/javascript",
        "/runtime/ort-wasm-simd-threaded.wasm": "application/wasm",
        "/manifest.webmanifest": "application/manifest+json",
    }
    for path, kind in kinds.items():
        status, headers, body = ask(path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert body
    assert ask("/app.js?x=/")[::2] == ask("/app.js")[::2]


def test_the_server_stays_in_its_folder(own, ask):
    secret = own.parent / "secret.txt"
    secret.write_text("secret")
    (own / "link.txt").symlink_to(secret)
    (own / "up").symlink_to(own.parent)
    (own / "sub").mkdir()
    (own / "sub" / "index.html").symlink_to(secret)
    ways = ("/../", "//", "/%2e%2e/", "/filters/..%2f..%2f", "/up/", "/%00")
    for path in (*(f"{way}secret.txt" for way in ways), "/link.txt", "/sub/"):
        status, _, body = ask(path)
        assert (status, b"secret" in body) == (404, False), path
    assert ask("/filters/")[0] == 404
    assert ask("/", "POST")[0] == 501


def test_the_server_is_of_this_machine_only(ask):
    assert ask.address[0] == "127.0.0.1"
    with pytest.raises(UsageError, match=f"port {ask.address[1]} .* give another"):
        web.server(".", ask.address[1])
    with pytest.raises(UsageError, match="port 70000"):
        web.server(".", 70000)

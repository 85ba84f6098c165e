"""The browser app: frames a second in headless Chromium, and what the first visit loads.

    python benchmarks/web.py [--filters starry-night,great-wave] [--threads 2] [--seconds 4] [--chromium /usr/bin/chromium]

  load   bytes, gzip -9, of every file asked for at a first visit until the app can paint (`first`), and until it can do
         without a network (`offline`: all its filters, and nothing of the runtime that this browser does not use)
  paint  frames a second of the app's own benchmark page, WebAssembly on so many threads and on one: from pixels on a canvas
         to painted pixels on a canvas, two frames on their way at once as in the live app; sizes as width x height
  live   frames a second that the app shows, with a camera of 640 x 480 px at 60 frames a second that Chromium draws itself, at a
         long edge of 256 and 384 px: browser, camera and network share the machine's cores

Needs playwright (pip install playwright; no browser is downloaded) and the extra onnx. Figures go to --results.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZES = [[256, 192], [256, 256], [384, 288], [384, 384]]
LIVE = (256, 384)
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream=fps=60", "--use-fake-ui-for-media-stream"]


def main() -> None:
    options = parse()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    sys.path.insert(0, str(HERE.parent))
    from playwright.sync_api import sync_playwright

    from impasto.export import web

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = options.app or web.write(Path(folder) / "app", options.filters.split(","))
        asked: list[str] = []
        with playwright.chromium.launch(executable_path=options.chromium, args=FLAGS) as browser, listening(app, asked) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/"
            found = {"machine": machine(browser), "load": load(browser, address, app, asked)}
            found["paint"] = paint(browser, address, options)
            found["live"] = [live(browser, address, size, options.seconds) for size in LIVE]
            server.shutdown()
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "web.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, help="an app that was written already")
    parser.add_argument("--filters", default="starry-night,great-wave")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "web")
    return parser.parse_args()


def listening(app: Path, asked: list[str]) -> ThreadingHTTPServer:
    """Our server, which keeps what it was asked for."""
    from functools import partial

    from impasto.export import web

    class Listening(web.Handler):
        def send_head(self) -> Any:
            asked.append(self.path.partition("?")[0].lstrip("/") or "index.html")
            return super().send_head()

    return ThreadingHTTPServer(("127.0.0.1", 0), partial(Listening, directory=str(app)))


def machine(browser: Any) -> dict:
    return {"browser": browser.version, "cores": os.cpu_count()}


def load(browser: Any, address: str, app: Path, asked: list[str]) -> dict:
    def weighed() -> dict:
        files = {name: len(gzip.compress((app / name).read_bytes(), 9)) for name in sorted(set(asked)) if (app / name).is_file()}
        return {"bytes": sum(files.values()), "files": files}

    def visited(waits: str, script: str) -> dict:
        asked.clear()
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(script)
        page.goto(address)
        page.wait_for_selector(waits, timeout=60_000)
        context.close()
        return weighed()

    # one who asked to save data gets what painting needs and no more: from others the rest is fetched right after it
    first = visited("#begin:enabled", "Object.defineProperty(navigator, 'connection', {value: {saveData: true}})")
    return {"first": first, "offline": visited("[data-offline=ready]", "")["bytes"]}


def paint(browser: Any, address: str, options: argparse.Namespace) -> list:
    page = browser.new_page()
    page.goto(f"{address}benchmark.html")
    asked = {"sizes": SIZES, "seconds": options.seconds, "chosen": [["wasm", options.threads], ["wasm", 1]]}
    rows: list = page.evaluate(
        """async (asked) => {
            const { measureAll } = await import("./benchmark.js");
            const [{ file, live }] = (await (await fetch("app.json")).json()).filters;
            return measureAll({ ...asked, file, live });
        }""",
        asked,
    )
    page.close()
    return rows


def live(browser: Any, address: str, size: int, seconds: float) -> dict:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}?size={size}")
    page.wait_for_selector("#begin:enabled", timeout=60_000)
    page.click("#begin")
    page.wait_for_selector("#rate:not(:empty)", timeout=30_000)
    shown = []
    for _ in range(max(1, round(seconds))):
        page.wait_for_timeout(1100)
        shown.append(int(page.text_content("#rate").split()[0]))
    context.close()
    return {"size": size, "fps": sorted(shown)[len(shown) // 2]}


if __name__ == "__main__":
    main()

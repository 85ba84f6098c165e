"""The page, put together, and the server that shows it to this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from impasto.studio import doodle, export, history, learn, live, model, photo, texture, video
from impasto.studio.desk import Desks
from impasto.studio.fields import RUNS, Changes, Studio, installed
from impasto.studio.gate import Gate
from impasto.studio.queue import Queue
from impasto.studio.samples import Samples

ADDRESS = "127.0.0.1"
FILE_SIZE = "200mb"
"""Bytes of the largest file that is taken."""
DAY = 24 * 3600
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
CSS = Path(__file__).with_name("page.css")


def page(studio: Studio, samples: Samples) -> gr.Blocks:
    """All tabs."""
    found = gr.Blocks(title="impasto studio", analytics_enabled=False, delete_cache=(3600, DAY), fill_width=True)
    with found:
        gr.HTML("<h1>impasto studio</h1>", padding=False)
        with gr.Tabs():
            with gr.Tab("Photo", id="photo"):
                form = photo.build(studio)
            with gr.Tab("Texture", id="texture"):
                texture.build(studio)
            with gr.Tab("Doodle", id="doodle"):
                doodle.build(studio)
            choosers = [form.chooser]
            if installed("av", "cv2"):
                with gr.Tab("Video", id="video"):
                    choosers.append(video.build(studio))
                with gr.Tab("Live", id="live"):
                    choosers.append(live.build(studio))
            if installed("av", "trimesh", "xatlas", "numba"):
                with gr.Tab("Model", id="model"):
                    choosers.append(model.build(studio))
            exported = [export.names_field(render=False)] if installed(*export.ONNX) else []
            named = [*(each.named for each in choosers), *exported]
            with gr.Tab("Learn", id="learn"):
                learn.build(studio, named, photo.names_of)
            for each in exported:
                with gr.Tab("Export", id="export"):
                    export.build(studio, each)
            with gr.Tab("History", id="history") as tab:
                history.build(studio, tab)

        def load() -> Iterator[Changes]:
            for shown in samples.follow():
                names = sorted(shown)
                offered = {each: gr.update(choices=names) for each in named}
                yield {form.filters: [(str(shown[name]), name) for name in names], **offered}

        found.load(load, None, [form.filters, *named], **RUNS)

        def leave(request: gr.Request) -> None:
            studio.desks.close(request.session_hash)

        found.unload(leave)
    return found


class Server:
    """The studio while it is open."""

    def __init__(self, port: int, root: Path) -> None:
        """Open it; all its files are in `root`, which Gradio was told of before it was loaded."""
        self.desks, queue = Desks(root / "desks"), Queue()
        self.samples = Samples(root / "samples", queue)
        self.page = page(Studio(self.desks, queue), self.samples)
        self.page.queue(default_concurrency_limit=None, api_open=False).launch(
            server_name=ADDRESS,
            server_port=port,
            max_file_size=FILE_SIZE,
            app_kwargs={"middleware": [Middleware(Gate)]},
            **LAUNCH,
        )
        self.samples.begin()

    @property
    def url(self) -> str:
        """Where the page is."""
        return str(self.page.local_url)

    def close(self) -> None:
        """Stop all work after its step, and the server."""
        self.desks.close_all()
        self.page.close(verbose=False)
        self.samples.close()


LAUNCH: dict[str, Any] = {
    "share": False,
    "inbrowser": False,
    "quiet": True,
    "prevent_thread_lock": True,
    "allowed_paths": [],
    "ssr_mode": False,
    "mcp_server": False,
    "pwa": False,
    "run_history": False,
    "enable_monitoring": False,
    "footer_links": ["api", "settings"],
    "theme": gr.themes.Soft(primary_hue="indigo", neutral_hue="stone", font=FONTS, font_mono=MONO),
    "css_paths": CSS,
}

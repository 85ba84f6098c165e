"""The tab with all that was made here since the page was opened."""

from __future__ import annotations

from typing import Any

import gradio as gr

from impasto.studio import fields
from impasto.studio.desk import Desk, Made
from impasto.studio.fields import Changes, Studio


def build(studio: Studio, tab: gr.Tab) -> None:
    """The tab, and what its parts do."""
    gr.Markdown("What you made since you opened this page. It is gone when you close it: download what is to stay.")
    gallery = gr.Gallery(
        label="Results",
        columns=4,
        fit_columns=False,
        height=420,
        object_fit="contain",
        allow_preview=False,
        buttons=[],
        elem_id="results",
    )
    with gr.Row():
        file = gr.DownloadButton("Download", interactive=False, elem_id="history-file")
    recipe = gr.JSON(label="Recipe", visible=False, open=False)
    count = gr.State(0)

    def shown(request: gr.Request) -> tuple[list[tuple[str, str]], int]:
        return pictures(studio.desk(request))

    def chosen(count: int, event: gr.SelectData, request: gr.Request) -> Changes:
        made = one(studio.desk(request), count, event.index)
        return {
            file: gr.update(value=str(made.file), interactive=True, label=f"Download {made.file.name}"),
            recipe: gr.update(value=dict(made.recipe), visible=True),
        }

    events: dict[str, Any] = fields.QUIET
    tab.select(shown, None, [gallery, count], **events)
    gallery.select(chosen, count, [file, recipe], **events)


def pictures(desk: Desk) -> tuple[list[tuple[str, str]], int]:
    """Pictures of all results with their captions, the newest first, and how many they are."""
    made = list(desk.made)
    return [(str(each.poster), each.caption) for each in reversed(made)], len(made)


def one(desk: Desk, count: int, index: int) -> Made:
    """The result at a place among so many that are shown: there may be newer ones by now."""
    return desk.made[count - 1 - index]

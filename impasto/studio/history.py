"""The tab with all that was made here since the page was opened."""

from __future__ import annotations

from typing import Any

import gradio as gr

from impasto.studio import fields
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

    def shown(request: gr.Request) -> list[tuple[str, str]]:
        return [(str(made.poster), made.caption) for made in reversed(studio.desk(request).made)]

    def chosen(event: gr.SelectData, request: gr.Request) -> Changes:
        made = studio.desk(request).made[::-1][event.index]
        return {
            file: gr.update(value=str(made.file), interactive=True, label=f"Download {made.file.name}"),
            recipe: gr.update(value=dict(made.recipe), visible=True),
        }

    events: dict[str, Any] = fields.QUIET
    tab.select(shown, None, gallery, **events)
    gallery.select(chosen, None, [file, recipe], **events)

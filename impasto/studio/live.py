"""The tab where the webcam is painted while one watches.

Each of its pictures is a short job: it takes its turn like others, and gives the place up to whoever waits. So the camera
never holds up a painting, and where it is not looked at any more there is nothing to stop.
"""

from __future__ import annotations

import base64
import io as streams
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.components.image_editor import WebcamOptions
from gradio.data_classes import ImageData

from impasto.studio import fields, job, sources
from impasto.studio.desk import Desk
from impasto.studio.fields import FORM, Changes, Chooser, Studio
from impasto.studio.job import Wrong, at
from impasto.studio.queue import Queue

if TYPE_CHECKING:
    from impasto.types import Image
    from impasto.video.live import Easel

EVERY = 0.1
"""Seconds between two pictures that the browser sends; of those that come while one is painted the last is taken."""
PATIENCE = 0.5
"""Seconds that a picture waits for its turn; the next one is newer."""
TOLD = 1.0
"""Seconds between two messages, for those who listen to them."""
SEEN = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "facingMode": "user"}}
"""What is asked of the camera: more than is painted costs only time."""
PIXELS = 4_000_000
"""Pixels of the largest picture that is taken from a camera."""


class Scene:
    """What the camera of one tab is painted like, and what was painted of late."""

    def __init__(self) -> None:
        self.begun, self.failed = time.monotonic(), False
        self._told = -math.inf
        self._asked: tuple[Any, ...] = ()
        self._easel: Easel | None = None

    def turn(self, queue: Queue, desk: Desk, frame: str | None, *asked: Any) -> tuple[str, Image | None]:
        """What there is to tell, and the camera's picture, painted; None where it is not its turn.

        Raises:
            ImpastoError: no picture, styles or settings that cannot be, or too many wait.
        """
        image = opened(frame)
        with queue.place() as place:
            if before := place.ahead(PATIENCE):
                return f"Waiting: {before} {'job' if before == 1 else 'jobs'} before yours.", None
            if self._easel is None or asked != self._asked:
                self._easel, self._asked = easel(desk, *asked), asked
            painted = self._easel.paint(image, time.monotonic() - self.begun)
        now, rate = time.monotonic(), self._easel.rate
        if not rate or now - self._told < TOLD:
            return "", painted
        self._told = now
        return f"{rate:.1f} frames a second", painted


def easel(
    desk: Desk,
    named: Sequence[str] | None,
    paintings: Sequence[str] | None,
    shares: str,
    size: float,
    strength: float,
    temporal: str,
) -> Easel:
    """What paints like this.

    Raises:
        Wrong: styles or settings that cannot be.
    """
    from impasto import device
    from impasto.video import curve
    from impasto.video.live import Easel
    from impasto.video.look import Filters, Timed, learned

    styles = sources.styles(desk, named, paintings, shares, "styles")
    with at("styles"):
        known = learned(styles, int(size))
    with at("settings"):
        timed = tuple(Timed(each, style.weight) for each, style in zip(known, styles, strict=True))
        look = Filters(timed, curve.strength(strength), device=str(device.choose()[0]))
        return Easel(look, int(size), temporal == "fast")


def opened(frame: str | None) -> Image:
    """A picture as the camera sends it: a "data:" URL.

    Raises:
        Wrong: it is none.
    """
    from impasto.errors import UnreadablePicture
    from impasto.pixels import io, raster

    with at("camera"), raster.lenient():
        try:
            data = base64.b64decode((frame or "").partition(",")[2], validate=True)
            picture = raster.identify(streams.BytesIO(data), "what the camera gives")
        except (UnreadablePicture, ValueError) as error:
            raise Wrong("camera", "The camera gives no picture.") from error
        return io.load(picture, max_pixels=PIXELS).image


def jpeg(image: Image) -> bytes:
    """A picture as it goes to the page."""
    from impasto.pixels import io

    file = streams.BytesIO()
    io.load(image[0].detach().cpu()).pil().convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


def sent(payload: ImageData | None) -> str | None:
    """What the camera sent."""
    return None if payload is None else payload.url


def inline(value: bytes | None) -> ImageData | None:
    """A picture within the answer: no file is made of it."""
    if value is None:
        return None
    return ImageData(url=f"data:image/jpeg;base64,{base64.b64encode(value).decode()}", orig_name="painted.jpg")


Camera = fields.derived(gr.Image, preprocess=lambda _, payload: sent(payload))
Painted = fields.derived(gr.Image, postprocess=lambda _, value: inline(value))


def camera_field() -> gr.Image:
    """A field for a camera, which hands over its pictures as they are sent."""
    return Camera(
        label="Camera",
        sources=["webcam"],
        streaming=True,
        height=360,
        buttons=[],
        webcam_options=WebcamOptions(mirror=True, constraints=SEEN),
        elem_id="live-camera",
    )


def settings_fields() -> list[Any]:
    """Fields for size, strength and steadiness."""
    return [
        gr.Slider(128, 640, 320, step=32, label="Size", info="Long edge, px: smaller is faster.", elem_id="live-size"),
        gr.Slider(0, 1, 1, step=0.05, label="Strength", info="0 leaves the picture, 1 is all of the style."),
        gr.Radio(["off", "fast"], value="fast", label="Steadiness", info="Whether paint is kept steady; off is faster."),
    ]


def build(studio: Studio) -> Chooser:
    """The tab, and what its parts do."""
    gr.Markdown("Choose a style, and start the camera. Nothing that it sees is kept or sent elsewhere.")
    with gr.Row():
        with gr.Column(min_width=320):
            camera = camera_field()
            wrong = fields.wrong()
        with gr.Column(min_width=320):
            status = gr.HTML(elem_classes="status", padding=False)
            problem = fields.wrong()
            shown = Painted(label="Painted", buttons=["fullscreen"], interactive=False, height=360, elem_id="live-shown")
    with gr.Row():
        with gr.Column(min_width=320):
            styles = fields.chooser()
        with gr.Column(min_width=320):
            settings = settings_fields()
            wrong_settings = fields.wrong()
    places = {"camera": wrong, "styles": styles.wrong, "settings": wrong_settings, FORM: problem}
    scenes: WeakKeyDictionary[Desk, Scene] = WeakKeyDictionary()

    def see(request: gr.Request, frame: str | None, *asked: Any) -> Changes:
        desk = studio.desk(request)
        scene = scenes.setdefault(desk, Scene())
        try:
            told, painted = scene.turn(studio.queue, desk, frame, *asked)
        except Exception as error:
            scene.failed = True
            place = error.field if isinstance(error, Wrong) and error.field in places else FORM
            cleared = {each: fields.told("") for each in places.values()}
            return {**cleared, places[place]: fields.told(job.sentence(error)), status: ""}
        changes: Changes = {each: fields.told("") for each in places.values()} if scene.failed else {}
        scene.failed = False
        changes[status] = fields.bar(told, 0.0) if told else gr.skip()
        return {**changes, shown: jpeg(painted)} if painted is not None else changes

    def ended() -> str:
        return fields.bar("The camera is off.", 0.0)

    inputs, outputs = [camera, *styles.inputs, *settings], [shown, status, *places.values()]
    # with a time limit Gradio's page begins anew at once, so it would end nothing
    ran = camera.stream(see, inputs, outputs, stream_every=EVERY, **fields.RUNS)
    ran.then(ended, None, status, **fields.QUIET)
    return styles

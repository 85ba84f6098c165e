"""The camera's pictures: painted in turn, a rate told, and each that cannot be painted said in a sentence."""

import base64
import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PILImage

pytest.importorskip("gradio", reason="the extra studio is not installed")
pytest.importorskip("cv2", reason="the extra video is not installed")

from impasto.errors import ImpastoError
from impasto.fast import style as filters
from impasto.studio import live
from impasto.studio.job import Wrong
from impasto.studio.queue import Queue

NAME, OTHER = filters.names()[:2]
ASKED = ([NAME], [], "", 128, 1.0, "fast")


def shot(seed=0, kind="JPEG", size=(64, 48)):
    """A picture as a browser sends it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    file = BytesIO()
    PILImage.fromarray(pixels).resize(size, PILImage.Resampling.BICUBIC).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def test_a_picture_is_painted_and_a_rate_told(desk, monkeypatch):
    monkeypatch.setattr(live, "TOLD", 0)
    scene = live.Scene()
    told, painted = scene.turn(Queue(), desk, shot(), *ASKED)
    assert painted.shape == (1, 3, 96, 128)
    assert told == ""  # of one picture there is no rate
    told, again = scene.turn(Queue(), desk, shot(), *ASKED)
    assert told.endswith(" frames a second")
    assert float((again - painted).abs().max()) < 0.1  # the camera saw the same


def test_messages_do_not_come_with_every_picture(desk, monkeypatch):
    monkeypatch.setattr(live, "TOLD", 1000)  # seconds
    scene = live.Scene()
    told = [scene.turn(Queue(), desk, shot(), *ASKED)[0] for _ in range(4)]
    assert sum(map(bool, told)) == 1


def test_another_style_takes_effect_with_the_next_picture(desk):
    scene, queue = live.Scene(), Queue()
    _, one = scene.turn(queue, desk, shot(), *ASKED)
    kept = scene._easel
    scene.turn(queue, desk, shot(), *ASKED)
    assert scene._easel is kept
    _, other = scene.turn(queue, desk, shot(), [OTHER], *ASKED[1:])
    assert float((one - other).abs().mean()) > 0.02
    _, nothing = scene.turn(queue, desk, shot(), [OTHER], [], "", 64, 0.0, "off")
    assert float((nothing - live.opened(shot())).abs().max()) < 1e-6


def test_a_camera_gives_way_and_keeps_no_place(desk, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.01)
    queue, scene = Queue(), live.Scene()
    with queue.place() as other:
        assert scene.turn(queue, desk, shot(), *ASKED) == ("Waiting: 1 job before yours.", None)
        assert queue.places == [other]
    assert scene.turn(queue, desk, shot(), *ASKED)[1] is not None
    assert queue.places == []


def test_a_place_is_given_up_when_it_goes_wrong(desk):
    queue, scene = Queue(), live.Scene()
    with pytest.raises(Wrong, match="no style yet") as error:
        scene.turn(queue, desk, shot(), [], [], "", 128, 1, "fast")
    assert error.value.field == "styles"
    assert queue.places == []


def test_it_is_said_when_too_many_wait(desk):
    queue = Queue(most=0)
    with queue.place(), pytest.raises(ImpastoError, match="busy"):
        live.Scene().turn(queue, desk, shot(), *ASKED)


@pytest.mark.parametrize("sent", [None, "", "words", "data:image/jpeg;base64,", "data:image/jpeg;base64,d29yZHM=", "data:,***"])
def test_what_is_no_picture(sent):
    with pytest.raises(Wrong, match="The camera gives no picture") as error:
        live.opened(sent)
    assert error.value.field == "camera"


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
        b"BM" + struct.pack("<IHHIIiiHH24x", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24),
    ],
    ids=["a program", "3600 megapixels"],
)
def test_nothing_is_run_and_nothing_huge_decoded(data):
    with pytest.raises(Wrong, match=r"The camera gives no picture|too large: 60000 x 60000 px"):
        live.opened(f"data:image/png;base64,{base64.b64encode(data).decode()}")


def test_large_pictures_are_not_decoded(monkeypatch):
    monkeypatch.setattr(live, "PIXELS", 64 * 48 - 1)
    with pytest.raises(Wrong, match="too large"):
        live.opened(shot())


def test_pictures_go_to_the_page_without_a_file(desk):
    image = live.opened(shot())
    sent = live.Painted().postprocess(live.jpeg(image))
    assert sent.path is None
    assert sent.url.startswith("data:image/jpeg;base64,")
    assert float((live.opened(sent.url) - image).abs().mean()) < 0.02
    assert not desk.folder.exists()

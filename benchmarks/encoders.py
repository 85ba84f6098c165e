"""Encoders of one's own: do they paint the same picture in less time, and what do they recognize?

    python benchmarks/encoders.py --data DATA --encoder taught.safetensors [--encoder untaught.safetensors]
        [--size 512] [--results benchmarks/results/encoders] [--threads 2]

DATA is a folder with content/test and style. Each pair is painted with `--quality good` by

  vgg16    the embedded encoder
  NAME     an encoder that `impasto train-encoder` made, the same steps
  NAME x2  twice as many steps
  NAME, vgg16  the encoder's picture as the start of LAST steps with VGG-16 at the full size; seconds of both

and judged by VGG-16: style = w2 over relu1_1 ... relu5_1, content = mean squared difference at relu4_2, both in the
picture's own size. "Reached": neither is over 1.02 times that of vgg16's picture, in half its time or less. Seconds are of
one process on an otherwise idle machine, imports not counted; all of a table come from one run. The pictures lie side by
side in PAIR-SIZE.jpg, from left to right in the order of the rows. What an encoder recognizes is read from the curves that
its training wrote beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

HERE = Path(__file__).parent
PAIRS = {
    "tubingen": ("content/test/tubingen.jpg", "style/vangogh_starry_night.jpg"),
    "astronaut": ("content/test/astronaut_portrait.jpg", "style/hokusai_great_wave.jpg"),
}
LAST = 8
WITHIN = 1.02


def main() -> None:
    options = parse()
    options.results.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {"recognition": [recognition(path) for path in options.encoder], "painting": []}
    for pair in PAIRS:
        rows = painted(pair, options)
        for row in rows:
            row |= verdict(row, rows[0])
            print(line(row), flush=True)
        found["painting"] += rows
    (options.results / f"encoders-{options.size}.json").write_text(json.dumps(found, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, action="append", required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "encoders")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def recognition(path: Path) -> dict:
    """What the encoder and the others recognize, by its curves; also printed."""
    from impasto.fast.encoder import table

    rows = table(path)
    for name, row in rows.items():
        figures = "  ".join(f"{question} {value:.3f}" for question, value in row.items())
        print(f"{path.stem:12} {name:12} {figures}", flush=True)
    return {"encoder": path.stem, "recognized": rows}


def painted(pair: str, options: argparse.Namespace) -> list[dict]:
    import torch

    import impasto
    from impasto.pixels import io

    torch.set_num_threads(options.threads)
    content, style = (options.data / name for name in PAIRS[pair])
    rows, pictures = [], []

    def paint(name: str, before: float = 0.0, **settings: object) -> str:
        impasto.stylize(content, style, size=64, steps=1, encoder=settings.get("encoder", "vgg16"))
        start = time.perf_counter()
        result = impasto.stylize(content, style, size=options.size, **settings)
        seconds = before + time.perf_counter() - start
        path = options.results / f".{pair}-{len(rows)}.png"
        io.save(result.picture, path, force=True)
        rows.append({"pair": pair, "size": options.size, "program": name, "seconds": seconds, **judged(path, pair, options)})
        pictures.append(path)
        return result.recipe["settings"]["steps"]

    steps = paint("vgg16", quality="good")
    twice = ",".join(f"{size}:{2 * int(count)}" for size, count in (part.split(":") for part in steps.split(",")))
    for path in options.encoder:
        paint(path.stem, steps=steps, encoder=str(path))
        paint(f"{path.stem}, vgg16", rows[-1]["seconds"], init=str(pictures[-1]), steps=f"{options.size}:{LAST}")
        paint(f"{path.stem} x2", steps=twice, encoder=str(path))
    beside(pictures, options.results / f"{pair}-{options.size}.jpg")
    return rows


def judged(picture: Path, pair: str, options: argparse.Namespace) -> dict:
    from impasto import metrics

    content, style = (options.data / name for name in PAIRS[pair])
    return {
        "style": metrics.style_distance(picture, style, size=options.size),
        "content": metrics.content_distance(picture, content, size=options.size),
    }


def verdict(row: dict, usual: dict) -> dict:
    shares = {f"{name}_share": row[name] / usual[name] for name in ("seconds", "style", "content")}
    close = max(shares["style_share"], shares["content_share"]) <= WITHIN
    return {**shares, "reached": close and shares["seconds_share"] <= 0.5}


def line(row: dict) -> str:
    return (
        f"{row['pair']:10} {row['size']} px  {row['program']:24} {row['seconds']:6.1f} s ({row['seconds_share']:.2f})  "
        f"style {row['style']:8.1f} ({row['style_share']:.2f})  content {row['content']:9.1f} ({row['content_share']:.2f})"
        f"{'  reached' if row['reached'] else ''}"
    )


def beside(pictures: list[Path], path: Path) -> None:
    """Pictures in one row; they themselves are removed."""
    from PIL import Image

    opened = [Image.open(picture).convert("RGB") for picture in pictures]
    sheet = Image.new("RGB", (sum(each.width for each in opened), opened[0].height))
    for index, each in enumerate(opened):
        sheet.paste(each, (index * each.width, 0))
    sheet.save(path, quality=88)
    for picture in pictures:
        picture.unlink()


if __name__ == "__main__":
    main()

"""Doodles: the three ways to paint one, on pairs of a painting with its map and another map.

    python benchmarks/doodles.py DATA [--results benchmarks/results/doodles] [--threads 2] [--runs coast-512-both,...]

DATA is a folder with NAME_style.jpg, NAME_style_sem.png and NAME_target_sem.png for each pair. Each run is a process of its
own, begun when it is not yet in results/doodles.json (remove its row to run it again); its picture lies beside. "statistics"
are guided statistics alone (Gatys et al., CVPR 2017, section 4; fast-neural-doodle), "patches" the patches laid by the map.

seconds   of the work without imports, on --threads threads; peak_gb the process's
style     w2 between each region and its own in the painting, in the picture's own size, weighted by the regions' areas; over
          relu1_1 ... relu5_1 (256:64:16:4:1), which "statistics" and "both" optimize
unused    the same, the mean of relu2_2, relu3_3 and relu4_3, which nothing optimizes
crossing  share of the map's borders at which the picture's colors change sides by the border: the part of the difference
          between 4 ... 8 px to either side that lies within 2 px of it, about 1 where borders are sharp; over 1 where there
          is an outline. Of the painting at its own map beside it
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PAIRS = ("coast", "landscape")
RUNS = [f"{pair}-384-{way}" for pair in PAIRS for way in ("statistics", "patches", "both")]
RUNS += [f"{pair}-512-both" for pair in PAIRS]
USED = {"relu1_1": 256.0, "relu2_1": 64.0, "relu3_1": 16.0, "relu4_1": 4.0, "relu5_1": 1.0}
UNUSED = dict.fromkeys(("relu2_2", "relu3_3", "relu4_3"), 1.0)


def main() -> None:
    options = parse()
    if options.worker:
        print(json.dumps(work(options.worker, options)))
        return
    options.results.mkdir(parents=True, exist_ok=True)
    kept = options.results / "doodles.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for run in options.runs.split(",") if options.runs else RUNS:
        if run not in rows:
            rows[run] = measured(run, options)
            kept.write_text(json.dumps(rows, indent=1) + "\n")
        row = rows[run]
        print(f"{run:24}" + "  ".join(f"{name} {value:8.2f}" for name, value in row.items()), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "doodles")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", help="only these")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(run: str, options: argparse.Namespace) -> dict[str, float]:
    """One run in a process of its own, and its peak memory."""
    command = [sys.executable, __file__, str(options.data), "--results", str(options.results)]
    command += ["--threads", str(options.threads), "--worker", run]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(HERE.parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{run} failed")
    return {**json.loads(output.splitlines()[-1]), "peak_gb": usage.ru_maxrss / 1e6}


def work(run: str, options: argparse.Namespace) -> dict[str, float]:
    """Paint, save, and compare."""
    import torch

    from impasto.features import encoders
    from impasto.paint import regions
    from impasto.paint.doodle import doodle
    from impasto.pixels import geometry, io

    torch.set_num_threads(options.threads)
    pair, size, way = run.split("-")
    style, own, wanted = (options.data / f"{pair}_{name}" for name in ("style.jpg", "style_sem.png", "target_sem.png"))
    start = time.perf_counter()
    made = doodle(wanted, style, own, size=int(size), way=way)
    seconds = time.perf_counter() - start
    io.save(made.picture, options.results / f"{run}.png", force=True)  # without the recipe, which would name folders
    image, painting = made.image, geometry.fit(io.load(style).image, int(size))
    found = regions.from_maps(io.load(wanted).image, [io.load(own).image])
    encoder = encoders.load("vgg16")
    theirs = regions.from_maps(io.load(own).image, [io.load(own).image])
    return {
        "seconds": seconds,
        "style": distance(image, painting, found, encoder, USED),
        "unused": distance(image, painting, found, encoder, UNUSED),
        "crossing": crossing(image, found),
        "painting's": crossing(painting, theirs),
    }


def distance(image, painting, found, encoder, layers) -> float:
    """w2 by region in float64."""
    import torch

    from impasto.features import distances, statistics

    total = 0.0
    with torch.no_grad():
        ours, theirs = encoder(image, layers), encoder(painting, layers)
        for region in found:
            ((_, own),) = region.sources
            share = float(region.mask.mean())
            for layer, weight in layers.items():
                target = distances.gaussian([(1.0, statistics.moments(theirs[layer].double(), own))])
                value = distances.w2(statistics.moments(ours[layer].double(), region.mask), target)
                total += share * weight / sum(layers.values()) * float(value)
    return total


def crossing(image, found) -> float:
    """How much of the change across borders lies at them."""
    import torch
    from torch.nn import functional as F

    masks = torch.cat([region.mask for region in found], 1)
    labels = F.interpolate(masks, image.shape[-2:], mode="bilinear", align_corners=False).argmax(1)[0]
    near = far = 0.0
    for planes, marks in ((image[0], labels), (image[0].transpose(1, 2), labels.T)):
        width = marks.shape[1]
        left, right = marks[:, 7 : width - 8], marks[:, 8 : width - 7]
        steady = torch.ones_like(left, dtype=torch.bool)
        for away in range(1, 8):
            steady &= (marks[:, 7 - away : width - 8 - away] == left) & (marks[:, 8 + away : width - 7 + away] == right)
        where = torch.nonzero((left != right) & steady)
        y, x = where[:, 0], where[:, 1] + 7
        sides = [torch.stack([planes[:, y, x + offset] for offset in span]).mean(0) for span in (range(-7, -3), range(5, 9))]
        change = sides[1] - sides[0]
        unit = change / change.norm(dim=0).clamp(min=1e-6)
        near += float(((planes[:, y, x + 3] - planes[:, y, x - 2]) * unit).sum())
        far += float(change.norm(dim=0).sum())
    return near / far


if __name__ == "__main__":
    main()

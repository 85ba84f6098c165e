"""Textures: impasto beside plain Gatys synthesis and image quilting, on real exemplars, in one run on one machine.

    python benchmarks/textures.py DATA [--size 512] [--only quilt_brick,ufo_grass] [--programs impasto,tile,gatys,quilting]

DATA is a folder of exemplars. Programs:

  impasto   impasto texture --quality good
  tile      the same with --tile: repeats in both directions
  gatys     Gatys et al. 2015: Gram matrices at relu1_1 ... relu5_1 (equal weights over squared channels, average pooling),
            500 steps of L-BFGS with line search from noise at the full size alone, our VGG-16 in the same precision
  quilting  Efros & Freeman 2001, blocks of a quarter of the exemplar, cut along the least differences

Each runs in a process of its own; seconds are of the work without imports, memory is the process's peak. Distances are in
the pictures' own size: style = w2 over relu1_1 ... relu5_1 (256:64:16:4:1), "unused" the mean of w2 at relu2_2, relu3_3 and
relu4_3, which no program optimizes. Seam: the jump across the borders of the picture beside itself, over the mean jump inside.
Results are kept in a JSON file after each picture; what is there already is not made again (--again makes it anew).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
UNUSED = ("relu2_2", "relu3_3", "relu4_3")
SUFFIXES = {".png", ".jpg", ".jpeg"}
PROGRAMS = ("impasto", "tile", "gatys", "quilting")


def main() -> None:
    options = parse()
    if options.worker:
        print(json.dumps(work(options)))
        return
    options.results.mkdir(parents=True, exist_ok=True)
    kept = options.results / "textures.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for exemplar in exemplars(options):
        for program in options.programs.split(","):
            key = f"{exemplar.stem} {options.size} {program}"
            if key not in rows or options.again:
                rows[key] = {
                    "exemplar": exemplar.stem,
                    "size": options.size,
                    "program": program,
                    **run(program, exemplar, options),
                }
                kept.write_text(json.dumps(rows, indent=1) + "\n")
            print(line(rows[key]), flush=True)
    summary([row for row in rows.values() if row["size"] == options.size])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--only", default="", help="names of exemplars, without their suffix")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--results", type=Path, default=HERE / "results" / "textures")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500, help="of gatys")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--exemplar", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def exemplars(options: argparse.Namespace) -> list[Path]:
    found = sorted(path for path in options.data.iterdir() if path.suffix.lower() in SUFFIXES)
    wanted = options.only.split(",") if options.only else [path.stem for path in found]
    missing = set(wanted) - {path.stem for path in found}
    if missing:
        raise SystemExit(f"not in {options.data}: {', '.join(sorted(missing))}")
    return [path for path in found if path.stem in wanted]


def run(program: str, exemplar: Path, options: argparse.Namespace) -> dict:
    """Run one program in a process of its own: what it reports, and the process's peak memory."""
    command = [sys.executable, __file__, str(options.data), "--worker", program, "--exemplar", str(exemplar)]
    command += ["--size", str(options.size), "--results", str(options.results), "--threads", str(options.threads)]
    command += ["--steps", str(options.steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(HERE.parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{program} failed on {exemplar.stem} at {options.size} px")
    return {**json.loads(output.splitlines()[-1]), "peak_gb": usage.ru_maxrss / 1e6}


def line(row: dict) -> str:
    return (
        f"{row['exemplar']:26} {row['size']:4} px  {row['program']:8}  {row['seconds']:7.1f} s  {row['peak_gb']:.2f} GB  "
        f"style {row['style']:8.1f}  unused {row['unused']:9.1f}  seam {row['seam']:.2f}"
    )


def summary(rows: list[dict]) -> None:
    """Medians of each program, and how often the style distance of ours is at or below Gatys's."""
    for program in PROGRAMS:
        own = [row for row in rows if row["program"] == program]
        if own:
            middle = {name: median(row[name] for row in own) for name in ("seconds", "peak_gb", "style", "unused", "seam")}
            print(f"median of {len(own)}: {line({'exemplar': '', 'size': own[0]['size'], 'program': program, **middle})}")
    ours = {row["exemplar"]: row["style"] for row in rows if row["program"] == "impasto"}
    pairs = [(ours[row["exemplar"]], row["style"]) for row in rows if row["program"] == "gatys" and row["exemplar"] in ours]
    if pairs:
        print(f"style at or below gatys on {sum(own <= other for own, other in pairs)} of {len(pairs)}")


def work(options: argparse.Namespace) -> dict:
    """Make one texture, time it and measure it."""
    import torch

    from impasto import metrics
    from impasto.pixels import io

    torch.set_num_threads(options.threads)
    exemplar = io.load(options.exemplar).image
    make = {"impasto": ours, "tile": ours, "gatys": gatys, "quilting": quilting}[options.worker]
    make(exemplar[..., :32, :32], 32, options, 1)  # imports and the first call's preparations are no one's work
    start = time.perf_counter()
    image = make(exemplar, options.size, options, 0)
    seconds = time.perf_counter() - start
    io.save(io.load(image[0]), options.results / f"{options.exemplar.stem}-{options.size}-{options.worker}.png", force=True)
    unused = metrics.style_distances(image, exemplar, UNUSED, size=None)
    return {
        "seconds": seconds,
        "style": metrics.style_distance(image, exemplar, size=None),
        "unused": sum(unused.values()) / len(unused),
        "seam": metrics.seam_energy(image.repeat(1, 1, 2, 2), options.size),
    }


def ours(exemplar, size: int, options: argparse.Namespace, probe: int):
    from impasto.paint.texture import synthesize

    steps = {"steps": 1} if probe else {}
    return synthesize(exemplar, size=size, tile="xy" if options.worker == "tile" else "", **steps).image


def gatys(exemplar, size: int, options: argparse.Namespace, probe: int):
    import torch

    from impasto import device
    from impasto.features import encoders, statistics
    from impasto.paint.settings import Settings

    layers = Settings().style_layers
    _, dtype = device.choose("cpu")
    encoder = encoders.load("vgg16", pooling="average").precision(dtype)
    with torch.no_grad():
        targets = {layer: statistics.gram(features) for layer, features in encoder(exemplar, layers).items()}
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    steps = 1 if probe else options.steps
    # counted in evaluations, as the line search takes several a step
    optimizer = torch.optim.LBFGS([image], max_iter=steps, max_eval=round(1.25 * steps), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        features = encoder(image, layers)
        parts = [
            (statistics.gram(features[layer]) - target).square().sum() / (4 * len(target) ** 2)
            for layer, target in targets.items()
        ]
        loss = torch.stack(parts).sum() * 1e-3
        loss.backward()
        return loss

    optimizer.step(closure)
    return image.detach().clamp(0, 1)


def quilting(exemplar, size: int, _options: argparse.Namespace, _probe: int):
    import numpy as np
    import torch

    source = exemplar[0].permute(1, 2, 0).numpy()
    random = np.random.default_rng(0)
    edge = min(size, max(12, min(source.shape[:2]) // 4))
    overlap = edge // 4
    step = edge - overlap
    count = -(-(size - overlap) // step)
    whole = np.zeros((count * step + overlap, count * step + overlap, 3), np.float32)
    for row in range(count):
        for column in range(count):
            top, left = row * step, column * step
            there = whole[top : top + edge, left : left + edge]
            counts = np.zeros((edge, edge), bool)
            counts[: overlap if row else 0] = True
            counts[:, : overlap if column else 0] = True
            costs = differences(source, there, counts, edge)
            good = np.argwhere(costs <= 1.1 * costs.min() + 1e-4 * counts.sum())
            y, x = good[random.integers(len(good))]
            block = source[y : y + edge, x : x + edge]
            errors = ((block - there) ** 2).sum(2)
            new = np.ones((edge, edge), bool)
            if column:
                new[:, :overlap] &= cut(errors[:, :overlap])
            if row:
                new[:overlap] &= cut(errors[:overlap].T).T
            there[new] = block[new]
    return torch.from_numpy(whole[:size, :size].transpose(2, 0, 1).copy())[None]


def differences(source, there, counts, edge: int):
    """Summed squared difference of what lies there to every block of the source, over the pixels that count."""
    import torch
    from torch.nn import functional as F

    image = torch.from_numpy(source).permute(2, 0, 1)[None]
    mask = torch.from_numpy(counts).float().expand(1, 3, edge, edge)
    wanted = torch.from_numpy(there.copy()).permute(2, 0, 1)[None] * mask
    costs = F.conv2d(image.square(), mask) - 2 * F.conv2d(image, wanted) + wanted.square().sum()
    return costs[0, 0].clamp(min=0).numpy()


def cut(errors):
    """What lies right of the path of least error from top to bottom."""
    import numpy as np

    total = errors.astype(np.float64).copy()
    for y in range(1, len(total)):
        before = np.pad(total[y - 1], 1, constant_values=np.inf)
        total[y] += np.minimum(np.minimum(before[:-2], before[1:-1]), before[2:])
    right = np.zeros(errors.shape, bool)
    x = int(total[-1].argmin())
    for y in range(len(total) - 1, -1, -1):
        right[y, x:] = True
        if y:
            low = max(0, x - 1)
            x = low + int(total[y - 1, low : x + 2].argmin())
    return right


if __name__ == "__main__":
    main()

"""Textures: impasto beside plain Gatys synthesis and image quilting, on real exemplars, in pieces that can be run apart.

    python benchmarks/textures.py DATA [--minutes 10] [--only quilt_brick-256,ufo_grass-512-gatys] [--threads 2]
    python benchmarks/textures.py DATA --sheet sheet.jpg --only quilt_brick-256,quilt_rope-256
    python benchmarks/textures.py --table

DATA is a folder of exemplars. A run is EXEMPLAR-SIZE-PROGRAM; without --only: twenty exemplars at 256 px, two at 512 px and one
at 2048 px in 2 GB, the quick programs first. A name without program means all, without size 256 px. A run whose line is
in results/textures.jsonl is not made again (remove the line to make it anew), none is begun after so many minutes, and its
picture is kept under results/textures/. Programs:

  impasto   impasto texture --quality good
  tile      the same with --tile: repeats in both directions
  quilting  Efros & Freeman 2001, blocks of a quarter of the exemplar, cut along the least differences
  gatys     Gatys et al. 2015: Gram matrices at relu1_1 ... relu5_1 (equal weights over squared channels, average pooling),
            500 steps of L-BFGS from noise at the full size alone, our VGG-16 in the same precision

Exemplars larger than the texture are cut to their middle for all. Each run is a process of its own; seconds are of the work
without imports, peak_gb is the process's peak before anything is measured. Distances are in the pictures' own size (of a larger
texture its middle 1024 px): style = w2 over relu1_1 ... relu5_1 (256:64:16:4:1), what ours brings down (Gatys: the Gram matrices
there), "unused" the mean of w2 at relu2_2, relu3_3 and relu4_3, which no program sees. Seam: the jump across the borders of
the picture beside itself, over the mean jump inside; rank: the share of lines inside with less of a jump (of a wall with a
joint at the border seam is high, and rank is not; of what does not repeat rank is 1).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
UNUSED = ("relu2_2", "relu3_3", "relu4_3")
SUFFIXES = (".png", ".jpg", ".jpeg")
PROGRAMS = ("impasto", "tile", "quilting", "gatys")
QUILTS = "berries", "brick", "pebbles", "peppers", "rope", "weave", "wicker"
OTHERS = "skimage_brick_gray", "skimage_grass_gray", "skimage_gravel_gray", "embark_ink_orange"
GAMES = "cobblestones_yellow", "floral_carpet", "old_planks", "roof_tiles", "rusty_metal", "stone_wall"
PHOTOGRAPHS = "dtd_cracked_0047", "dtd_crosshatched_0069", "dtd_crystalline_0112"
EXEMPLARS = [*(f"quilt_{name}" for name in QUILTS), *OTHERS, *(f"ufo_{name}" for name in GAMES), *PHOTOGRAPHS]
QUICK = [f"{name}-256-{program}" for program in PROGRAMS[:3] for name in EXEMPLARS]
LARGE = [f"{name}-512-{program}" for name in ("ufo_stone_wall", "skimage_gravel_gray") for program in PROGRAMS]
RUNS = [*QUICK, "ufo_cobblestones_yellow-2048-impasto", *(f"{name}-256-gatys" for name in EXEMPLARS), *LARGE]
GATYS = 500
"""Steps of gatys."""
LARGEST = 1024
"""Middle of a texture that distances are measured over, px."""


def main() -> None:
    options = parse()
    if options.worker:
        print(json.dumps(work(options.worker, options)))
        return
    kept = options.results / "textures.jsonl"
    if not options.table and options.data is None:
        raise SystemExit("give the folder of exemplars, or --table for what was measured before")
    if options.sheet:
        sheet(options)
        return
    if not options.table:
        make(kept, options)
    table(list(read(kept).values()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", nargs="?")
    parser.add_argument("--only", default="", help="runs, or beginnings of their names")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="only show what was measured")
    parser.add_argument("--sheet", type=Path, help="lay pictures that were made side by side in this JPEG")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "textures")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def runs(options: argparse.Namespace) -> list[str]:
    """The runs asked for, spelled out."""
    if not options.only:
        return RUNS
    found = []
    for wanted in options.only.split(","):
        name, size, program = (*wanted.split("-"), "", "")[:3]
        found += [f"{name}-{size or 256}-{each}" for each in ([program] if program else PROGRAMS)]
    return found


def read(kept: Path) -> dict[str, dict]:
    """The lines kept, by run; of two of one run the later."""
    lines = kept.read_text().splitlines() if kept.exists() else []
    return {row["run"]: row for row in map(json.loads, lines)}


def make(kept: Path, options: argparse.Namespace) -> None:
    """Make the runs that are not there, a line for each."""
    options.results.mkdir(parents=True, exist_ok=True)
    begun, there = time.monotonic(), read(kept)
    for run in runs(options):
        if run not in there and time.monotonic() - begun < 60 * options.minutes:
            row = {"run": run, **measured(run, options)}
            with kept.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            print(line(row), flush=True)


def measured(run: str, options: argparse.Namespace) -> dict:
    """Run one program in a process of its own: what it reports."""
    command = [sys.executable, __file__, str(options.data), "--worker", run]
    command += ["--results", str(options.results), "--threads", str(options.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True)
    if done.returncode:
        raise SystemExit(f"{run} failed")
    return json.loads(done.stdout.splitlines()[-1])


def line(row: dict) -> str:
    return (
        f"{row['run']:36}{row['seconds']:7.1f} s  {row['peak_gb']:.2f} GB  "
        f"style {row['style']:8.1f}  unused {row['unused']:9.1f}  seam {row['seam']:.2f}  rank {row['rank']:.2f}"
    )


def table(rows: list[dict]) -> None:
    """Medians of each program at each size, and how often ours is as near as Gatys's, as rows of Markdown."""
    columns = {"seconds": 1, "peak_gb": 2, "style": 0, "unused": 0, "seam": 2, "rank": 2}
    print("| px | program | exemplars | seconds | peak GB | style | unused | seam | rank |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    sizes = sorted({int(row["run"].split("-")[1]) for row in rows})
    for size in sizes:
        for program in PROGRAMS:
            own = [row for row in rows if row["run"].endswith(f"-{size}-{program}")]
            if own:
                shown = [f"{median(row[name] for row in own):.{places}f}" for name, places in columns.items()]
                print(f"| {size} | {program} | {len(own)} | {' | '.join(shown)} |")
    by_run = {row["run"]: row for row in rows}
    for size in sizes:
        for other in ("gatys", "quilting"):
            ours = f"-{size}-impasto"
            pairs = [(row, by_run.get(row["run"].replace(ours, f"-{size}-{other}"))) for row in rows if row["run"].endswith(ours)]
            pairs = [pair for pair in pairs if pair[1]]
            if pairs:
                nearer = [sum(own[name] <= theirs[name] for own, theirs in pairs) for name in ("style", "unused")]
                print(f"\n{size} px: as near as {other} or nearer on {nearer[0]} of {len(pairs)} (unused layers: {nearer[1]})")


def work(run: str, options: argparse.Namespace) -> dict:
    """Make one texture, time it and measure it."""
    import torch

    from impasto import metrics
    from impasto.pixels import io

    torch.set_num_threads(options.threads)
    name, number, program = run.split("-")
    size, exemplar = int(number), middle(io.load(found(options.data, name)).image, int(number))
    program_of = {"impasto": ours, "tile": tiling, "gatys": gatys, "quilting": quilting}[program]
    program_of(exemplar[..., :32, :32], 32, 1)  # imports and the first call's preparations are no one's work
    start = time.perf_counter()
    image = program_of(exemplar, size, 0)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    io.save(io.load(image[0]), options.results / f"{run}.png", force=True)
    seen = middle(image, LARGEST)
    unused = metrics.style_distances(seen, exemplar, UNUSED, size=None)
    return {
        "seconds": round(seconds, 2),
        "peak_gb": round(peak, 3),
        "style": round(metrics.style_distance(seen, exemplar, size=None), 1),
        "unused": round(sum(unused.values()) / len(unused), 1),
        "seam": round(metrics.seam_energy(image.repeat(1, 1, 2, 2), size), 3),
        "rank": round(rank(image), 3),
    }


def rank(image) -> float:
    """Share of the lines inside across which a picture jumps less than across its border; the mean of both directions."""
    shares = []
    for along, other in ((-1, -2), (-2, -1)):
        jumps = (image.roll(-1, along) - image).abs().mean((1, other)).flatten()
        shares.append(float((jumps[:-1] < jumps[-1]).float().mean()))
    return sum(shares) / 2


def found(data: Path, name: str) -> Path:
    """The file of an exemplar."""
    for path in (data / f"{name}{suffix}" for suffix in SUFFIXES):
        if path.exists():
            return path
    raise SystemExit(f"there is no exemplar {name} in {data}")


def middle(image, most: int):
    """The middle of a picture, `most` px a side at most."""
    top, left = (max(0, side - most) // 2 for side in image.shape[-2:])
    return image[..., top : top + most, left : left + most].contiguous()


HEADS = {"impasto": "impasto", "tile": "impasto --tile, four times", "gatys": "Gatys et al. 2015", "quilting": "quilting"}


def sheet(options: argparse.Namespace) -> None:
    """A row for each exemplar: itself and what the programs made of it, those that made all; under 250 kB."""
    from PIL import Image, ImageDraw

    keys = list(dict.fromkeys(run.rsplit("-", 1)[0] for run in runs(options)))
    there = [each for each in HEADS if all((options.results / f"{key}-{each}.png").exists() for key in keys)]
    edge, gap, title = 256, 8, 20
    whole = Image.new("RGB", ((len(there) + 1) * (edge + gap) - gap, title + len(keys) * (edge + gap) - gap), "white")
    pen = ImageDraw.Draw(whole)
    for column, head in enumerate(["exemplar", *(HEADS[each] for each in there)]):
        pen.text((column * (edge + gap) + edge // 2, 2), head, "black", anchor="ma", font_size=14)
    for row, key in enumerate(keys):
        name, size = key.split("-")
        exemplar = Image.open(found(options.data, name))
        left, top = (max(0, side - int(size)) // 2 for side in exemplar.size)
        cells = [exemplar.crop((left, top, min(left + int(size), exemplar.width), min(top + int(size), exemplar.height)))]
        for each in there:
            picture = Image.open(options.results / f"{key}-{each}.png")
            cells.append(doubled(picture) if each == "tile" else picture)
        for column, cell in enumerate(cells):
            whole.paste(fit(cell, edge), (column * (edge + gap), title + row * (edge + gap)))
    for quality in range(90, 20, -5):
        whole.save(options.sheet, quality=quality)
        if options.sheet.stat().st_size < 250_000:
            return


def doubled(tile):
    """A picture laid four times."""
    from PIL import Image

    whole = Image.new("RGB", (2 * tile.width, 2 * tile.height))
    for x in (0, tile.width):
        for y in (0, tile.height):
            whole.paste(tile, (x, y))
    return whole


def fit(picture, edge: int):
    """A picture in a white square, reduced where it is larger."""
    from PIL import Image

    picture = picture.convert("RGB")
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (edge, edge), "white")
    square.paste(picture, ((edge - picture.width) // 2, (edge - picture.height) // 2))
    return square


def ours(exemplar, size: int, probe: int, tile: str = ""):
    from impasto.paint.texture import synthesize

    more = {"steps": 1} if probe else {"max_memory": "2GB"} if size > LARGEST else {}
    return synthesize(exemplar, size=size, tile=tile, **more).image


def tiling(exemplar, size: int, probe: int):
    return ours(exemplar, size, probe, "xy")


def gatys(exemplar, size: int, probe: int):
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
    steps = 1 if probe else GATYS
    # as neural-style-pt takes them: no line search, so a step is one evaluation
    optimizer = torch.optim.LBFGS([image], max_iter=steps, max_eval=2 * steps, tolerance_grad=-1, tolerance_change=-1)

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


def quilting(exemplar, size: int, _probe: int):
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

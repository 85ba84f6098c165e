"""Pictures larger than memory: the tiled gradient against the whole one, seams, and 4096 px under 4 GB.

    python benchmarks/large.py --data DATA [--size 4096] [--cap 4GB] [--threads 2]

DATA is a folder with content/highres, content/test and style. Prints
  1. the relative difference of the tiled gradient from the whole one at 768 px in float32, over the whole picture and away
     from its border, for three positions of the grid
  2. seam energy: the mean jump of pixels across the grid's lines over the mean jump elsewhere, of a picture painted in
     tiles whose grid never moves, and of the same picture painted whole
  3. peak memory of the process, the estimate printed beforehand, and seconds a step, of a picture of --size px
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

STEPS = "512:12,1448:3,4096:2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--cap", default="4GB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("large.png"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        paint(options)
        return
    gradients(options)
    large(options)


def gradients(options: argparse.Namespace) -> None:
    import torch

    from impasto.paint.image import Painting
    from impasto.paint.optimize import Level
    from impasto.paint.pictures import opened
    from impasto.paint.settings import Settings
    from impasto.still import open_styles

    torch.set_num_threads(options.threads)
    content, _ = opened(options.data / "content/test/tubingen.jpg")
    styles = open_styles(options.data / "style/vangogh_starry_night.jpg")
    painting = Painting(content, styles, Settings(size="768", precision="fp32"))
    noise = torch.randn(painting.full.shape, generator=torch.Generator().manual_seed(0))
    image = (painting.full + 0.05 * noise).clamp(0, 1)
    _, whole = painting.objective_at(Level(768, 1)).gradient(image)
    tiled = painting.objective_at(Level(768, 1, tile=256))
    inside = (..., slice(16, -16), slice(16, -16))
    for step in range(3):
        _, parts = tiled.gradient(image, step)
        everywhere = float((parts - whole).norm() / whole.norm())
        away = float((parts - whole)[inside].norm() / whole[inside].norm())
        print(f"gradient at 768 px, tiles of 256 px, grid {step}: differs by {everywhere:.1e}, away from the border {away:.1e}")
    seams(painting)


def seams(painting) -> None:
    """Paint a few steps with a grid that stays where it is, and look at its lines."""
    import torch

    from impasto.paint import optimize
    from impasto.paint.optimize import Level

    results = {}
    for name, tile in (("whole", 0), ("in tiles", 256)):
        level = Level(768, 8, tile=tile)
        objective = painting.objective_at(level)
        if tile:
            moving = objective.gradient
            objective = type("Fixed", (), {"gradient": lambda self, image, step=0, moving=moving: moving(image, 0)})()
        canvas = optimize.Picture(painting.full)
        for _ in optimize.steps(canvas, lambda _level, found=objective: found, [level], painting.settings):
            pass
        results[name] = canvas.pixels.detach()
    random = torch.Generator().manual_seed(painting.settings.seed * 1_000_003)
    down, right = (torch.randint(256 // 16, (2,), generator=random) * 16).tolist()
    for name, image in results.items():
        rows = (image[..., 1:, :] - image[..., :-1, :]).abs().mean((0, 1, 3))
        columns = (image[..., 1:] - image[..., :-1]).abs().mean((0, 1, 2))
        on = torch.cat([rows[(down - 1) % 256 :: 256], columns[(right - 1) % 256 :: 256]]).mean()
        print(f"seam energy on the grid's lines, painted {name}: {float(on / torch.cat([rows, columns]).mean()):.3f}")


def large(options: argparse.Namespace) -> None:
    command = [sys.executable, __file__, "--worker", "--data", options.data, "--size", options.size, "--cap", options.cap]
    command += ["--threads", options.threads, "--out", options.out]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen([str(word) for word in command], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the large picture failed")
    print(f"peak memory of the process: {usage.ru_maxrss / 1e6:.2f} GB under a cap of {options.cap}")


def paint(options: argparse.Namespace) -> None:
    import torch

    from impasto.paint.image import Painting
    from impasto.paint.pictures import opened
    from impasto.paint.settings import Settings
    from impasto.still import open_styles

    torch.set_num_threads(options.threads)
    content, _ = opened(options.data / "content/highres/antelope_canyon_full.jpg")
    styles = open_styles(options.data / "style/kandinsky_composition_vii.jpg")
    settings = Settings(size=str(options.size), max_memory=options.cap, steps=STEPS.replace("4096", str(options.size)))
    painting = Painting(content, styles, settings)
    print(painting.plan(), flush=True)
    before = time.perf_counter()
    for step in painting.steps():
        now = time.perf_counter()
        print(f"  {step.size[1]} x {step.size[0]} px: {now - before:.1f} s, loss {step.losses['total']:.0f}", flush=True)
        before = now
    painting.result().save(options.out, force=True)


if __name__ == "__main__":
    main()

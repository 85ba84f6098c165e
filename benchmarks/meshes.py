"""3D models: seconds by part, memory, and how well the paint holds together, in pieces that can be run apart.

    python benchmarks/meshes.py MODELS STYLES [--models duck,house3] [--styles munch_the_scream] [--qualities draft,good]
        [--minutes 1.5] [--validator FOLDER] [--each 20,200]
    python benchmarks/meshes.py --table

MODELS is a folder of models (a folder within it counts by its .obj); STYLES of paintings. For each model, style and quality
one process. A line of JSON is appended to results/meshes/meshes.jsonl when all of its parts are done; what has a line is not
made again (remove it to make it anew). After so many minutes the work stops where it is, and the same command goes on with it.

  seconds        style, load, atlas, filter and steps, export, turntable frames; `processor`: of both cores together, over
                 two, which is what the seconds would be on two idle cores that are never waited for
  reprojection   root mean square difference of what two cameras 5 and 20 degrees apart see at one place of the model, without
                 light: of the paint; of the unpainted model ("floor": sampling alone); of the painting itself pasted over the
                 map ("pasted": sampling of something as rich in detail, where the model itself is plain)
  filter, image  the same of renders painted each by itself: by the filter, and as `impasto image` paints at this quality
  seams          mean difference of the paint on both sides of chart borders, over that of places as far apart inside
                 charts, both where the surface is smooth
  texels_visible, coverage   share of texels that any of 64 views sees; of these the share that 4 or more steps saw
  edges          F1 of edges in the painted render against edges of the geometry (faces and normals), over that of the source
  style          w2 distance to the painting over 12 views that were not painted from, of both the paint and the source
  film           `--render-style`: flicker of a turntable of 96 frames, 1 and 5 frames apart, along the exact motion
  validator      errors and warnings of Khronos's glTF validator

Look at the sheets beside the results: figures do not say whether it looks painted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl")


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
        return
    options.results.mkdir(parents=True, exist_ok=True)
    if options.table:
        table(rows(options))
        return
    begun = time.monotonic()
    for model in models(options):
        for style in options.style_names.split(","):
            for quality in options.qualities.split(","):
                key = f"{name_of(model)} {style} {options.size} {quality}"
                left = options.minutes * 60 - (time.monotonic() - begun)
                if key in rows(options) or left < 5:
                    continue
                found = run(model, style, quality, left, options)
                if found is None:
                    print(key, "goes on with the next call", flush=True)
                    continue
                with (options.results / "meshes.jsonl").open("a") as file:
                    file.write(json.dumps({"run": key, **found}) + "\n")
                print(key, json.dumps(found), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="MODELS", nargs="?")
    parser.add_argument("paintings", type=Path, metavar="STYLES", nargs="?")
    parser.add_argument("--models", default="", help="names, without suffix")
    parser.add_argument("--styles", dest="style_names", default="munch_the_scream", help="names, without suffix")
    parser.add_argument("--qualities", default="draft,good")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--each", default="20,200", help="azimuths of renders painted by themselves; none: leave that out")
    parser.add_argument("--validator", default="", metavar="FOLDER", help="where gltf-validator is installed by npm")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "meshes")
    parser.add_argument("--unfinished", type=Path, default=Path(tempfile.gettempdir(), "impasto-meshes"))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--style", help=argparse.SUPPRESS)
    parser.add_argument("--quality", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.table and options.paintings is None:
        parser.error("give MODELS and STYLES, or --table")
    return options


def rows(options: argparse.Namespace) -> dict[str, dict]:
    """The lines that are there, by their run; of several the last."""
    kept = options.results / "meshes.jsonl"
    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    return {line["run"]: line for line in lines}


def name_of(model: Path) -> str:
    return model.parent.name if model.stem == "house" else model.stem


def models(options: argparse.Namespace) -> list[Path]:
    found = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in SUFFIXES)
    wanted = options.models.split(",") if options.models else [name_of(path) for path in found]
    missing = set(wanted) - {name_of(path) for path in found}
    if missing:
        raise SystemExit(f"not in {options.data}: {', '.join(sorted(missing))}")
    return [path for path in found if name_of(path) in wanted]


def run(model: Path, style: str, quality: str, left: float, options: argparse.Namespace) -> dict | None:
    """One row, or None where the time was over before."""
    line = [sys.executable, __file__, str(options.data), str(options.paintings), "--worker", str(model), "--style", style]
    line += ["--quality", quality, "--size", str(options.size), "--frames", str(options.frames), "--minutes", str(left / 60)]
    line += ["--threads", str(options.threads), "--results", str(options.results), "--each", options.each]
    line += ["--validator", options.validator, "--unfinished", str(options.unfinished)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model} {style} {quality}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Ledger:
    """What is known so far of one row, kept in a file, and the time that is left."""

    def __init__(self, file: Path, seconds: float) -> None:
        self.file, self.end = file, time.monotonic() + seconds
        self.told = json.loads(file.read_text()) if file.exists() else {"seconds": {}, "processor": {}, "parts": []}
        self.lap()

    def lap(self) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def add(self, part: str, once: bool = True) -> None:
        """Seconds since the last time; of what is begun anew in each piece the first time counts."""
        wall, own = time.perf_counter() - self.begun[0], time.process_time() - self.begun[1]
        for table, value in (("seconds", wall), ("processor", own / 2)):
            before = self.told[table].get(part)
            if before is None or not once:
                self.told[table][part] = round((before or 0) + value, 2)
        self.lap()

    def part(self, name: str, make, seconds: float) -> bool:
        """Make a part of the row if it is missing; False where there is not the time for it."""
        if name in self.told["parts"]:
            return True
        if self.end - time.monotonic() < seconds:
            return False
        self.told |= make()
        self.told["parts"].append(name)
        self.keep()
        return True

    def keep(self) -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if "painted" not in self.told["parts"]:
            self.told["memory_gb"] = round(max(memory, self.told.get("memory_gb", 0)), 2)
        self.file.write_text(json.dumps(self.told))

    @property
    def over(self) -> bool:
        return time.monotonic() > self.end


def work(options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(options.threads)
    import mesh_figures as figures

    from impasto import still
    from impasto.mesh import load
    from impasto.mesh.paint import Painting
    from impasto.paint.settings import Settings

    name = f"{name_of(Path(options.worker))}-{options.style}-{options.quality}"
    options.unfinished.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(options.unfinished / f"{name}.json", options.minutes * 60)
    path = next(each for each in options.paintings.iterdir() if each.stem == options.style)
    styles = still.open_styles([str(path)])
    ledger.add("style")
    model = load.load(options.worker)
    ledger.add("load")
    settings = Settings(size=str(options.size), quality=options.quality)
    painting = Painting(model, styles, settings, bind=still.bind)
    ledger.add("atlas")
    state = options.unfinished / f"{name}-state.safetensors"
    if state.exists():
        painting.load_state(state)
        ledger.lap()
    if not paint(painting, ledger, state):
        print("null")
        return
    painted = painting.result()
    azimuths = [float(word) for word in options.each.split(",") if word != "none"]
    parts = {
        "shown": (lambda: shown(painting, painted, name, ledger, options), 10),
        "consistency": (lambda: figures.consistency(painting, painted), 10),
        "filter": (lambda: figures.each(painting, path, settings, "filter", figures.AZIMUTHS), 15),
        "edges": (lambda: figures.edges(painting, painted), 5),
        "held out": (lambda: figures.held_out(painting, painted, path), 15),
        "seams": (lambda: figures.seams(painting, painted), 5),
        "coverage": (lambda: figures.coverage(painting), 10),
        "film": (lambda: figures.filmed(painting), 20),
    }
    if azimuths and options.quality != "draft":  # `impasto image` paints a draft by the filter
        parts["image"] = lambda: figures.each(painting, path, settings, "image", azimuths), 60
    missing = [part for part, (make, seconds) in parts.items() if not ledger.part(part, make, seconds)]
    if missing:
        print("null")
        return
    told = {key: value for key, value in ledger.told.items() if key != "parts"}
    print(json.dumps({"faces": model.count, **told}))


def paint(painting, ledger: Ledger, state: Path) -> bool:
    """Take the steps; False where the time is over, and what there is kept."""
    if "painted" in ledger.told["parts"]:
        return True
    for _ in painting.steps():
        if ledger.over:
            break
    else:
        ledger.add("paint", once=False)
        ledger.keep()
        ledger.told["parts"].append("painted")
        ledger.keep()
    if ledger.over:
        ledger.add("paint", once=False)
        ledger.keep()
    painting.save_state(state)
    return "painted" in ledger.told["parts"]


def shown(painting, painted, name: str, ledger: Ledger, options: argparse.Namespace) -> dict:
    """Export, turntable and sheet; what the validator says of the export."""
    import mesh_figures as figures

    from impasto.cli import sheet
    from impasto.mesh import export, turntable

    with tempfile.TemporaryDirectory() as folder:
        ledger.lap()
        export.save(painted, Path(folder, "out.glb"))
        ledger.add("export")
        show = turntable.Show(painting.stage, painted.maps)
        for _ in turntable.write(show, Path(folder, "turn.mp4"), (options.size, options.size), options.frames):
            pass
        ledger.add("turntable")
        valid = figures.validated(Path(folder, "out.glb"), options.validator) if options.validator else {}
    before = turntable.Show(painting.stage, painting.sources)
    sheet.sheet(turntable.pairs(before, show, (400, 400)), 4).save(options.results / f"{name}.jpg")
    return valid


def table(found: dict[str, dict]) -> None:
    """The rows as a table in Markdown."""
    heads = ("model", "quality", "seconds", "of processor", "GB", "5°: paint / floor / pasted", "filter", "image")
    heads += ("20°: paint / floor / pasted", "filter", "image", "seams", "coverage", "edges", "style / source / filter / image")
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for key, row in found.items():
        model, _, _, quality = key.split()
        cells = [model, quality]
        cells += [str(round(sum(v for k, v in row[t].items() if k != "turntable"))) for t in ("seconds", "processor")]
        cells.append(str(row["memory_gb"]))
        for degrees in (5, 20):
            own = row[f"reprojection_{degrees}"]
            cells.append(f"{own['paint']} / {own['floor']} / {own['pasted']}")
            cells += [str(row.get(f"{how}_{degrees}", "")) for how in ("filter", "image")]
        cells += [str(row["seam_ratio"]), str(row["coverage"]), str(row["edges_over_source"])]
        cells.append(f"{row['style']} / {row['style_of_source']} / {row['filter_style']} / {row.get('image_style', '')}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

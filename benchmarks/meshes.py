"""3D models: seconds by part, memory, and how well the paint holds together, in one run on one machine.

    python benchmarks/meshes.py MODELS STYLES [--models duck,house3] [--styles munch_the_scream] [--qualities draft,good]

MODELS is a folder of models (a folder within it counts by its .obj); STYLES of paintings. For each model, style and quality
one process; results are kept in a JSON file after each, and what is there is not made again (--again makes it anew).

  seconds        load, atlas, filter and steps, export, turntable frames
  reprojection   root mean square difference of what two cameras 5 and 20 degrees apart see at one place of the model, without
                 light; over the same of the unpainted model (its sampling floor), and of renders stylized each by itself
  seams          mean difference of the paint on both sides of chart borders, over that of places as far apart inside
                 charts, both where the surface is smooth
  coverage       share of the texels that any of 64 views around sees at all
  edges          F1 of edges in the painted render against edges of the geometry (faces and normals), over that of the source
  style          w2 distance to the painting over 12 views that were not painted from, of both the paint and the source

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
        print(json.dumps(work(options)))
        return
    options.results.mkdir(parents=True, exist_ok=True)
    kept = options.results / "meshes.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for model in models(options):
        for style in options.style_names.split(","):
            for quality in options.qualities.split(","):
                key = f"{name_of(model)} {style} {options.size} {quality}"
                if key not in rows or options.again:
                    rows[key] = run(model, style, quality, options)
                    kept.write_text(json.dumps(rows, indent=1) + "\n")
                print(key, json.dumps(rows[key]), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="MODELS")
    parser.add_argument("paintings", type=Path, metavar="STYLES")
    parser.add_argument("--models", default="", help="names, without suffix")
    parser.add_argument("--styles", dest="style_names", default="munch_the_scream", help="names, without suffix")
    parser.add_argument("--qualities", default="draft,good")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "meshes")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--style", help=argparse.SUPPRESS)
    parser.add_argument("--quality", help=argparse.SUPPRESS)
    return parser.parse_args()


def name_of(model: Path) -> str:
    return model.parent.name if model.stem == "house" else model.stem


def models(options: argparse.Namespace) -> list[Path]:
    found = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in SUFFIXES)
    wanted = options.models.split(",") if options.models else [name_of(path) for path in found]
    missing = set(wanted) - {name_of(path) for path in found}
    if missing:
        raise SystemExit(f"not in {options.data}: {', '.join(sorted(missing))}")
    return [path for path in found if name_of(path) in wanted]


def run(model: Path, style: str, quality: str, options: argparse.Namespace) -> dict:
    line = [sys.executable, __file__, str(options.data), str(options.paintings), "--worker", str(model), "--style", style]
    line += ["--quality", quality, "--size", str(options.size), "--frames", str(options.frames)]
    line += ["--threads", str(options.threads), "--results", str(options.results)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model} {style} {quality}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def work(options: argparse.Namespace) -> dict:
    import torch

    torch.set_num_threads(options.threads)
    from impasto import still
    from impasto.cli import sheet
    from impasto.mesh import export, load, turntable
    from impasto.mesh.paint import Painting
    from impasto.paint.settings import Settings

    seconds, begun = {}, time.perf_counter()

    def lap(part: str) -> None:
        nonlocal begun
        seconds[part] = round(time.perf_counter() - begun, 2)
        begun = time.perf_counter()

    path = next(each for each in options.paintings.iterdir() if each.stem == options.style)
    styles = still.open_styles([str(path)])
    lap("style")
    model = load.load(options.worker)
    lap("load")
    settings = Settings(size=str(options.size), quality=options.quality)
    painting = Painting(model, styles, settings, bind=still.bind)
    lap("atlas")
    for _ in painting.steps():
        pass
    painted = painting.result()
    lap("paint")
    name = f"{name_of(Path(options.worker))}-{options.style}-{options.quality}"
    with tempfile.TemporaryDirectory() as folder:
        export.save(painted, Path(folder, "out.glb"))
        lap("export")
        show = turntable.Show(painting.stage, painted.maps)
        for _ in turntable.write(show, Path(folder, "turn.mp4"), (options.size, options.size), options.frames):
            pass
        lap("turntable")
    before = turntable.Show(painting.stage, painting.sources)
    sheet.sheet(turntable.pairs(before, show, (400, 400)), 4).save(options.results / f"{name}.jpg")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures = {**consistency(painting, painted), **seams(painting, painted), **edges(painting, painted)}
    return {
        "faces": model.count,
        "seconds": seconds,
        "memory_gb": round(memory, 2),
        **figures,
        **held_out(painting, painted, path),
    }


def bare(stage, maps, camera, size):
    """A view without light, and what it sees."""
    import torch

    from impasto.mesh import sample

    with torch.no_grad():
        view = stage.look(camera, (size, size), stage.layout(maps), relief=0)
        return view.picture(sample.texels(maps), torch.full((3,), 0.95)), view


def reprojection(stage, first, second, images, size):
    """Root mean square difference of two views' pictures at places that both see."""
    import numpy as np
    import torch
    from scipy import ndimage
    from torch.nn import functional as F

    seen, other = stage.see(first, size, size), stage.see(second, size, size)
    inside = ndimage.binary_erosion(seen.face >= 0, iterations=2)
    rows, columns = np.nonzero(inside)
    corners = stage.triangles.corners[seen.face[rows, columns]]
    places = (corners * seen.weights[rows, columns][..., None]).sum(1)
    there = second.project(places, size, size)
    x, y = there[:, 0] / there[:, 2], there[:, 1] / there[:, 2]
    column, row = x.astype(int).clip(0, size - 1), y.astype(int).clip(0, size - 1)
    within = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    shown = within & ndimage.binary_erosion(other.face >= 0, iterations=2)[row, column]
    shown &= np.abs(other.depth[row, column] / there[:, 2] - 1) < 0.005
    grid = torch.from_numpy(np.stack([x, y], 1)[shown] / size * 2 - 1).float()[None, None]
    read = F.grid_sample(images[1], grid, "bicubic", align_corners=False)[0, :, 0]
    own = images[0][0][:, rows[shown], columns[shown]]
    return float((read - own).square().mean().sqrt())


def consistency(painting, painted):
    """Reprojection at 5 and 20 degrees: of the paint, of the unpainted model, and of renders stylized each by itself."""
    import torch

    from impasto import still
    from impasto.mesh import cameras

    stage, size, found = painting.stage, 384, {}
    paint = still.bind(painting.styles, size)
    for degrees in (5, 20):
        values = {"paint": [], "floor": [], "each": []}
        for azimuth in (20, 110, 200, 290):
            pair = [cameras.orbit(stage.center, stage.frame, azimuth + k * degrees, 15) for k in (0, 1)]
            own = [bare(stage, painting.sources, camera, size)[0] for camera in pair]
            values["floor"].append(reprojection(stage, *pair, own, size))
            images = [bare(stage, painted.maps, camera, size)[0] for camera in pair]
            values["paint"].append(reprojection(stage, *pair, images, size))
            with torch.no_grad():
                values["each"].append(reprojection(stage, *pair, [paint(image) for image in own], size))
        mean = {name: sum(each) / len(each) for name, each in values.items()}
        found[f"reprojection_{degrees}"] = {name: round(value, 4) for name, value in mean.items()}
        found[f"over_floor_{degrees}"] = round(mean["paint"] / max(mean["floor"], 1e-6), 2)
        found[f"below_each_{degrees}"] = round(mean["each"] / max(mean["paint"], 1e-6), 2)
    return found


def seams(painting, painted):
    """Differences across borders of charts, over those inside: edges that two faces share, a little to both sides of them."""
    import numpy as np

    from impasto.mesh.model import cross, unit
    from impasto.mesh.sample import bilinear

    stage, atlas = painting.stage, painted.atlas
    corners, uv = stage.triangles.corners, stage.uv
    keys = np.round(corners / (stage.radius * 1e-5)).astype(np.int64)
    _, place = np.unique(keys.reshape(-1, 3), axis=0, return_inverse=True)
    place = place.reshape(-1, 3)
    edges: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for face in range(len(place)):
        for k in range(3):
            a, b = place[face, k], place[face, (k + 1) % 3]
            edges.setdefault((min(a, b), max(a, b)), []).append((face, k, int(a > b)))
    flat = unit(cross(corners))

    def smooth(one, other):
        # where a wall meets a roof the paint may change
        return flat[one] @ flat[other] > 0.9

    apart, together = [], []
    for sides in edges.values():
        if len(sides) == 2 and stage.page[sides[0][0]] == stage.page[sides[1][0]] and smooth(*(side[0] for side in sides)):
            ends = [uv[f, [k, (k + 1) % 3]][:: 1 - 2 * turned] for f, k, turned in sides]
            (apart if np.abs(ends[0] - ends[1]).max() > 1e-4 else together).append((sides, ends))

    def difference(pairs):
        values = []
        for sides, ends in pairs[:4000]:
            page = stage.page[sides[0][0]]
            image = painted.maps[page][0].permute(1, 2, 0).numpy()
            colors = []
            for (face, k, _), (first, last) in zip(sides, ends, strict=True):
                inner = uv[face, (k + 2) % 3]
                middle = (first + last) / 2
                way = (inner - middle) * np.array(image.shape[1::-1])
                step = min(1.0, 1.5 / max(np.linalg.norm(way), 1e-9))
                colors.append(bilinear(image, (middle + (inner - middle) * step)[None], atlas.pages[page].clamped)[0])
            values.append(np.abs(colors[0] - colors[1]).mean())
        return float(np.mean(values)) if values else float("nan")

    across, inside = difference(apart), difference(together)
    return {
        "seam_ratio": round(across / inside, 3) if apart and together else None,
        "seams": len(apart),
        "coverage": coverage(painting),
    }


def coverage(painting):
    """Share of texels that any of 64 views sees."""
    import torch

    from impasto.mesh import cameras, project

    found = project.Collected(painting.stage, [page.shape for page in painting.atlas.pages])
    for camera in cameras.around(painting.stage.center, painting.stage.frame, 64):
        found.add(camera, torch.zeros(1, 3, 256, 256))
    return round(float(sum((each > 0).sum() for each in found.total) / sum(len(each) for each in found.total)), 3)


def edges(painting, painted):
    """F1 of a render's edges against those of the geometry, with a slack of 2 px: painted and unpainted, without light."""
    import numpy as np
    from scipy import ndimage
    from skimage.feature import canny

    from impasto.mesh import cameras

    stage, size = painting.stage, 384

    def f1(image, truth):
        found = canny(image[0].mean(0).numpy(), 1.5)
        near = [ndimage.binary_dilation(each, iterations=2) for each in (truth, found)]
        precision, recall = (found & near[0]).sum() / max(found.sum(), 1), (truth & near[1]).sum() / max(truth.sum(), 1)
        return 2 * precision * recall / max(precision + recall, 1e-9)

    values = []
    for azimuth in (35, 125, 215, 305):
        camera = cameras.orbit(stage.center, stage.frame, azimuth, 18)
        seen = stage.see(camera, size, size)
        normals = np.where(seen.face[..., None] >= 0, stage.triangles.normals[seen.face].mean(2), 0)
        jumps = [np.abs(np.diff(normals, axis=k, append=np.take(normals, [-1], k))).max(-1) > 0.3 for k in (0, 1)]
        values.append([f1(bare(stage, maps, camera, size)[0], jumps[0] | jumps[1]) for maps in (painted.maps, painting.sources)])
    paint, source = np.mean(values, 0)
    return {"edges": round(float(paint), 3), "edges_over_source": round(float(paint / source), 3)}


def held_out(painting, painted, path):
    """w2 to the painting of 12 views, what is behind the model left out of them."""
    import torch

    from impasto import metrics
    from impasto.mesh import cameras
    from impasto.pixels import geometry

    stage, values = painting.stage, []
    for camera in cameras.around(stage.center, stage.frame, 12):
        row = []
        for maps in (painted.maps, painting.sources):
            image, view = bare(stage, maps, camera, 256)
            mask = (view.mask() > 0.99).float()
            row.append(metrics.style_distance(geometry.fill(image, mask).clamp(0, 1), str(path)))
        values.append(row)
    paint, source = torch.tensor(values).mean(0).tolist()
    return {"style": round(paint, 1), "style_of_source": round(source, 1)}


if __name__ == "__main__":
    main()

"""What `benchmarks/meshes.py` measures of a painted model."""

from __future__ import annotations

import json
import math
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from impasto import metrics, still
from impasto.mesh import cameras, film, motion, project, sample
from impasto.mesh.model import cross, unit
from impasto.mesh.sample import bilinear
from impasto.mesh.turntable import Show
from impasto.pixels import geometry
from impasto.pixels.picture import Picture
from impasto.video import flow

SIDE = 384
AZIMUTHS = (20, 110, 200, 290)
ANGLES = (5, 20)


def bare(stage, maps, camera, size=SIDE, ground=0.95):
    """A view without light, and what it sees."""
    with torch.no_grad():
        view = stage.look(camera, (size, size), stage.layout(maps), relief=0)
        return view.picture(sample.texels(maps), torch.as_tensor(ground).float().expand(3)), view


def reprojection(stage, first, second, images, size=SIDE):
    """Root mean square difference of two views' pictures at places that both see."""
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


def pairs(stage, azimuths=AZIMUTHS):
    """(degrees, two cameras so many degrees apart)."""
    for degrees in ANGLES:
        for azimuth in azimuths:
            yield degrees, [cameras.orbit(stage.center, stage.frame, azimuth + k * degrees, 15) for k in (0, 1)]


def rooted(found):
    """Roots of mean squares, by degrees."""
    return {degrees: math.sqrt(np.mean(np.square(values))) for degrees, values in found.items()}


def consistency(painting, painted):
    """Reprojection of the paint, of the unpainted model, and of the best that any map as rich in detail could do."""
    stage, found = painting.stage, {}
    exact = [_pasted(page, painting.styles) for page in painting.atlas.pages]
    for name, maps in (("paint", painted.maps), ("floor", painting.sources), ("pasted", exact)):
        values = {degrees: [] for degrees in ANGLES}
        for degrees, pair in pairs(stage):
            values[degrees].append(reprojection(stage, *pair, [bare(stage, maps, camera)[0] for camera in pair]))
        found[name] = rooted(values)
    return {f"reprojection_{degrees}": {name: round(values[degrees], 4) for name, values in found.items()} for degrees in ANGLES}


def _pasted(page, styles):
    """A map with nothing but the painting on it, as large as it is looked at: as consistent as a map can be."""
    images = [style.picture.image for style in styles if style.picture is not None]
    return geometry.resize(images[0], page.shape) if images else page.image


def each(painting, style_path, settings, how, azimuths):
    """Reprojection and style of renders painted each by itself, by the filter or as `impasto image` does at this quality."""
    stage, values, styles, known, begun = painting.stage, {degrees: [] for degrees in ANGLES}, [], {}, time.perf_counter()
    ground = painting.background()
    paint = still.bind(painting.styles, SIDE)

    def picture(camera):
        key = tuple(camera.eye.round(6))
        if key not in known:
            own, view = bare(stage, painting.sources, camera, ground=ground)
            if how == "filter":
                with torch.no_grad():
                    known[key] = paint(own)
            else:
                work = still.painting(Picture(own), painting.styles, settings)
                for _ in work.steps():
                    pass
                known[key] = work.result().image
            mask = (view.mask() > 0.99).float()
            filled = geometry.fill(geometry.resize(known[key], (256, 256)), geometry.resize(mask, (256, 256)).gt(0.99).float())
            styles.append(metrics.style_distance(filled.clamp(0, 1), str(style_path)))
        return known[key]

    for degrees, pair in pairs(stage, azimuths):
        values[degrees].append(reprojection(stage, *pair, [picture(camera) for camera in pair]))
    found = {f"{how}_{degrees}": round(value, 4) for degrees, value in rooted(values).items()}
    return {**found, f"{how}_style": round(float(np.mean(styles)), 1), f"{how}_seconds": round(time.perf_counter() - begun, 1)}


def seams(painting, painted):
    """Differences across borders of charts, over those inside: edges that two faces share, a little to both sides of them."""
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

    def difference(found):
        values = []
        for sides, ends in found[:4000]:
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

    ratio = difference(apart) / difference(together) if apart and together else None
    return {"seam_ratio": None if ratio is None else round(ratio, 3), "seams": len(apart)}


def coverage(painting):
    """Share of all texels that any of 64 views sees, and of those the share that at least four of the steps' views saw."""
    stage, seed = painting.stage, painting.settings.seed
    shapes = [(max(8, height // 4), max(8, width // 4)) for height, width in (page.shape for page in painting.atlas.pages)]
    places = [project.Places(stage, number, shape) for number, shape in enumerate(shapes)]
    seen, hits = [torch.zeros(len(each.flat)) for each in places], [torch.zeros(len(each.flat)) for each in places]
    steps = sum(count for _, count in painting.state.made)
    views = [(seen, camera) for camera in cameras.around(stage.center, stage.frame, 64)]
    views += [(hits, cameras.chance(stage.center, stage.frame, stage.points(), seed, number)) for number in range(steps)]
    for counts, camera in views:
        for own, count in zip(places, counts, strict=True):
            count += (project.weights(stage, own, camera, 192, 192)[0] > 0).float()
    visible, often = torch.cat(seen) > 0, torch.cat(hits) >= 4
    return {
        "texels_visible": round(float(visible.float().mean()), 3),
        "coverage": round(float((visible & often).sum() / visible.sum().clamp(min=1)), 3),
    }


def edges(painting, painted):
    """F1 of a render's edges against those of the geometry, with a slack of 2 px: painted and unpainted, without light."""
    from skimage.feature import canny

    stage = painting.stage

    def f1(image, truth):
        found = canny(image[0].mean(0).numpy(), 1.5)
        near = [ndimage.binary_dilation(each, iterations=2) for each in (truth, found)]
        precision, recall = (found & near[0]).sum() / max(found.sum(), 1), (truth & near[1]).sum() / max(truth.sum(), 1)
        return 2 * precision * recall / max(precision + recall, 1e-9)

    values = []
    for azimuth in (35, 125, 215, 305):
        camera = cameras.orbit(stage.center, stage.frame, azimuth, 18)
        seen = stage.see(camera, SIDE, SIDE)
        normals = np.where(seen.face[..., None] >= 0, stage.triangles.normals[seen.face].mean(2), 0)
        jumps = [np.abs(np.diff(normals, axis=k, append=np.take(normals, [-1], k))).max(-1) > 0.3 for k in (0, 1)]
        values.append([f1(bare(stage, maps, camera)[0], jumps[0] | jumps[1]) for maps in (painted.maps, painting.sources)])
    paint, source = np.mean(values, 0)
    return {"edges": round(float(paint), 3), "edges_over_source": round(float(paint / source), 3)}


def held_out(painting, painted, path):
    """w2 to the painting of 12 views, what is behind the model left out of them."""
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


def filmed(painting, count=24):
    """Flicker of a turntable painted as pictures: of the renders, of each frame by itself, and steadied; 1 and 5 frames apart."""
    stage, shape = painting.stage, (SIDE, SIDE)
    show, brush = Show(stage, painting.sources), film.Brush(painting.regions, painting.styles, painting.settings, SIDE)
    views = cameras.turntable(stage.center, stage.frame, 96)
    begun = time.perf_counter()
    lead = film.frames(show, painting.regions, brush, views[:count], shape, closed=False)
    steady = [image for _, image in zip(range(count), lead, strict=True)]
    rate = count / (time.perf_counter() - begun)
    renders = [film.render(show, painting.regions, view, shape, brush.ground) for view in views[:count]]
    found = {"source": [made.image for made in renders], "alone": [brush.paint(made) for made in renders], "steady": steady}
    glances = [motion.glance(stage, view, *shape) for view in views[:count]]
    told = {}
    for lag in (1, 5):
        ways = [motion.exact(stage, glances[k], glances[k - lag]) for k in range(count // 2, count)]
        for name, pictures in found.items():
            off = [_off(pictures[k], pictures[k - lag], *way) for k, way in zip(range(count // 2, count), ways, strict=True)]
            told[f"film_{name}_{lag}"] = round(math.sqrt(np.mean(off)), 4)
    sharp = [sum(float(image.diff(dim=k).abs().mean()) for image in found[n] for k in (2, 3)) for n in ("steady", "alone")]
    return {**told, "film_sharpness": round(sharp[0] / sharp[1], 3), "film_rate": round(rate, 2)}


def _off(picture, before, way, sound):
    moved = flow.warp(np.ascontiguousarray(before[0].permute(1, 2, 0).numpy()), way, cubic=True)
    return np.square(picture[0].permute(1, 2, 0).numpy() - moved)[ndimage.binary_erosion(sound)].mean()


def validated(path, modules):
    """Errors and warnings of Khronos's validator (`npm install gltf-validator` in the folder `modules`)."""
    code = "const v=require(process.argv[1]),f=require('fs');v.validateBytes(new Uint8Array(f.readFileSync(process.argv[2])))"
    code += ".then(r=>console.log(JSON.stringify(r.issues)))"
    module = Path(modules).resolve() / "node_modules" / "gltf-validator"
    done = subprocess.run(["node", "-e", code, str(module), str(path)], capture_output=True, text=True, check=True)
    issues = json.loads(done.stdout)
    told = sorted({message["code"] for message in issues["messages"] if message["severity"] <= 1})
    return {"validator_errors": issues["numErrors"], "validator_warnings": issues["numWarnings"], "validator_says": told}

"""The schedule of the best public optimizer, rebuilt for the benchmark: crowsonkb/style-transfer-pytorch's defaults.

Same network underneath as ours (VGG-16), float32, W2 by twelve Newton-Schulz iterations, 1000 steps at 128 px, then
500 at each size greater by the square root of two, Adam 0.02 with carried moments, averaged iterates 0.99, TV 2. The
state is kept in a file after every 25 steps, so that a run of an hour can be interrupted. Seconds are the sum over the
sizes of steps times the median seconds a step: an interruption, or something else running for a while, does not count.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional as F

from impasto.features import encoders

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHTS = tuple(weight / 341 for weight in (256, 64, 16, 4, 1))


class NewtonSchulzRoot(torch.autograd.Function):
    """Matrix square root by twelve coupled Newton-Schulz iterations; backward by the Lyapunov equation (Lin & Maji 2017)."""

    @staticmethod
    def forward(ctx, matrix):
        norm = matrix.norm()
        root, inverse = matrix / norm, torch.eye(len(matrix))
        triple = 3 * torch.eye(len(matrix))
        for _ in range(12):
            middle = (triple - inverse @ root) / 2
            root, inverse = root @ middle, middle @ inverse
        root = root * norm.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx, gradient):
        (root,) = ctx.saved_tensors
        norm = root.norm()
        a, q, triple = root / norm, gradient / norm, 3 * torch.eye(len(root))
        for _ in range(12):
            rest = triple - a @ a
            q = (q @ rest - a.T @ (a.T @ q - q @ a)) / 2
            a = a @ rest / 2
        return q / 2


def moments(features):
    flat = features.flatten(-2)[0]
    return flat.mean(1), flat @ flat.T / flat.shape[1]


def covariance(mean, second):
    return second - torch.outer(mean, mean) + 1e-4 * torch.eye(len(mean))


def total_variation(image):
    p = F.pad(image, (1, 1, 1, 1), "replicate")
    right = (p[..., 1:-1, 2:] - p[..., 1:-1, 1:-1]).pow(2).mean() / 3
    down = (p[..., 2:, 1:-1] - p[..., 1:-1, 1:-1]).pow(2).mean() / 3
    diagonal = (p[..., 1:, 1:] - p[..., :-1, :-1]).pow(2).mean() / 12
    other = (p[..., 1:, :-1] - p[..., :-1, 1:]).pow(2).mean() / 12
    return 2 * (right + down + diagonal + other)


def fitted(picture, size, enlarge):
    width, height = picture.size
    if max(width, height) > size or enlarge:
        factor = size / max(width, height)
        width, height = (size, round(height * factor)) if width >= height else (round(width * factor), size)
    pixels = torch.frombuffer(bytearray(picture.resize((width, height), Image.Resampling.BICUBIC).tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, 3).movedim(3, 1).float() / 255


def objective(encoder, content, style):
    """The loss of one size as a function of the image."""
    with torch.no_grad():
        wanted = encoder(content, ["relu4_2"])["relu4_2"]
        targets = []
        for layer, weight in zip(STYLE_LAYERS, STYLE_WEIGHTS, strict=True):
            mean, second = moments(encoder(style, [layer])[layer])
            cov = covariance(mean, second)
            targets.append((layer, weight, mean, cov, NewtonSchulzRoot.apply(cov)))

    def loss(image):
        found = encoder(image, [*STYLE_LAYERS, "relu4_2"])
        total = 0.015 * F.mse_loss(found["relu4_2"], wanted) + 2 * total_variation(image)
        for layer, weight, mean, cov, root in targets:
            own_mean, second = moments(found[layer])
            own = covariance(own_mean, second)
            cross = NewtonSchulzRoot.apply(root @ own @ root)
            total = total + weight * ((own_mean - mean).pow(2).mean() + (cov + own - 2 * cross).diagonal().mean())
        return total

    return loss


def sizes(end):
    found, index = [], 0
    while (size := round(end / 2 ** (index / 2))) >= 128:
        found.append(size)
        index += 1
    return found[::-1]


def run(content_path: Path, style_path: Path, end: int, state_path: Path, *, probe: int = 0):
    """Run to the end size, going on from the state file. Returns per size: picture, steps, median seconds a step."""
    encoder = encoders.load("vgg16")
    content_picture, style_picture = (Image.open(path).convert("RGB") for path in (content_path, style_path))
    state = torch.load(state_path, weights_only=True) if state_path.exists() else {"done": {}}
    for position, size in enumerate(sizes(end)):
        if size in state["done"]:
            continue
        steps = 1000 if position == 0 else 500
        content = fitted(content_picture, size, True)
        if state.get("size") != size:
            start = content if position == 0 else state["average"] / state["norm"]
            start = F.interpolate(start, content.shape[-2:], mode="bicubic").clamp(0, 1)
            first, second = torch.zeros_like(start), torch.zeros_like(start)
            if position:
                first = F.interpolate(state["first"], content.shape[-2:], mode="bicubic")
                second = F.interpolate(state["second"], content.shape[-2:], mode="bilinear").relu()
            state |= {"size": size, "image": start, "first": first, "second": second, "index": 0, "seconds": []}
            state |= {"average": 0.01 * start, "norm": 0.01, "adam": state.get("adam", 0)}
        loss = objective(encoder, content, fitted(style_picture, size, False))
        while state["index"] < (probe or steps):
            began = time.perf_counter()
            image = state["image"].requires_grad_()
            value = loss(image)
            (gradient,) = torch.autograd.grad(value, image)
            state["adam"] += 1
            state["first"] = 0.9 * state["first"] + 0.1 * gradient
            state["second"] = 0.99 * state["second"] + 0.01 * gradient.square()
            first = state["first"] / (1 - 0.9 ** state["adam"])
            second = state["second"] / (1 - 0.99 ** state["adam"])
            state["image"] = (image.detach() - 0.02 * first / (second.sqrt() + 1e-8)).clamp(0, 1)
            state["average"] = 0.99 * state["average"] + 0.01 * state["image"]
            state["norm"] = 0.99 * state["norm"] + 0.01
            state["index"] += 1
            state["seconds"].append(time.perf_counter() - began)
            if state["index"] % 25 == 0:
                torch.save(state, state_path)
                second = statistics.median(state["seconds"])
                print(f"{size} px {state['index']}/{steps} loss {value.item():.1f} {second:.2f} s a step", flush=True)
        state["done"][size] = {
            "picture": state["average"] / state["norm"],
            "steps": steps,
            "second": statistics.median(state["seconds"]),
        }
        torch.save(state, state_path)
    return state["done"]


def seconds(content_path: Path, style_path: Path, end: int, steps: int) -> float:
    """Seconds of the whole schedule here and now: its steps times the median seconds of a few at each size."""
    encoder = encoders.load("vgg16")
    content_picture, style_picture = (Image.open(path).convert("RGB") for path in (content_path, style_path))
    total = 0.0
    for position, size in enumerate(sizes(end)):
        image = fitted(content_picture, size, True)
        loss = objective(encoder, image, fitted(style_picture, size, False))
        taken = []
        for _ in range(steps):
            began = time.perf_counter()
            image = image.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(image), image)
            image = (image.detach() - 0.02 * gradient.sign()).clamp(0, 1)
            taken.append(time.perf_counter() - began)
        total += (1000 if position == 0 else 500) * statistics.median(taken)
    return total


def save(picture: torch.Tensor, path: Path) -> None:
    pixels = picture[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()
    Image.fromarray(pixels.numpy()).save(path)


if __name__ == "__main__":
    import sys

    run(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        Path(sys.argv[4]),
        probe=int(sys.argv[5]) if len(sys.argv) > 5 else 0,
    )

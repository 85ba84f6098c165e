"""Objectives put together."""

import torch

from impasto.paint import image as images
from impasto.paint import objective, optimize
from impasto.paint.image import Painting
from impasto.paint.pictures import opened
from impasto.paint.settings import Settings
from impasto.pixels import geometry
from impasto.still import open_styles


class Quadratic:
    """½ mean |x − goal|²: a loss whose gradient is known."""

    def __init__(self, goal):
        self.goal = goal

    def loss(self, image):
        return 0.5 * (image - self.goal).square().mean()

    def gradient(self, image, step=0):
        value = self.loss(image)
        return {"style": value, "total": value}, (image - self.goal) / image.numel()


def test_two_scales_have_the_gradient_of_their_sum(picture):
    image, near, far = picture(1, 40, 56)[None], picture(2, 40, 56)[None], picture(3, 20, 28)[None]
    both = objective.Scales(Quadratic(near), Quadratic(far), (20, 28))
    losses, pull = both.gradient(image)
    leaf = image.clone().requires_grad_()
    total = Quadratic(near).loss(leaf) + Quadratic(far).loss(geometry.resize(leaf, (20, 28)))
    (wanted,) = torch.autograd.grad(total, leaf)
    torch.testing.assert_close(pull, wanted)
    torch.testing.assert_close(losses["total"], total.detach())
    assert losses.keys() == {"style", "total"}


def test_only_large_pictures_are_seen_from_afar(picture, narrow, monkeypatch):
    monkeypatch.setattr(images, "LARGE", 64)
    monkeypatch.setattr(images, "FAR", 32)
    settings = Settings(size="96", steps="3", encoder=narrow, precision="fp32")
    painting = Painting(opened(picture(1, 72, 96))[0], open_styles(picture(2, 80, 80)), settings)
    at = {size: painting.objective_at(optimize.Level(size, 1)) for size in (64, 96)}
    assert not isinstance(at[64], objective.Scales)
    assert isinstance(at[96], objective.Scales)
    assert at[96].shape == (24, 32)

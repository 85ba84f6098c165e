"""Graphs for export: rewritten operators against torch's own, whole networks against the originals."""

import pytest
import torch
from torch.nn import functional as F

from impasto.export import graph, parts
from impasto.fast import style as filters
from impasto.features import encoders


@pytest.fixture(scope="module")
def bound():
    return filters.bind(filters.network(), [(1.0, filters.load("great-wave"))])


def called(program):
    return {node.target for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (3, 3, 3, 3), (1, 0, 1, 0), (0, 2, 0, 5)])
def test_borders_are_repeated_by_slices(pads):
    image = torch.rand(1, 3, 6, 7)
    assert torch.equal(graph.padded(image, pads, "replicate"), F.pad(image, pads, "replicate"))


def test_other_padding_is_left_as_it_is():
    assert graph.padded(torch.rand(1, 1, 2, 2), (1, 1)) is NotImplemented


def test_norms_are_the_batch_norm_of_one_picture():
    x, gamma, beta = torch.randn(1, 5, 9, 4), torch.randn(5), torch.randn(5)
    expected = torch.batch_norm(x, gamma, beta, None, None, True, 0.0, 1e-3, False)
    for norm in (graph.normed, graph.spelled):
        assert torch.allclose(norm(x, gamma, beta, True, 0.0, 1e-3)[0], expected, atol=1e-5)


def test_small_rewrites_are_what_they_replace():
    x = torch.randn(2, 3)
    assert torch.equal(graph.diagonal(x), torch.diag_embed(x))
    parts = [torch.randn(1, k) for k in range(1, 13)]
    assert torch.equal(graph.joined(parts, 1), torch.cat(parts, 1))
    assert graph.joined([parts[3], parts[3][:, :0]], 1) is parts[3]
    assert [part.shape[1] for part in graph.divided(parts[10], 4, 1)] == [4, 4, 3]
    assert torch.equal(torch.cat(graph.divided(parts[10], 4, 1), 1), parts[10])
    assert graph.resized(x, [-1, 3]) is x
    assert graph.resized(x, [6]) is NotImplemented


def test_kernels_that_are_computed_become_constants():
    class Doubled(torch.nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight * 2, self.bias)

    content = torch.rand(1, 3, 16, 16)
    module = Doubled(3, 2, 3)
    with torch.no_grad():
        program = graph.trace(module, [content], {}, fixed=True)
        assert called(program) == {graph.aten.conv2d.default}
        assert torch.equal(program.module()(content), module(content))


@pytest.mark.parametrize("shape", [(64, 64), (48, 40), (9, 7), (512, 512)])
def test_the_mean_in_steps_is_the_mean(shape):
    x = torch.rand(1, 3, *shape) * 8 - 3
    assert (graph.level(x).double() - x.double().mean((2, 3), keepdim=True)).abs().max() <= 1e-6


def test_colors_are_mixed_by_the_matrix():
    matrix, image = torch.randn(1, 3, 3), torch.rand(1, 3, 4, 5)
    expected = torch.einsum("brc,bchw->brhw", matrix, image)
    for mix in (graph.mixed, graph.multiplied):
        assert torch.allclose(mix("brc,bchw->brhw", [matrix, image]), expected, atol=1e-6)


def test_the_logit_is_clamped():
    x = torch.tensor([0.0, 0.3, 1.0])
    assert torch.allclose(graph.logit(x, 1 / 512), torch.logit(x, 1 / 512), atol=1e-5)


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_graph_of_fixed_size_paints_as_the_filter(bound, strength):
    content = torch.rand(1, 3, 144, 160)  # at 1/2 size the noise is laid out in more than one tile
    program = graph.trace(graph.Filter(bound), [content, torch.tensor(strength)], graph.SPELLED, fixed=True)
    replaced = graph.SPELLED.keys() - {graph.aten.mean.dim, graph.aten.cat.default, graph.aten.view.default}
    assert not called(program) & (replaced - {graph.aten.reshape.default, graph.aten.expand.default})
    painted = program.module()(content, torch.tensor(strength))
    assert (painted - bound(content, strength=strength)).abs().max() <= 1e-5


@pytest.mark.slow
def test_one_graph_paints_any_size_and_strength(bound):
    program = graph.trace(graph.Filter(bound), [torch.rand(1, 3, 64, 96), torch.tensor(1.0)], graph.PLAIN, fixed=False)
    content = torch.rand(1, 3, 152, 72)
    painted = program.module()(content, torch.tensor(0.6))
    assert (painted - bound(content, strength=0.6)).abs().max() <= 1e-5
    assert not called(program) & {
        graph.aten.logit.default,
        graph.aten.einsum.default,
        graph.aten._native_batch_norm_legit.no_stats,
    }


@pytest.mark.slow
def test_the_code_can_be_an_input():
    net = filters.network()
    code = filters.load("mosaic").code
    content = torch.rand(1, 3, 64, 64)
    program = graph.trace(graph.Transformer(net), [content, code, torch.tensor(1.0)], graph.PLAIN, fixed=False)
    assert (program.module()(content, code, torch.tensor(1.0)) - net(content, code)).abs().max() <= 1e-5


def test_the_encoder_sees_a_painting_as_the_network_does():
    part = parts.of_encoder(filters.network(), encoders.load("vgg16"), 64)
    inputs = part.checks[0]
    with torch.no_grad():
        code = part.module(**inputs)
    assert torch.allclose(code, part.original(**inputs), atol=1e-4)

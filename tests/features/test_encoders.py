"""VGG against torch's own layers, and every checkpoint that is not one refused."""

from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from impasto.errors import UnfitPicture, UsageError, WeightsError
from impasto.features import encoders, weights
from impasto.features.encoders import ENCODERS, POOLINGS, VGG

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)
"""Configuration D of Simonyan & Zisserman 2015, table 1."""
CAFFE_MEAN = (123.68, 116.779, 103.939)
NAMES = {
    "vgg11": "1_1 2_1 3_1 3_2 4_1 4_2 5_1 5_2",
    "vgg16": "1_1 1_2 2_1 2_2 3_1 3_2 3_3 4_1 4_2 4_3 5_1 5_2 5_3",
    "vgg19": "1_1 1_2 2_1 2_2 3_1 3_2 3_3 3_4 4_1 4_2 4_3 4_4 5_1 5_2 5_3 5_4",
}


def plain(pooling=None, first="replicate", others="zeros"):
    """VGG-16 out of torch's layers, loaded with the embedded weights; {name of layer: index}."""
    layers, names, channels, block, number = [], {}, 3, 1, 0
    for entry in VGG16:
        if entry == "M":
            layers.append(pooling or nn.MaxPool2d(2))
            block, number = block + 1, 0
            continue
        number += 1
        layers += [nn.Conv2d(channels, entry, 3, padding=1, padding_mode=others if layers else first), nn.ReLU()]
        names[f"relu{block}_{number}"] = len(layers) - 1
        channels = entry
    net = nn.Sequential(*layers)
    state, _ = weights.load(encoders.EMBEDDED)
    net.load_state_dict({key.removeprefix("features."): value.float() for key, value in state.items()}, strict=True)
    return net.requires_grad_(False), names


def passed(net, names, image):
    x, found = 255 * image - torch.tensor(CAFFE_MEAN).view(1, 3, 1, 1), {}
    for index, layer in enumerate(net):
        x = layer(x)
        found[index] = x
    return {name: found[index] for name, index in names.items()}


def assert_near(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_the_embedded_network_is_a_plain_vgg16_with_its_border_replicated(encoder, picture):
    image = picture(3, 50, 64)[None]
    net, names = plain()
    assert encoder.layers == tuple(names)
    found = encoder(image, encoder.layers)
    for name, expected in passed(net, names, image).items():
        assert_near(found[name], expected)


def test_inside_it_is_the_network_as_published(encoder, picture):
    image = picture(4, 96, 96)[None]
    net, names = plain(first="zeros")
    expected = passed(net, names, image)
    for name, margin in (("relu1_1", 1), ("relu2_1", 2), ("relu3_1", 4)):
        inside = (..., slice(margin, -margin), slice(margin, -margin))
        found = encoder(image, [name])[name]
        assert_near(found[inside], expected[name][inside])
        assert (found - expected[name]).abs().max() > 1e-2 * expected[name].abs().max()  # the border does differ


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_poolings_are_torchs_rescaled(pooling, picture):
    layer = nn.AvgPool2d(2) if pooling == "average" else nn.LPPool2d(2, 2)
    ones = torch.ones(1, 1, 2, 2)
    layer = Scaled(layer, float(POOLINGS[pooling](ones) / layer(ones)))
    image = picture(5, 48, 48)[None]
    net, names = plain(pooling=layer)
    expected = passed(net, names, image)["relu4_1"]
    assert_near(encoders.load(pooling=pooling)(image, ["relu4_1"])["relu4_1"], expected)


class Scaled(nn.Module):
    def __init__(self, layer, factor):
        super().__init__()
        self.layer, self.factor = layer, factor

    def forward(self, x):
        return self.factor * self.layer(x)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_responses_keep_their_size_under_every_pooling(pooling, encoder, picture):
    image = picture(6, 64, 64)[None]
    layers = ["relu3_1", "relu4_1"]
    found, wanted = encoders.load(pooling=pooling)(image, layers), encoder(image, layers)
    for layer in layers:
        assert 0.5 < found[layer].square().mean().sqrt() / wanted[layer].square().mean().sqrt() < 2


def test_circular_padding_is_torchs(picture):
    image = picture(7, 48, 64)[None]
    net, names = plain(first="circular", others="circular")
    encoder = encoders.load(padding="circular")
    found = encoder(image, encoder.layers)
    for name, expected in passed(net, names, image).items():
        assert_near(found[name], expected)


@pytest.mark.parametrize(("padding", "rolled"), [("circular", (16, 48)), ("circular", (32, -16)), ("circular-x", (0, 48))])
def test_a_periodic_plane_has_no_edges(padding, rolled, picture, vgg_state):
    encoder = VGG(vgg_state("vgg16"), padding=padding)
    image = picture(8, 48, 64)[None]
    before, after = (encoder(each, encoder.layers) for each in (image, image.roll(rolled, (2, 3))))
    for name in encoder.layers:
        stride = 2 ** (int(name[4]) - 1)
        assert_near(after[name], before[name].roll((rolled[0] // stride, rolled[1] // stride), (2, 3)), 1e-5)


def test_circular_x_has_edges_above_and_below(picture, vgg_state):
    encoder = VGG(vgg_state("vgg16"), padding="circular-x")
    image = picture(8, 48, 64)[None]
    before, after = (encoder(each, ["relu1_1"])["relu1_1"] for each in (image, image.roll(16, 2)))
    assert (before.roll(16, 2) - after).abs().max() > 1e-3


def test_unknown_padding_is_refused(vgg_state):
    with pytest.raises(UsageError, match="mirror"):
        VGG(vgg_state("vgg16"), padding="mirror")


def test_unknown_pooling_is_refused(vgg_state):
    with pytest.raises(UsageError, match="median"):
        VGG(vgg_state("vgg16"), pooling="median")


@pytest.mark.parametrize("shape", NAMES)
@pytest.mark.parametrize("width", [1, 5])
def test_layers_are_named_by_block_and_number(shape, width, vgg_state):
    state = vgg_state(shape, width)
    encoder = VGG(state | {"classifier.0.weight": torch.zeros(3, 3), "classifier.0.bias": torch.zeros(3)})
    assert " ".join(name.removeprefix("relu") for name in encoder.layers) == NAMES[shape]
    found = encoder(torch.rand(2, 3, 33, 47), [*encoder.layers, "input"])
    for name in encoder.layers:
        block = int(name[4])
        expected = (2, width * min(2, block), 33 >> (block - 1), 47 >> (block - 1))
        assert found[name].shape == expected
        assert found[name].min() >= 0


def test_the_image_itself_is_a_layer(encoder):
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    assert torch.equal(encoder(image, ["input"])["input"], image)
    assert set(encoder(image, ["input", "relu1_2"])) == {"input", "relu1_2"}


def test_a_picture_of_a_batch_is_as_if_alone(encoder, picture):
    images = torch.stack([picture(seed, 32, 32) for seed in (1, 2)])
    together = encoder(images, ["relu3_1"])["relu3_1"]
    for image, found in zip(images, together, strict=True):
        assert_near(found[None], encoder(image[None], ["relu3_1"])["relu3_1"], 1e-5)


def test_no_deeper_layer_is_computed_than_asked_for(vgg_state):
    state = vgg_state("vgg16")
    for name in state:
        if int(name.split(".")[1]) > 0:
            state[name] = torch.full_like(state[name], float("nan"))
    found = VGG(state)(torch.rand(1, 3, 16, 16), ["relu1_1"])
    assert torch.isfinite(found["relu1_1"]).all()


def test_bfloat16_is_near_float32(encoder, picture):
    image = picture(9, 32, 32)[None]
    low = encoders.load().precision(torch.bfloat16)
    found = low(image, ["input", "relu4_1"])
    assert found["relu4_1"].dtype == low.dtype == torch.bfloat16
    assert torch.equal(found["input"], image)
    assert_near(found["relu4_1"].float(), encoder(image, ["relu4_1"])["relu4_1"], 0.05)


def test_gradients_reach_the_image_and_not_the_weights(encoder, picture):
    image = picture(10, 32, 32)[None].requires_grad_()
    encoder(image, ["relu5_1"])["relu5_1"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().amax() > 0
    assert not list(encoder.parameters())
    assert not any(buffer.requires_grad for buffer in encoder.buffers())


@pytest.mark.parametrize("side", [(15, 64), (64, 1)])
def test_too_small_a_picture_is_refused(side, encoder):
    with pytest.raises(UnfitPicture, match=f"{side[1]} x {side[0]} px"):
        encoder(torch.rand(1, 3, *side), ["relu1_1"])


@pytest.mark.parametrize("layer", ["relu6_1", "relu1_3", "conv1_1", ""])
def test_an_unknown_layer_is_refused(layer, encoder):
    with pytest.raises(UsageError, match="it has relu1_1"):
        encoder(torch.rand(1, 3, 16, 16), [layer])


# checkpoints


def torchvisions(state):
    """A VGG and the normalization that torchvision's checkpoints expect, out of torch's functions."""

    def first_layer(image):
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        x = F.pad((image - mean) / std, (1, 1, 1, 1), "replicate")
        return F.conv2d(x, state["features.0.weight"], state["features.0.bias"]).relu()

    return first_layer


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_foreign_checkpoint_of_torchvision_is_accepted(suffix, tmp_path, vgg_state, picture):
    path = tmp_path / f"vgg19{suffix}"
    state = vgg_state("vgg19") | {"classifier.6.weight": torch.rand(5, 5)}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    encoder = encoders.load(str(path))
    assert len(encoder.layers) == 16
    image = picture(11, 20, 20)[None]
    assert_near(encoder(image, ["relu1_1"])["relu1_1"], torchvisions(state)(image), 1e-5)


def test_an_encoders_passport_sets_its_normalization(tmp_path, vgg_state):
    state = vgg_state("vgg16")
    path = tmp_path / "own.safetensors"
    weights.save(path, state, {"kind": "encoder", "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "name": "own"})
    encoder = encoders.load(str(path))
    assert encoder.name == "own"
    image = torch.rand(1, 3, 16, 16)
    shifted = (image - torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)) / 0.5
    plain = VGG(state, mean=(0, 0, 0), std=(1, 1, 1))
    assert_near(encoder(image, ["relu2_1"])["relu2_1"], plain(shifted, ["relu2_1"])["relu2_1"], 1e-5)


def wrong_checkpoints(state):
    first = state["features.0.weight"]
    yield "no biases", {key: value for key, value in state.items() if key.endswith("weight")}
    yield "gray input", state | {"features.0.weight": first[:, :1]}
    yield "5 x 5 kernels", state | {"features.2.weight": torch.zeros(4, 4, 5, 5)}
    yield "channels that do not fit", state | {"features.5.weight": torch.zeros(8, 5, 3, 3)}
    yield "a bias of another length", state | {"features.0.bias": torch.zeros(3)}
    yield "NaN", state | {"features.2.bias": torch.full((4,), float("nan"))}
    yield "infinity", state | {"features.2.weight": torch.full((4, 4, 3, 3), float("inf"))}
    yield "too shallow", {key: value for key, value in state.items() if int(key.split(".")[1]) < 17}
    yield "begins late", {key: value for key, value in state.items() if int(key.split(".")[1]) > 0}
    yield "nothing", {}
    yield "another network", {"conv1.weight": first}
    # how torchvision names the layers of its other networks
    yield "vgg16_bn", state | {"features.1.weight": torch.ones(4), "features.1.bias": torch.ones(4)}
    yield "densenet", {"features.conv0.weight": first, "features.norm0.weight": torch.ones(4)}
    yield "mobilenet", {"features.0.0.weight": first, "features.0.1.weight": torch.ones(4)}
    yield "squeezenet", {"features.0.weight": first, "features.3.squeeze.weight": first.clone()}


@pytest.mark.parametrize("index", range(15))
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_not_a_vgg_is_refused(index, suffix, tmp_path, vgg_state):
    what, state = list(wrong_checkpoints(vgg_state("vgg16")))[index]
    path = tmp_path / f"{what}{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        weights.save(path, state, {"kind": "encoder"})
    with pytest.raises(WeightsError) as caught:
        encoders.load(str(path))
    assert str(caught.value).count(str(path)) == 1, what


def test_the_wrong_ones_are_all_tried(vgg_state):
    assert len(list(wrong_checkpoints(vgg_state("vgg16")))) == 15


def test_a_file_of_another_kind_is_refused(tmp_path, vgg_state):
    path = tmp_path / "style.safetensors"
    weights.save(path, vgg_state("vgg16"), {"kind": "style"})
    with pytest.raises(WeightsError, match="not an encoder but a style"):
        encoders.load(str(path))


@pytest.mark.parametrize("name", ["vgg99", "", "vgg16.onnx"])
def test_a_name_that_is_neither_known_nor_a_file_is_refused(name):
    with pytest.raises(UsageError, match="vgg16"):
        encoders.load(name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.pth"):
        encoders.load(str(tmp_path / "gone.pth"))


def test_the_embedded_file_says_where_it_comes_from():
    state, passport = weights.load(encoders.EMBEDDED)
    assert passport["kind"] == "encoder"
    assert passport["sha256"] == weights.digest(state)
    assert "CC" in str(passport)
    assert list(ENCODERS) == ["vgg16"]
    keys = [key for _, key in encoders.plan(state) if key is not None]
    widths = [entry for entry in VGG16 if entry != "M"]
    shapes = [(after, before, 3, 3) for before, after in pairwise([3, *widths])]
    assert [tuple(state[f"{key}.weight"].shape) for key in keys] == shapes

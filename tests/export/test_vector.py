"""Styles as vectors."""

import struct
from dataclasses import replace

import pytest
import torch

from impasto.errors import OutputExists, UsageError
from impasto.export import vector
from impasto.fast import style as filters
from impasto.fast.style import Style


def style(changes):
    net = filters.network()
    return Style("plain", torch.randn(1, net.code_size), {}, net.identity, changes)


def test_a_vector_is_the_code_and_nothing_else(tmp_path):
    plain = style({})
    path = vector.write(plain, tmp_path / "plain.f32")
    assert struct.unpack(f"<{plain.code.numel()}f", path.read_bytes()) == tuple(plain.code[0].tolist())
    with pytest.raises(OutputExists, match="--force"):
        vector.write(plain, path)
    vector.write(replace(plain, code=plain.code + 1), path, force=True)
    assert [each.name for each in tmp_path.iterdir()] == ["plain.f32"]


def test_a_filter_that_changes_the_network_is_no_vector(tmp_path):
    with pytest.raises(UsageError, match="a filter of its own"):
        vector.write(style({"paint.bias": torch.ones(12)}), tmp_path / "own.f32")
    assert vector.write(style({"paint.bias": torch.zeros(12)}), tmp_path / "same.f32").exists()

"""Caps on memory: what is said beforehand, and what is chosen to stay under it."""

import platform
import subprocess
import sys

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.paint import memory
from impasto.paint.optimize import HISTORY, Level


@pytest.mark.parametrize(
    ("text", "bytes_"), [("2GB", 2e9), ("512MB", 512e6), ("1.5 g", 1.5e9), ("800MiB", 800e6), ("", float("inf"))]
)
def test_amounts(text, bytes_):
    assert memory.parse(text) == bytes_


@pytest.mark.parametrize("text", ["2", "GB", "-1GB", "2 apples", "0x2GB"])
def test_what_is_not_an_amount(text):
    with pytest.raises(UsageError, match="max_memory"):
        memory.parse(text)


@given(st.integers(64, 8192), st.integers(64, 8192), st.floats(0.6e9, 64e9))
@example(400, 500, 1.1e9)
def test_the_chosen_way_stays_under_the_cap(height, width, cap):
    asked = Level(max(height, width), 5)
    if memory.estimate(height, width, torch.float32, memory.TILES[-1], memory.LEAST_HISTORY) > cap:
        with pytest.raises(UsageError, match="at least"):
            memory.limited(asked, height, width, torch.float32, cap)
        return
    level = memory.limited(asked, height, width, torch.float32, cap)
    assert memory.estimate(height, width, torch.float32, level.tile, level.history) <= cap
    assert memory.LEAST_HISTORY <= level.history <= HISTORY
    assert (level.size, level.steps) == (max(height, width), 5)


def test_without_need_nothing_is_cut():
    assert memory.limited(Level(512, 5), 512, 512, torch.float32, 64e9) == Level(512, 5)


PINNED = """
import os
import torch
from impasto.paint import memory

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.ones(1 << 21)  # from now on glibc takes pieces as large as this from its heap
begun = held()
many = [torch.ones(1 << 18) for _ in range(200)]
full = held()
many[:-1] = []  # the last one holds all that lies before it
memory.give_back()
print(full - begun, held() - begun)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is free is kept by glibc alone")
def test_what_is_free_is_given_back():
    ran = subprocess.run([sys.executable, "-c", PINNED], capture_output=True, text=True, check=True)
    taken, kept = map(int, ran.stdout.split())
    assert taken > 200e6
    assert kept < 0.1 * taken

"""One clip on many processors and machines: process pools, Dask clusters, shares of a render farm."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager

import torch

from impasto.errors import MissingExtra, PaintingError, UsageError
from impasto.video.pace import Progress
from impasto.video.render import distribute
from impasto.video.work import Chunk, Plan, Work

ATTEMPTS = 3
"""How often in a row a pool is begun again after a worker was killed, as long as none of them finishes anything."""
PATIENCE = "10s"
"""How long a cluster is waited for."""


def shard(plan: Plan, text: str) -> list[Chunk]:
    """The chunks of one of n machines: "2/5" is every fifth chunk from the second on.

    Raises:
        UsageError: not I/N with 1 <= I <= N.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text!r} is not I/N with I from 1 to N, like 2/5")
    return list(plan.chunks[int(found[1]) - 1 :: int(found[2])])


def pool(workers: int) -> Executor:
    """Processes that share this machine's cores. Ctrl-C is left to the process that began them."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_prepare, initargs=(threads,))


def _prepare(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)


def pooled(work: Work, plan: Plan, workers: int, chunks: Sequence[Chunk] | None = None) -> Iterator[Progress]:
    """Paint in several processes; where one is killed (memory), go on with new ones from what is finished.

    Raises:
        PaintingError: workers are killed again and again.
        ImpastoError: what went wrong in one of them.
    """
    chosen = plan.chunks if chunks is None else chunks
    failures, gone = 0, _gone(work, chosen)
    while gone:
        with pool(min(workers, len(chosen))) as executor:
            try:
                yield from distribute(work, plan, executor, chosen)
                return
            except BrokenExecutor as error:
                before, gone = gone, _gone(work, chosen)
                failures = failures + 1 if gone == before else 1
                if failures == ATTEMPTS:
                    raise PaintingError(
                        f"workers were killed {ATTEMPTS} times, memory may be short: take fewer --workers or a smaller --size; "
                        "finished frames are kept, --resume goes on"
                    ) from error


def _gone(work: Work, chunks: Sequence[Chunk]) -> int:
    return sum(len(work.missing(chunk)) for chunk in chunks)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of a Dask cluster as an executor: tcp://host:8786, or "local" for one on this machine.

    Raises:
        MissingExtra: Dask is not installed.
        UsageError: it cannot be reached.
    """
    try:
        dask = importlib.import_module("distributed")
    except ImportError as error:
        raise MissingExtra("painting on a cluster", "cluster") from error
    try:
        # its dashboard would take a port that another one may have
        own = {"address": None, "dashboard_address": "127.0.0.1:0"} if address == "local" else {"address": address}
        client = dask.Client(timeout=PATIENCE, **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no cluster answers at {address}, is its scheduler running? Finished frames are kept ({error})"
        ) from error
    try:
        yield client.get_executor()
    finally:
        client.close()

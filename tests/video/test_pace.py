"""Frames made in advance, in a thread of their own."""

import threading

import pytest

from impasto.video.pace import ahead


def test_frames_come_in_order_and_what_goes_wrong_after_those_before_it():
    def items():
        yield from range(5)
        raise ValueError("the sixth")

    frames = ahead(items())
    assert [next(frames) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="the sixth"):
        next(frames)
    assert list(ahead(iter(range(7)))) == list(range(7))


def test_no_frame_is_begun_after_nobody_wants_it():
    begun, second, gate = [], threading.Event(), threading.Event()

    def items():
        for number in range(9):
            begun.append(number)
            if number:
                second.set()
                assert gate.wait(10)
            yield number

    frames = ahead(items())
    assert next(frames) == 0
    assert second.wait(10)
    threading.Timer(0.1, gate.set).start()
    frames.close()
    assert begun == [0, 1]

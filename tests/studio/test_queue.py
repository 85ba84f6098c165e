"""One works, the others wait in order, and who gives up leaves the queue."""

import threading

import pytest

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.errors import ImpastoError
from impasto.studio.queue import Queue


def test_places_come_in_order_and_move_up():
    queue = Queue()
    with queue.place() as first:
        with queue.place() as second, queue.place() as third:
            assert [place.ahead() for place in (first, second, third)] == [0, 1, 2]
        assert len(queue.places) == 1
    with queue.place() as again:
        assert again.ahead() == 0


def test_one_who_leaves_lets_the_others_move_up():
    queue, moved = Queue(), threading.Event()
    inside = threading.Event()

    def wait():
        with queue.place() as place:
            inside.set()
            while place.ahead(5):
                pass
            moved.set()

    with queue.place():
        thread = threading.Thread(target=wait)
        thread.start()
        assert inside.wait(5)
        assert not moved.wait(0.1)
    assert moved.wait(1)  # told at once, not after the five seconds
    thread.join()
    assert queue.places == []


def test_too_many_are_told_that_it_is_busy_and_take_no_place():
    queue = Queue(most=1)
    with queue.place(), queue.place():
        with pytest.raises(ImpastoError, match="busy: 1 jobs are waiting"), queue.place():
            pass
        assert len(queue.places) == 2


def test_an_error_gives_the_place_up():
    queue = Queue()
    with pytest.raises(ZeroDivisionError), queue.place():
        raise ZeroDivisionError
    assert queue.places == []

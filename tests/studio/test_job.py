"""Long work as the page follows it: in turn, stopped within a step, with nothing left behind."""

from contextlib import closing
from pathlib import Path

import pytest
import torch

pytest.importorskip("gradio", reason="the extra studio is not installed")

import gradio

from impasto.errors import ImpastoError, UsageError
from impasto.studio import fields, history, job
from impasto.studio.desk import Desk, Desks, Made
from impasto.studio.job import Wrong, at, follow
from impasto.studio.queue import Queue
from impasto.types import Step


class Counting:
    """A job of a hundred steps that notes what became of it."""

    before, label = None, "Step"

    def __init__(self, desk, fails=False):
        self.desk, self.fails, self.done, self.closed = desk, fails, 0, False

    def steps(self):
        try:
            for index in range(1, 101):
                if self.fails and index == 3:
                    raise UsageError("step 3 is one too many")
                self.done = index
                yield Step(index, 100, preview=torch.rand(1, 3, 8, 8), size=(8, 8))
        finally:
            self.closed = True

    def finish(self, stopped):
        return Made(self.desk.folder, self.desk.folder, "stopped" if stopped else "whole", {})


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "desk")


@pytest.fixture
def eager(monkeypatch):
    """Every step is told and shown."""
    monkeypatch.setattr(job, "TOLD", 0)
    monkeypatch.setattr(job, "SHOWN", 0)


def test_all_steps_then_the_result(desk, eager):
    work = Counting(desk)
    news = list(follow(Queue(), desk, "photo", lambda: work))
    assert work.done == 100
    assert news[-1].made.caption == "whole"
    assert desk.made == [news[-1].made]
    shares = [each.share for each in news[1:-1]]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_previews_are_files_and_old_ones_are_thrown_away(desk, eager):
    shown = [each.preview for each in follow(Queue(), desk, "photo", lambda: Counting(desk)) if each.preview]
    assert len(shown) == 100
    assert [path for path in shown if path.exists()] == shown[-job.KEPT :]


def test_stop_is_heeded_within_a_step_and_keeps_the_best_so_far(desk, eager):
    work, queue = Counting(desk), Queue()
    for news in follow(queue, desk, "photo", lambda: work):
        if work.done == 5 and not news.made:
            desk.stop("photo")
    assert work.done == 5
    assert work.closed
    assert news.made.caption == "stopped"
    assert queue.places == []
    assert not desk.works("photo")


def test_closing_stops_the_work_and_keeps_nothing(desk, eager):
    work, queue = Counting(desk), Queue()
    with closing(follow(queue, desk, "photo", lambda: work)) as news:
        while work.done < 3:
            next(news)
    assert work.done == 3
    assert work.closed
    assert (queue.places, desk.made) == ([], [])


def test_one_who_waits_is_told_the_place_and_may_leave(desk, monkeypatch):
    monkeypatch.setattr(job, "PATIENCE", 0.01)
    queue = Queue()
    with queue.place():
        news = follow(queue, desk, "photo", lambda: pytest.fail("it must not begin"))
        assert next(news).text == "Waiting: 1 job before yours."
        desk.stop("photo")
        assert [each.text for each in news] == ["Stopped before it began."]
    assert queue.places == []


def test_new_work_in_a_tab_stops_the_old(desk, eager):
    old = Counting(desk)
    running = follow(Queue(), desk, "photo", lambda: old)
    while old.done < 2:
        next(running)
    list(follow(Queue(), desk, "photo", lambda: Counting(desk)))
    assert next(running).made.caption == "stopped"


def test_what_goes_wrong_is_raised_and_leaves_no_place(desk, eager):
    queue = Queue()
    with pytest.raises(UsageError, match="one too many"):
        list(follow(queue, desk, "photo", lambda: Counting(desk, fails=True)))
    assert queue.places == []
    assert not desk.works("photo")


def test_errors_name_the_field_and_no_path_of_the_machine():
    with pytest.raises(Wrong) as error, at("photo", "/secret/place/cat.jpg"):
        raise ImpastoError("/secret/place/cat.jpg is not a picture")
    assert (error.value.field, str(error.value)) == ("photo", "cat.jpg is not a picture")


def test_names_with_two_spaces_bring_no_path_along_either():
    with pytest.raises(Wrong) as error, at("photo", "/secret/place/a  cat.jpg"):
        raise ImpastoError("/secret/place/a  cat.jpg is not a picture")
    assert str(error.value) == "a cat.jpg is not a picture"


def test_the_inner_field_wins():
    with pytest.raises(Wrong) as error, at("settings"), at("photo"):
        raise ImpastoError("no")
    assert error.value.field == "photo"


def test_errors_that_are_not_ours_are_sentences_too(caplog):
    assert job.sentence(RuntimeError("shapes\ndiffer")) == "unexpected RuntimeError: shapes differ"
    assert "there is not enough memory" in job.sentence(MemoryError())


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (75, "1:15 min"), (3600, "60:00 min"), (-1, "0 s")])
def test_clock(seconds, text):
    assert job.clock(seconds) == text


def test_desks_are_apart_and_leave_nothing(tmp_path):
    desks = Desks(tmp_path)
    one, other = desks.of("one"), desks.of("other")
    assert desks.of("one") is one
    assert one.path("a.png").parent.is_dir()
    assert other.path("a.png") != one.path("a.png")
    desks.close("one")
    assert not one.folder.exists()
    assert other.folder.exists()
    assert desks.of("one") is not one
    desks.close_all()
    assert list(tmp_path.iterdir()) == []


def test_closing_a_desk_stops_its_work_and_keeps_nothing(tmp_path, eager):
    desks = Desks(tmp_path)
    desk = desks.of("tab")
    work = Counting(desk)
    news = follow(Queue(), desk, "photo", lambda: work)
    while work.done < 2:
        next(news)
    desks.close("tab")
    desk.folder.mkdir()  # as work in its last step may
    list(news)
    assert work.done == 2
    assert desk.made == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ImpastoError, match="page was closed"):
        desk.path("a.png")


def test_work_that_begins_while_its_tab_is_closed_ends_at_once(desk):
    late = Counting(desk)
    desk.clear()
    assert [each.made for each in follow(Queue(), desk, "photo", lambda: late)] == [None, None]
    assert late.done == 1


class Asking:
    """A request of a session, as Gradio hands it over."""

    session_hash = "one"


@pytest.fixture
def studio(tmp_path):
    return fields.Studio(Desks(tmp_path), Queue())


@pytest.mark.parametrize("error", [UsageError("no such thing"), RuntimeError("no such thing")])
def test_programs_are_told_in_a_sentence_whatever_goes_wrong(studio, error, caplog):
    def fails(desk):
        raise error

    with pytest.raises(gradio.Error, match="no such thing"):
        list(studio.answers(Asking, fails))
    assert studio.queue.places == []


def test_in_the_history_one_gets_what_one_sees(desk):
    desk.made += [Made(Path(name), Path(f"{name}.jpg"), name, {}) for name in ("first", "second")]
    pictures, count = history.pictures(desk)
    assert pictures == [("second.jpg", "second"), ("first.jpg", "first")]
    desk.made.append(Made(Path("third"), Path("third.jpg"), "third", {}))  # while one looks
    assert [history.one(desk, count, index).caption for index in (0, 1)] == ["second", "first"]


def test_calls_of_one_program_do_not_stop_each_other(studio, eager):
    one = studio.answers(Asking, Counting)
    for _ in range(3):
        next(one)
    other = studio.answers(Asking, Counting)
    assert "Waiting" in next(other)[0]["text"]
    assert list(one)[-1][0]["text"].startswith("Done")
    assert list(other)[-1][0]["text"].startswith("Done")


def test_a_desk_that_nobody_uses_is_cleared(tmp_path, monkeypatch):
    desks = Desks(tmp_path)
    old = desks.of("old")
    old.path("a.png")
    old.used -= 25 * 3600
    desks.of("new")
    assert not old.folder.exists()

"""Which pictures are made, and where they go."""

import pytest

from impasto.cli import jobs
from impasto.cli.words import StyleWord
from impasto.errors import OutputError, UsageError

A, B = StyleWord("s/a.jpg"), StyleWord("s/b.jpg", 3.0)


def outputs(*arguments, **options):
    return [job.output for job in jobs.plan(*arguments, **options).jobs]


@pytest.mark.parametrize(
    ("contents", "output", "options", "expected"),
    [
        (["x.jpg"], "out.png", {}, ["out.png"]),
        (["x.jpg"], "-", {}, ["-"]),
        (["d/x.jpg", "y.tif"], "out/", {}, ["out/x.png", "out/y.png"]),
        (["x.jpg", "-"], "o/{stem}.jpg", {}, ["o/x.jpg", "o/stdin.jpg"]),
        (["x.jpg"], "{stem}_{style}.png", {}, ["x_a+b.png"]),
        (["x.jpg"], "out/", {"each": True}, ["out/x-a.png", "out/x-b.png"]),
        (["x.jpg", "y.jpg"], "{style}/{stem}.png", {"each": True}, ["a/x.png", "b/x.png", "a/y.png", "b/y.png"]),
        (["x.jpg"], "o.png", {"sweeps": ["seed=1,2"]}, ["o-1.png", "o-2.png"]),
        (["x.jpg"], "d/o-{value}-{stem}.png", {"sweeps": ["seed=1,2"]}, ["d/o-1-x.png", "d/o-2-x.png"]),
        (["x.jpg"], "out/", {"sweeps": ["seed=1", "init=noise,d/f.png"]}, ["out/x-1-noise.png", "out/x-1-d_f.png"]),
        (["{style}.jpg"], "{stem}{style}.png", {}, ["{style}a+b.png"]),
    ],
)
def test_names(contents, output, options, expected):
    assert outputs(contents, [A, B], output, **options) == expected


def test_a_folder_that_exists_needs_no_slash(tmp_path):
    assert outputs(["x.jpg"], [A], str(tmp_path)) == [str(tmp_path / "x.png")]


@pytest.mark.parametrize(
    ("contents", "styles", "output", "options"),
    [
        (["x.jpg", "y.jpg"], [A], "o.png", {}),
        (["x.jpg", "y.jpg"], [A], "-", {}),
        (["x.jpg", "x.png"], [A], "out/", {}),
        (["x.jpg"], [A, B], "out/{stem}.png", {"each": True}),
        (["x.jpg"], [A, StyleWord("t/a.jpg")], "out/", {"each": True}),
        (["x.jpg"], [A], "-", {"sweeps": ["seed=1,2"]}),
        (["x.jpg"], [A], "o.png", {"sweeps": ["seed=1,1"]}),
        (["x.jpg"], [A], "x.png", {"sweeps": ["init=sheet"]}),
    ],
)
def test_two_jobs_for_one_file(contents, styles, output, options):
    with pytest.raises(UsageError, match="would be written twice"):
        jobs.plan(contents, styles, output, **options)


def test_styles_are_mixed_or_painted_each():
    mixed = jobs.plan(["x.jpg"], [A, B], "o.png").jobs
    assert [job.styles for job in mixed] == [(A, B)]
    alone = jobs.plan(["x.jpg"], [A, B], "o/", each=True).jobs
    assert [job.styles for job in alone] == [(A,), (StyleWord("s/b.jpg", 1.0),)]


def test_folders_of_contents_and_styles(tmp_path):
    for name in ("2.JPG", "1.png", "notes.txt", "sub/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    plan = jobs.plan([str(tmp_path)], [StyleWord(str(tmp_path), 3.0)], "o/")
    assert [job.content for job in plan.jobs] == [str(tmp_path / "1.png"), str(tmp_path / "2.JPG")]
    assert [word.weight for word in plan.jobs[0].styles] == [1.5, 1.5]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures in the folder"):
        jobs.plan([str(tmp_path / "empty")], [A], "o/")


def test_sweeps_make_a_grid_and_a_sheet():
    plan = jobs.plan(["x.jpg"], [A], "o.jpg", sweeps=["strength=0.3,1", "seed=1,2"])
    assert [dict(job.swept) for job in plan.jobs] == [
        {"strength": strength, "seed": seed} for strength in ("0.3", "1") for seed in ("1", "2")
    ]
    assert plan.jobs[1].label == "strength 0.3, seed 2"
    assert list(plan.sheets) == ["o-sheet.png"]
    assert plan.sheets["o-sheet.png"] == plan.jobs
    many = jobs.plan(["x.jpg", "y.jpg"], [A, B], "o/", each=True, sweeps=["seed=1,2"])
    assert list(many.sheets) == ["o/x-a-sheet.png", "o/x-b-sheet.png", "o/y-a-sheet.png", "o/y-b-sheet.png"]
    with pytest.raises(UsageError, match="given twice"):
        jobs.plan(["x.jpg"], [A], "o.jpg", sweeps=["seed=1", "seed=2"])


def test_what_counts_as_a_batch():
    assert not jobs.plan(["x.jpg"], [A], "o.png").batch
    assert jobs.plan(["x.jpg"], [A], "o/").batch
    assert jobs.plan(["x.jpg"], [A], "{stem}.png").batch
    assert jobs.plan(["x.jpg"], [A], "o.png", sweeps=["seed=1,2"]).batch


def test_what_cannot_be():
    with pytest.raises(UsageError, match="no style"):
        jobs.plan(["x.jpg"], [], "o.png")
    with pytest.raises(UsageError, match="read once"):
        jobs.plan(["-"], [StyleWord("-")], "o.png")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        jobs.make_folder(str(tmp_path / "file" / "sub" / "o.png"))

"""Times and units of a truth: what packaging and checks say of the same files, and do with them."""

import json
import pathlib
from typing import Any

import pytest

from data_prep.catalogue.video_names import match_key
from data_prep.checks.run import run_checks
from data_prep.dataset.videos import Span
from data_prep.sources.faults import Weight
from data_prep.sources.package import Request, read_request
from data_prep.sources.span_fit import extents_of, fit_spans
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from tests.data_prep.sources.test_recorded import extracted

TAXONOMY = Taxonomy("gate", ("Fight",), ("Fight",))
PAUSE = [0.0, 0.6, 1.2, 4.0, 6.0, 9.4]  # 80 frames in 9.4 s
LABELS = {"a": "Fight", "c": "Fight", "d": "Fight", "b": "Normal"}


class Set:
    """A folder with three anomalous videos a, c, d and a normal one b, each of 80 frames."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.options: dict[str, Any] = {}
        for name in LABELS:
            self.video(name)
        self.list(*LABELS)

    def video(self, name: str, segments: int = 5, *, record: bool = True, **facts: Any) -> None:
        path = extracted(self.root / "f" / f"{name}.npy", segments, **{"fps": 25.0} | facts)
        if not record:
            path.with_suffix(".json").unlink()

    def list(self, *names: str) -> None:
        rows = "".join(f"{name}.mp4,{LABELS[name]}\n" for name in names)
        (self.root / "test.csv").write_text(f"video,label\n{rows}")

    def truth(self, content: Any, name: str = "truth.json") -> "Set":
        text = content if isinstance(content, str) else json.dumps(content)
        (self.root / name).write_text(text)
        self.options["annotations"] = self.root / name
        return self

    def package(self, **options: Any) -> dict[str, Any]:
        """Spans of each video, None if they are not known."""
        lists, features = {"test": self.root / "test.csv"}, {"visual": self.root / "f"}
        chosen = self.options | options
        _, videos = read_request(Request(lists, features, "gate", TAXONOMY, **chosen))
        self.rates = {video.video_id: video.fps for video in videos}
        return {
            video.video_id: None
            if video.spans is None
            else [(span.start, span.end) for span in video.spans]
            for video in videos
        }

    def check(
        self, **options: Any
    ) -> tuple[dict[str, str], dict[str, tuple[str, tuple[str, ...]]]]:
        """Facts of the annotation's section, and its findings by kind."""
        chosen = self.options | options
        chosen["annotations"] = [chosen["annotations"]]
        lists, features = [self.root / "test.csv"], self.root / "f"
        sections = run_checks(lists=lists, features=features, **chosen)
        (section,) = (s for s in sections if s.title.startswith("annotations"))
        return dict(section.facts), {f.kind: (f.message, f.videos) for f in section.findings}


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Set:
    return Set(tmp_path)


def hivau(**events: Any) -> dict[str, Any]:
    return {
        name: {"n_frames": 80, "fps": 25, "label": ["Fight"], "events": found}
        for name, found in events.items()
    }


def lagovad(**spans: Any) -> list[dict[str, Any]]:
    return [
        {"path": f"{name}.mp4", "class_name": LABELS[name], "anomaly_span": found}
        for name, found in spans.items()
    ]


# Truths whose numbers are in another unit than they are read in, and the likely one.
WRONG_UNITS = {
    "milliseconds as frames": ({"a": [[1000, 2000]], "c": [[500, 3100]]}, "as milliseconds"),
    "milliseconds as seconds": ({"a": [[1000.0, 2000.5]], "c": [[500, 3100]]}, "as milliseconds"),
    "milliseconds of a text": ("a.mp4 Fight 1000 2000\nc.mp4 Fight 500 3100\n", "as milliseconds"),
    "percent as shares": (lagovad(a=[[20, 60]], c=[[50, 99]]), "as percent of the video"),
    "seconds as shares": (lagovad(a=[[1.5, 2.5]]), "as seconds all spans would fit: give --unit="),
    "frames as seconds": ({"a": [[20.0, 60.5]], "c": [[30, 80]]}, "give --unit=frames"),
    "frames as seconds of HIVAU": (hivau(a=[[20, 60]], c=[[30, 79]]), "give --unit=frames"),
    "frames at twice the rate": (
        {"a": [[100, 140]], "c": [[120, 158]]},
        "another cut or frame rate",
    ),
    "seconds of a longer cut": (
        {"a": [[4.5, 6.5]], "c": [[5.5, 7.0]]},
        "another cut or frame rate",
    ),
    "sixty frames per second": ("a Fight 100 170\nc Fight 90 190\n", "another cut or frame rate"),
}


@pytest.mark.parametrize(("truth", "words"), WRONG_UNITS.values(), ids=list(WRONG_UNITS))
@pytest.mark.parametrize("record", [True, False], ids=["records", "no records"])
def test_a_wrong_unit_is_refused_and_found(made: Set, truth: Any, words: str, record: bool) -> None:
    options: dict[str, Any] = {}
    if not record:
        for name in LABELS:
            made.video(name, record=False)
        if isinstance(truth, list):
            (made.root / "n.txt").write_text("a@81\nc@82\n")
            options["frame_counts"] = made.root / "n.txt"
        elif "." in json.dumps(truth) and ".mp4" not in json.dumps(truth):
            options["fps"] = 25.0
    made.truth(truth)
    with pytest.raises(UserError, match=r"of \d anomalous videos lie outside the video") as caught:
        made.package(**options)
    assert words in str(caught.value) and str(made.root) in str(caught.value)
    assert "\n" not in str(caught.value)
    message, videos = made.check(**options)[1]["spans outside the video"]
    assert words in message and videos[0].startswith("a: ")


def test_the_truth_of_a_video_that_loses_its_spans_is_unknown(
    made: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behind the end, with another span within, too long, two frames too long."""
    truth = {"a": [[100, 120]], "c": [[10, 20], [90, 95]], "d": [[60, 100]], "b": []}
    made.truth(truth)
    assert made.package() == {
        "a": None,
        "c": [(10, 20), (90, 95)],
        "d": [(60, 100)],
        "b": [],
    }
    err = capsys.readouterr().err
    for words in (
        "evaluated of the video, so its truth is taken as unknown",
        "warning: spans outside the video: a: frames 100 to 120, the video has 80 frames; ",
        ": c: frames 90 to 95, the video has 80 frames; a span begins after the end of the video",
        "warning: spans past the end: d: frames 60 to 100, the video has 80 frames; spans end",
    ):
        assert words in err
    found = made.check()[1]
    assert found["spans past the end"][1] == ("d: frames 60 to 100, the video has 80 frames",)
    made.truth({"d": [[60, 82]], "b": []})  # as five spans of the official UCF-Crime file
    made.package()
    assert "warning: spans past" not in capsys.readouterr().err


def test_spans_behind_the_last_whole_segment_are_not_evaluated(
    made: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ac":
        made.video(name, num_frames=95)
    made.truth({"a": [[81, 95]], "c": [[40, 60], [85, 90]], "b": []})
    assert made.package()["a"] is None
    err = capsys.readouterr().err
    assert "a: frames 81 to 95, the video has 95 frames, 80 of them in its segments; " in err
    assert "c: frames" not in err


@pytest.mark.parametrize(
    ("truth", "spans"),
    [
        ({"a": [[3.199, 3.2]]}, (79, 80)),  # 79.98: the last frame, not the one behind it
        ({"a": [[1.0, 1.0001]]}, (25, 26)),
        ({"a": [[0.0, 0.001]]}, (0, 1)),
        (lagovad(a=[[0.9999, 1.0]]), (79, 80)),
        (hivau(a=[[3.19, 3.2]]), (79, 80)),
    ],
)
def test_a_span_shorter_than_a_frame_keeps_one(made: Set, truth: Any, spans: Any) -> None:
    assert made.truth(truth).package()["a"] == [spans]


def test_empty_spans_are_named_and_are_no_truth(
    made: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    made.truth("a Fight 10 10\nc Fight 5 5 20 30\nb Normal 0 0\n", "truth.txt")
    assert made.package() == {"a": None, "c": [(20, 30)], "d": None, "b": []}
    assert "note: " in (err := capsys.readouterr().err)
    assert "2 empty spans left out, in a, c\n" in err


@pytest.mark.parametrize(
    ("truth", "facts"),
    [
        ({"a": [[4.0, 6.0]]}, {"segment_seconds": PAUSE}),
        (hivau(a=[[4, 6]]), {"segment_seconds": PAUSE}),
        (
            {
                "database": {
                    "a": {
                        "duration": 9.4,
                        "duration_frame": 80,
                        "annotations": [{"segment": [4, 6], "label": "Fight"}],
                    }
                }
            },
            {"segment_seconds": PAUSE},
        ),
    ],
)
def test_a_variable_rate_counts_by_its_segments_whatever_the_file_states(
    made: Set, truth: Any, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    made.video("a", **facts)
    assert made.truth(truth).package()["a"] == [(48, 64)]
    assert made.rates["a"] == pytest.approx(80 / 9.4)
    stated = "not by the rate that the annotations state (a: 8.511 frames per second, not 25)"
    assert (stated in capsys.readouterr().err) == ("n_frames" in str(truth))


@pytest.mark.parametrize(
    ("entry", "rate", "note"),
    [
        ({"fps": 20}, 20, "state, not by the rate that extraction recorded (a: 20 frames per"),
        ({"duration_frame": 80, "duration": 4.0}, 20, "the duration that the annotations state"),
        ({"duration": 8.0}, 10, "duration that the annotations state, not by the rate that extr"),
        ({"duration": 3.0}, 25, ""),  # 3.2 s, rounded
        ({}, 25, ""),
        ({"fps": 25.01}, 25.01, ""),
        ({"fps": 25, "duration_frame": 80, "duration": 8}, 25, "not by the duration that the ann"),
        # The same 3.2 s, encoded at 30 frames per second; the features are of 25.
        ({"duration_frame": 96, "duration": 3.2}, 25, "recorded, not by the duration that the ann"),
        ({"duration_frame": 96, "fps": 30, "duration": 3.2}, 25, "not by the rate that the annota"),
    ],
)
def test_an_entry_then_the_record(
    made: Set, entry: Any, rate: float, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = [{"segment": [1, 2], "label": "Fight"}]
    made.truth({"database": {"a": {"annotations": annotations} | entry}})
    assert made.package()["a"] == [(round(rate), round(2 * rate))]
    assert made.rates["a"] == rate
    err = capsys.readouterr().err
    assert note in err and ("seconds become frames by" in err) == bool(note)
    assert ("note" in made.check()[1]) == bool(note)


def test_a_duration_in_another_unit_is_refused(made: Set) -> None:
    entry = {"duration": 3200, "annotations": [{"segment": [1000, 2000], "label": "Fight"}]}
    made.truth({"database": {"a": entry}})
    for read in (made.package, made.check):
        with pytest.raises(UserError, match=r"a has 80 frames in 3200 seconds; correct the durat"):
            read()


def test_the_unit_is_said(made: Set, capsys: pytest.CaptureFixture[str]) -> None:
    for content, unit, spans in (
        (
            {"a": [[10, 30]], "b": []},
            "frames, because all numbers are whole; --unit=seconds if ",
            10,
        ),
        ({"a": [[1, 3.0]], "b": []}, "seconds, because some numbers have a decimal point; ", 25),
        ({"a": [[0.5, 1]], "c": [[1, 2]]}, "seconds, because some numbers have a decimal", 12),
    ):
        made.truth(content)
        assert made.package()["a"][0][0] == spans
        assert f"truth.json: spans are read as {unit}" in capsys.readouterr().err
        assert made.check()[0]["unit"].startswith(unit)
    made.truth({"a": [[1, 3]]}, "truth_seconds.json")
    assert made.package(fps=25.0)["a"] == [(25, 75)]
    assert "spans are read as" not in capsys.readouterr().err
    assert made.check()[0]["unit"] == "seconds"
    assert made.truth(lagovad(a=[[0.5, 1]])).check()[0]["unit"] == "shares of the video"


def test_whole_numbers_and_a_rate_are_asked_about(made: Set) -> None:
    made.truth({"a": [[1, 3]], "c": [[2, 3]]})
    question = r"truth\.json: all numbers are whole, so they may be frames or, with --fps=25, seco"
    with pytest.raises(UserError, match=f"{question}.*give --unit=frames or --unit=seconds"):
        made.package(fps=25.0)
    with pytest.raises(UserError, match=question):
        made.check(fps=25.0)
    assert made.package(fps=25.0, unit="frames")["a"] == [(1, 3)]
    assert made.package(fps=25.0, unit="seconds")["a"] == [(25, 75)]
    assert made.check(fps=25.0, unit="seconds")[0]["unit"] == "seconds (--unit=seconds)"
    made.truth({"a": [[10, 30]], "c": [[2, 3]]})  # as seconds, a would be 750 frames long
    assert made.package(fps=25.0)["a"] == [(10, 30)]


@pytest.mark.parametrize(
    ("truth", "unit", "spans"),
    [
        ("a Fight 1 3\n", "seconds", [(25, 75)]),
        (hivau(a=[[10, 30]]), "frames", [(10, 30)]),
        (lagovad(a=[[1, 2]]), "seconds", [(25, 50)]),
        (lagovad(a=[[10, 20]]), "frames", [(10, 20)]),
        ({"a": [[3.2, 3.4]]}, "frames", [(3, 4)]),
    ],
)
def test_a_unit_that_is_given_counts(made: Set, truth: Any, unit: str, spans: Any) -> None:
    assert made.truth(truth).package(unit=unit)["a"] == spans


def test_a_text_is_asked_about_too(made: Set) -> None:
    made.truth("a Fight 1 3\nc Fight 2 3\n", "truth.txt")
    for read in (made.package, made.check):
        with pytest.raises(UserError, match="are whole, so they may be frames or, with --fps=25"):
            read(fps=25.0)
    assert made.truth("a 90 Fight 1 3\n", "truth.txt").package(fps=25.0)["a"] == [(1, 3)]


@pytest.mark.parametrize(
    ("truth", "unit", "reason"),
    [
        ("video,start_ms,end_ms\na,1000,2000\n", "frames", "the column is called 'start_ms'"),
        ("video,start,end\na,0:01,0:02\n", "frames", "times are written as 0:01"),
        ("a Fight 0:01 0:02\n", "frames", "times are written as 0:01"),
        ("a 0 1 1 0 0\nb 0 0 0 0 0\n", "seconds", "there is a value per frame"),
    ],
)
def test_a_unit_that_cannot_be_is_refused(made: Set, truth: str, unit: str, reason: str) -> None:
    made.truth(truth, "truth.txt")
    for read in (made.package, made.check):
        with pytest.raises(UserError, match=f"--unit={unit} cannot be, for {reason}; leave"):
            read(unit=unit)


def test_a_unit_answers_what_numbers_leave_open(made: Set) -> None:
    made.truth("video,start,end\na,1.0,2.0\nb,,\n", "truth.csv")
    with pytest.raises(UserError, match=r"written as 1\.0; give --unit=frames or --unit=seconds"):
        made.package(fps=25.0)
    assert made.package(unit="seconds")["a"] == [(25, 50)]
    assert made.package(unit="frames")["a"] == [(1, 2)]


def test_clock_times_that_miss_the_video_are_not_said_to_be_frames(made: Set) -> None:
    made.truth("video,start,end\na,0:10,0:20\n", "truth.csv")
    with pytest.raises(UserError, match="lie outside the video") as caught:
        made.package()
    assert "--unit" not in str(caught.value)


def test_few_frames_per_second(made: Set, capsys: pytest.CaptureFixture[str]) -> None:
    made.video("a", segment_seconds=PAUSE)
    made.truth({"a": [[4, 6]]}).package()
    assert "in the first 7.5 % of their videos; if they are seconds" in capsys.readouterr().err


def test_shares_of_many_short_clips(made: Set, capsys: pytest.CaptureFixture[str]) -> None:
    made.truth({"a": [[0.2, 0.5]], "c": [[0.1, 0.9]], "d": [[0.5, 1.0]]}).package()
    assert "if they are shares of the video, multiply them" in capsys.readouterr().err


def test_frames_of_another_rate_are_named(made: Set, capsys: pytest.CaptureFixture[str]) -> None:
    made.truth("video,start_frame,end_frame,fps\na,15,45,30\n", "truth.csv")
    assert made.package()["a"] == [(15, 45)]
    err = capsys.readouterr().err
    assert "recorded (a: 30 frames per second, not 25)" in err and "seconds become" not in err


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (40, r"truth\.json, a: 40 frames, the video has 80; all videos have 0.5 times"),
        (160, r"truth\.json, a: 160 frames, the video has 80; all videos have 2 times"),
        (6, r"truth\.json, a: 6 frames, T = 5; as many values, or frames"),
        (81, ""),
    ],
)
def test_masks_with_too_few_or_too_many_values(made: Set, frames: int, words: str) -> None:
    made.truth({name: [int(name != "b")] + [0] * (frames - 1) for name in LABELS})
    lists, features = [made.root / "test.csv"], made.root / "f"
    sections = run_checks(
        lists=lists, features=features, **{"annotations": [made.root / "truth.json"]}
    )
    found = {f.kind for s in sections for f in s.findings}
    assert bool(found & {"frames of another rate", "truth per segment"}) == bool(words)
    if not words:
        assert made.package()["a"] == [(0, 1)]
        return
    with pytest.raises(UserError, match=words):
        made.package()


def test_spans_at_the_very_beginning_of_all_videos(
    made: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in LABELS:
        made.video(name, 200)
    kind = "spans at the very beginning"
    words = "read as frames, all spans lie in the first 2.8 % of their videos; if they are seconds"
    late = {"a": [[4, 60]], "c": [[10, 20]], "d": [[80, 90]], "b": []}
    text = "a Fight 4 60\nc Fight 10 20\nd Fight 80 90\n"
    for content in (late, text):
        made.truth(content).package()
        err = capsys.readouterr().err
        assert f"; {words}, give --unit=seconds; if they are percent of" in err
        assert "a: ends at frame 60 of 3200" in err
        assert made.check()[1][kind][0].startswith(f"3 videos: {words}")
    made.truth({"a": [[0.2, 0.5]], "c": [[0.1, 0.9]]}).package()
    assert "if they are shares of the video, multiply" in capsys.readouterr().err
    made.truth({"a": [[20, 100]], "c": [[90, 100]]})
    made.video("a", 126)  # 2016 frames: 81 s
    made.package()
    assert "of their videos; if they are percent of the video, divide" in capsys.readouterr().err
    made.video("a", 200)
    # One event further on, a unit that the user states.
    for content, options in (
        (late | {"c": [[10, 20], [900, 990]]}, {}),
        (late, {"unit": "frames"}),
        ({"a": [[0.2, 30.0]]}, {}),
    ):
        made.truth(content).package(**options)
        assert "very beginning" not in capsys.readouterr().err
        assert kind not in made.check(**options)[1]


def test_shares_take_the_counts_that_are_there(made: Set) -> None:
    made.truth(lagovad(a=[[0.25, 0.5]], c=[[0.5, 1.0]]))
    assert made.package()["a"] == [(20, 40)]
    for name in LABELS:
        made.video(name, record=False)
    with pytest.raises(UserError, match="a line 'name@frames' per video by --frame_counts"):
        made.package()
    (made.root / "n.txt").write_text("a@88\nc@90\n")
    assert made.package(frame_counts=made.root / "n.txt")["c"] == [(45, 90)]


def test_flags_that_a_record_overrules_are_found_by_check_too(made: Set) -> None:
    made.truth({"a": [[1.5, 2.0]]})
    sections = run_checks(features=made.root / "f", fps=30.0)
    (message,) = (f.message for s in sections for f in s.findings if f.kind == "flag overruled")
    assert message.startswith("4 videos: --fps=30 differs from the rate that extraction recorded")


def test_spans_of_released_files_fit(shared_data: pathlib.Path) -> None:
    """Under every length rule no video of UCF-Crime and XD-Violence loses its spans."""
    from data_prep.annotations import read_annotations
    from data_prep.annotations.truths import official
    from data_prep.catalogue.lookup import lengths_by_rule

    tables = {
        "UCF-Crime": official("UCF-Crime").num_frames,
        "XD-Violence": read_annotations(
            shared_data / "published/zuble+uws4vad/data/gt/xdv_tframes.txt"
        ).num_frames,
    }
    for data_set, frames in tables.items():
        spans = official(data_set).spans
        counts = {match_key(video): n for video, n in frames.items()}
        for lengths in lengths_by_rule(data_set, frames).values():
            segments = {video: length // 16 for video, length in lengths.items()}
            for known in (counts, {}):
                extents = extents_of(spans, known, segments, 16)
                fit = fit_spans(spans, extents, unit="frames", rates={}, early_from=3)
                assert not fit.lost and all(fault.weight is Weight.NOTED for fault in fit.faults)


def test_nothing_is_known_of_videos_without_length() -> None:
    spans = {"a": (Span(5, 9),)}
    fit = fit_spans(spans, {}, unit="seconds", rates={}, early_from=1)
    assert fit.faults == () and fit.lost == ()
    assert extents_of(["a"], {}, {}, 16) == {}

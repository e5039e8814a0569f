import numpy as np
import pytest

from data_prep.annotations import Annotations
from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset.videos import Span
from data_prep.sources.package import Request, read_request
from data_prep.sources.truth import add_truth
from refinevad_jax.errors import UserError


def annotations(spans: dict[str, tuple[Span, ...]], **stated) -> Annotations:
    return Annotations(
        grammar="test", source="truth.txt", video_ids=tuple(spans), spans=spans, **stated
    )


def videos_of(tmp_path, *rows: str):
    for row in rows:
        np.save(tmp_path / row.split(",")[0], np.ones((4, 2), np.float16))
    path = tmp_path / "train.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return read_request(Request({"val": path}, {"visual": tmp_path}, "f", UCF_CRIME))


def test_truth_is_known_for_annotated_videos_and_the_normal_ones_beside_them(tmp_path):
    info, videos = videos_of(tmp_path, "a.npy,Abuse", "b.npy,Arson", "n.npy,Normal")
    test = [video.__class__(**{**vars(video), "split": "test"}) for video in videos]
    train = [
        video.__class__(**{**vars(video), "video_id": f"t{video.video_id}"}) for video in videos
    ]
    complete = add_truth([*train, *test], annotations({"a": (Span(3, 9, "Abuse"),)}), info, {}, {})
    assert [video.spans for video in complete] == [
        *(None, None, None),  # no video of this split is annotated
        *((Span(3, 9, "Abuse"),), None, ()),
    ]


def test_stated_frames_and_rates_win_over_the_segments(tmp_path):
    info, videos = videos_of(tmp_path, "a_x264.npy,Abuse", "n_x264.npy,Normal")
    stated = annotations({"a": (Span(1, 2),)}, num_frames={"a": 70}, fps={"a": 25.0})
    first, second = add_truth(videos, stated, info, {}, {})
    assert (first.num_frames, first.fps, first.spans) == (70, 25.0, (Span(1, 2),))
    assert (second.num_frames, second.fps, second.spans) == (64, 0.0, ())


def test_oddities_are_warned_of(tmp_path, capsys):
    info, videos = videos_of(tmp_path, "a.npy,Abuse", "b.npy,Arson", "n.npy,Normal")
    odd = annotations(
        {"a": (), "b": (Span(1, 2),), "n": (Span(1, 2),), "x": (), "y": ()},
        num_frames={"b": 96, "n": 95},
    )
    capsys.readouterr()
    add_truth(videos, odd, info, {}, {})
    assert capsys.readouterr().err.splitlines() == [
        "warning: annotated, but in no list: x, y (2 in all)",
        "warning: features and annotated frames differ by two segments or more: b (1 in all)",
        "warning: labelled anomalous, annotated without an anomalous span: a (1 in all)",
        "warning: labelled normal, annotated with an anomalous span: n (1 in all)",
    ]


def test_annotations_of_other_videos_are_refused(tmp_path):
    info, videos = videos_of(tmp_path, "a.npy,Abuse")
    with pytest.raises(UserError, match=r"none of its 1 videos \(z\) is in a list \(a, \.\.\.\)"):
        add_truth(videos, annotations({"z": ()}), info, {}, {})
    with pytest.raises(UserError, match="no spans in it"):
        add_truth(videos, annotations({}), info, {}, {})


def test_one_value_per_segment_is_refused(tmp_path):
    info, videos = videos_of(tmp_path, "a.npy,Abuse", "n.npy,Normal")
    short = annotations({"a": (Span(1, 2),), "n": ()}, num_frames={"a": 4, "n": 4})
    with pytest.raises(UserError, match=r"truth.txt, a: 4 frames, T = 4; as many values, or"):
        add_truth(videos, short, info, {}, {"a": 4, "n": 4})

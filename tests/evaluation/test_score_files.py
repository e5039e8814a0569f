"""Scores of others: every resolution in use, and what is said of files that do not fit."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, BagsInfo, Modality, read_info, read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import Settings, evaluate, evaluate_scores
from refinevad_jax.evaluation.score_files import read_scores

INFO = BagsInfo("own", Taxonomy("t", ("a", "b"), ("A", "B")), (Modality("visual", 4),))
LENGTHS = {"v1": 3, "v2": 5, "v3": 4}


def bags(frames_more: int = 0, **changes) -> list[Bag]:
    found = [
        Bag(
            video_id=name,
            label="a" if number else "Normal",
            labels=np.array([number > 0, False]),
            features=np.zeros((1, length, 4), np.float16),
            num_frames=16 * length + frames_more,
            fps=25.0,
            spans=np.array([[0, 16, 0]] if number else [], np.int32).reshape(-1, 3),
            has_truth=True,
        )
        for number, (name, length) in enumerate(LENGTHS.items())
    ]
    return [dataclasses.replace(bag, **changes) for bag in found]


NO_FEATURES = np.zeros((1, 0, 0), np.float16)


def listed(frames_more: int | None = None, end: int = 16) -> list[Bag]:
    """The same videos as a list gives them; frames known if their number over 16 T is given."""
    found = bags(frames_more or 0, features=NO_FEATURES)
    spans = np.array([[0, end, 0]], np.int32)
    return [
        dataclasses.replace(
            bag,
            num_frames=0 if frames_more is None else bag.num_frames,
            spans=spans if bag.anomalous else bag.spans,
        )
        for bag in found
    ]


RULES = {"floor(n/16)": np.array([3, 5, 4]), "ceil(n/16)": np.array([4, 6, 5])}


def save(folder: pathlib.Path, **arrays: np.ndarray) -> pathlib.Path:
    np.savez(folder / "scores.npz", **arrays)
    return folder / "scores.npz"


def ramp(length: int) -> np.ndarray:
    return np.linspace(0, 1, length)


def by_video(length_of) -> dict[str, np.ndarray]:
    return {name: ramp(length_of(length)) for name, length in LENGTHS.items()}


@pytest.mark.parametrize(
    ("length_of", "resolution"),
    [
        (lambda t: t, "segment"),
        (lambda t: 16 * t, "evaluated frame"),
        (lambda t: 16 * t - 5, "evaluated frame"),
        (lambda t: 16 * t + 5, "evaluated frame"),
        (lambda t: t + 1, "segment"),
        (lambda t: 32, "equal part of a video"),
    ],
)
def test_resolutions(tmp_path: pathlib.Path, length_of, resolution: str) -> None:
    found = read_scores(save(tmp_path, **by_video(length_of)), INFO, bags())
    assert found.resolution == resolution
    exact = length_of(3) in (3, 48)
    assert (found.notes == ["3 videos, found by name"]) == exact
    for index, length in enumerate(LENGTHS.values()):
        frames = found.split.on_frames(index, found.split.results[index].scores)
        assert frames.shape == (16 * length,)
        assert frames[0] == 0


def test_frames_of_the_file_are_cut_to_what_is_evaluated(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, **by_video(lambda t: 16 * t + 40))
    found = read_scores(path, INFO, bags(frames_more=40))
    assert found.resolution == "frame of the file"
    assert found.notes[1:] == ["3 videos have up to 40 frames more than are evaluated: cut"]
    np.testing.assert_allclose(found.split.results[0].scores, ramp(88)[:48], rtol=1e-6)


def test_repeated_frames_are_segments_again(tmp_path: pathlib.Path) -> None:
    values = {name: np.repeat(ramp(length), 16) for name, length in LENGTHS.items()}
    found = read_scores(save(tmp_path, **values), INFO, bags())
    assert found.resolution == "segment"
    assert found.notes[1:] == ["one score per 16 frames, repeated"]
    np.testing.assert_allclose(found.split.results[1].scores, ramp(5), rtol=1e-6)


@pytest.mark.parametrize("per", [1, 16])
def test_one_array_in_the_order_of_the_list(tmp_path: pathlib.Path, per: int) -> None:
    np.save(tmp_path / "all.npy", np.concatenate([ramp(per * n) for n in LENGTHS.values()]))
    found = read_scores(tmp_path / "all.npy", INFO, bags())
    for index, length in enumerate(LENGTHS.values()):
        np.testing.assert_allclose(found.split.results[index].scores, ramp(per * length), rtol=1e-6)


def test_probabilities_with_normal_first(tmp_path: pathlib.Path) -> None:
    probs = {
        name: np.stack([1 - ramp(n), ramp(n) * 0.75, ramp(n) * 0.25], axis=1)
        for name, n in LENGTHS.items()
    }
    split = read_scores(save(tmp_path, **probs), INFO, bags()).split
    assert split.has_categories
    np.testing.assert_allclose(split.results[2].scores, ramp(4), rtol=1e-6)
    np.testing.assert_allclose(split.results[2].category_probs, [0.75, 0.25])
    np.testing.assert_allclose(split.category_map(0), probs["v1"], rtol=1e-6)


def test_scores_outside_the_unit_interval_are_named(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, **{name: 3 * ramp(n) - 1 for name, n in LENGTHS.items()})
    _, note = read_scores(path, INFO, bags()).notes
    assert "[-1, 2]" in note


WRONG = {
    "evaluation": (
        {"video_ids": np.array(["v1"]), "offsets": np.array([0, 3]), "scores": ramp(3)},
        "scores.npz of an evaluation, which is done: .* refinevad_jax.compare takes its folder",
    ),
    "unknown": (
        {"v9": ramp(3), "v8": ramp(2)},
        r"2 of 5 names are not in the list \(v9, v8\); correct",
    ),
    "missing": ({"v2": None}, r"1 of its 3 videos have no scores \(v2\)"),
    "length": ({"v2": ramp(9)}, r"1 of 3 videos .* one score per segment \(v2 9 instead of 5\)"),
    "odd": (
        {"v1": ramp(32), "v2": ramp(32), "v3": ramp(31)},
        r"1 of 3 videos .* for 32 scores per video \(v3 31 instead of 32\)",
    ),
    "nan": ({"v1": np.array([0, np.nan, 1])}, r"1 of 3 videos have NaN or infinite scores \(v1\)"),
    "text": ({"v1": np.array(["a", "b", "c"])}, r"1 of 3 videos have no numbers \(v1 \(3,\)"),
    "empty": ({"v3": np.zeros(0)}, r"1 of 3 videos have no numbers \(v3 \(0,\)"),
    "shape": (
        {"v3": np.zeros((4, 7))},
        r"another shape than \[L\], \[L, 1\], \[L, 3\].* \(v3 \(4, 7\)",
    ),
    "mixed": ({"v3": np.zeros((4, 3))}, r"another shape than the first.* \(v3 \(4, 3\)"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_does_not_fit_is_named_and_counted(tmp_path: pathlib.Path, kind: str) -> None:
    changes, message = WRONG[kind]
    arrays = {k: v for k, v in (by_video(lambda t: t) | changes).items() if v is not None}
    with pytest.raises(UserError, match=message):
        read_scores(save(tmp_path, **arrays), INFO, bags())


def test_a_total_that_fits_nothing_is_explained(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "all.npy", np.zeros(200))
    message = "200 scores; the 3 videos need 12 per segment, 192 per evaluated frame, 207"
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / "all.npy", INFO, bags(frames_more=5))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "scores.xyz",
            b"0.5",
            r"scores are read from \.npz, \.json, .*, or a folder with a file per video",
        ),
        ("scores.csv", b"\n", "no row video,score in it"),
        ("scores.csv", b"video,score\nv1,0.5\nv1,x\n", "scores.csv:3: 'v1, x' is not video,score"),
        ("scores.csv", b"v1,\xff", "not a text file in UTF-8"),
        ("scores.npz", b"PK\x03\x04 no archive", "not an .npz file of plain arrays"),
        ("scores.npy", b"", "it is empty .0 bytes., not an .npy array"),
        ("none.npy", None, "cannot be read .No such file"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: pathlib.Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / name, INFO, bags())


def test_pickles_are_refused(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match="an object array"):
        read_scores(tmp_path / "objects.npy", INFO, bags())


def key(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".mp4")


def test_names_with_folder_and_suffix(tmp_path: pathlib.Path) -> None:
    arrays = {f"test/{name}.mp4": ramp(n)[:, None] for name, n in LENGTHS.items()}
    found = read_scores(save(tmp_path, **arrays), INFO, bags(), key=key)
    assert found.resolution == "segment"
    assert found.notes == [
        "3 videos, found by name",
        "3 names were matched to those of the list (test/v1.mp4, test/v2.mp4, test/v3.mp4)",
    ]
    np.testing.assert_allclose(found.split.results[1].scores, ramp(5), rtol=1e-6)
    arrays["v1.mp4"] = ramp(3)
    with pytest.raises(UserError, match=r"'test/v1.mp4' and 'v1.mp4' are both of video v1"):
        read_scores(save(tmp_path, **arrays), INFO, bags(), key=key)


CROPS = np.linspace(-0.1, 0.1, 5)


@pytest.mark.parametrize("first", [False, True])
def test_the_mean_of_crops(tmp_path: pathlib.Path, first: bool) -> None:
    length_of = {"v1": 3, "v2": 5, "v3": 4}
    arrays = {name: 0.5 + CROPS + 0 * ramp(n)[:, None] for name, n in length_of.items()}
    arrays = {name: array.T if first else array for name, array in arrays.items()}
    found = read_scores(save(tmp_path, **arrays), INFO, bags())
    assert "5 crops per video" in found.notes[1]
    for result, length in zip(found.split.results, LENGTHS.values(), strict=True):
        np.testing.assert_allclose(result.scores, np.full(length, 0.5), rtol=1e-6)


def test_crops_are_not_taken_for_probabilities(tmp_path: pathlib.Path) -> None:
    """With four categories, five rows may be either."""
    names = tuple("abcd")
    info = dataclasses.replace(INFO, taxonomy=Taxonomy("t", names, names))
    path = save(tmp_path, **{name: np.zeros((5, n)) for name, n in LENGTHS.items() if n != 5})
    four = [dataclasses.replace(bag, labels=np.zeros(4, bool)) for bag in bags()]
    with pytest.raises(UserError, match=r"with 10 crops \[L, K\] or \[K, L\] \(v1 \(5, 3\)"):
        read_scores(path, info, [bag for bag in four if bag.num_segments != 5])
    np.save(tmp_path / "all.npy", np.zeros((5, 12)))
    with pytest.raises(UserError, match=r"shape \(5, 12\), 5 scores"):
        read_scores(tmp_path / "all.npy", info, four)


def test_crops_that_may_be_either_axis(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, **dict.fromkeys(LENGTHS, np.zeros((5, 10))))
    with pytest.raises(UserError, match=r"\(5, 10\) of v1; either axis may be the crops"):
        read_scores(path, INFO, bags())


@pytest.mark.parametrize("shape", [(12, 1), (1, 12), (12, 1, 1), (5, 12), (12, 5)])
def test_shapes_of_one_array(tmp_path: pathlib.Path, shape: tuple[int, ...]) -> None:
    """The scores of a list, end to end, as scripts save them."""
    values = np.arange(12) / 12
    axis = shape.index(12)
    np.save(
        tmp_path / "all.npy",
        np.broadcast_to(values.reshape([12 if i == axis else 1 for i in range(len(shape))]), shape),
    )
    if len(shape) == 3:
        with pytest.raises(UserError, match=r"shape \(12, 1, 1\); one array is \[F\], \[F, 1\]"):
            read_scores(tmp_path / "all.npy", INFO, bags())
        return
    found = read_scores(tmp_path / "all.npy", INFO, bags())
    assert "the order of the list, which cannot be checked" in found.notes[0]
    joined = np.concatenate([result.scores for result in found.split.results])
    np.testing.assert_allclose(joined, values, rtol=1e-6)


def test_one_array_with_ids_and_lengths(tmp_path: pathlib.Path) -> None:
    arrays = {
        "scores": np.arange(12)[:, None] / 12,
        "video_ids": np.array(["v3", "v1.mp4", "v2"]),
        "num_segments": np.array([4, 3, 5]),
    }
    found = read_scores(save(tmp_path, **arrays), INFO, listed(), key=key)
    assert found.notes[-1] == "evaluated length of a video: 16 frames x num_segments of the file"
    np.testing.assert_allclose(found.split.results[0].scores, np.arange(4, 7) / 12, rtol=1e-6)
    np.testing.assert_allclose(found.split.results[2].scores, np.arange(4) / 12, rtol=1e-6)
    for change, message in (
        ({"scores": np.zeros(11)}, r"scores of shape \(11,\), num_segments add up to 12"),
        ({"video_ids": np.array([1, 2, 3])}, "the ids as text"),
        ({"num_segments": np.array([4, 8, 0])}, "whole numbers from 1"),
    ):
        with pytest.raises(UserError, match=message):
            read_scores(save(tmp_path, **arrays | change), INFO, listed(), key=key)


@pytest.mark.parametrize("rows", ["many", "one"])
def test_tables(tmp_path: pathlib.Path, rows: str) -> None:
    path = tmp_path / "scores.csv"
    lines = ["video,score"]
    for name, length in LENGTHS.items():
        words = [str(value) for value in ramp(length)]
        lines += [f"{name},{w}" for w in words] if rows == "many" else [",".join([name, *words])]
    path.write_text("\r\n".join(lines))
    found = read_scores(path, INFO, bags())
    np.testing.assert_allclose(found.split.results[1].scores, ramp(5), rtol=1e-6)


@pytest.mark.parametrize(
    ("length_of", "videos", "resolution", "how"),
    [
        (lambda t: t, listed(7), "segment", "which is floor(n/16) in 3 of 3 videos"),
        (lambda t: t + 1, listed(7), "segment", "which is ceil(n/16) in 3 of 3 videos"),
        (lambda t: 16 * t + 7, listed(7), "evaluated frame", "its scores, in whole segments"),
        (lambda t: 16 * t, listed(7), "evaluated frame", "its scores, in whole segments"),
        (
            lambda t: 32,
            listed(7),
            "equal part of a video",
            "floor(n/16) (192 frames in all; the scores do not tell: 240 by ceil(n/16))",
        ),
        # No file states the frames: the annotated spans decide.
        (
            lambda t: t,
            listed(end=64),
            "segment",
            "one score per segment fits the annotated spans",
        ),
        (
            lambda t: 16 * t,
            listed(end=64),
            "evaluated frame",
            "one score per frame fits the annotated spans",
        ),
    ],
)
def test_lengths_follow_from_the_scores_without_features(
    tmp_path: pathlib.Path, length_of, videos: list[Bag], resolution: str, how: str
) -> None:
    rules = RULES if videos[0].num_frames else {}
    found = read_scores(save(tmp_path, **by_video(length_of)), INFO, videos, length_rules=rules)
    assert found.resolution == resolution
    (note,) = [note for note in found.notes if note.startswith("evaluated length")]
    assert note.endswith(how)
    more = length_of(3) == 4
    frames = [16 * (length + more) for length in LENGTHS.values()]
    assert [found.split.evaluated_frames(i) for i in range(3)] == frames


def test_one_array_is_cut_by_the_rule_whose_total_it_has(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "all.npy", np.concatenate([ramp(n) for n in RULES["ceil(n/16)"]]))
    found = read_scores(tmp_path / "all.npy", INFO, listed(7), length_rules=RULES)
    np.testing.assert_allclose(found.split.results[1].scores, ramp(6), rtol=1e-6)
    with pytest.raises(UserError, match=r"15 scores without names.* give --frame_counts=FILE"):
        read_scores(tmp_path / "all.npy", INFO, listed())
    two = {"one": np.array([4, 6, 5]), "other": np.array([5, 6, 4])}
    with pytest.raises(UserError, match="15 scores may be one per segment by one or one per segm"):
        read_scores(tmp_path / "all.npy", INFO, listed(7), length_rules=two)


@pytest.mark.parametrize(
    ("length_of", "videos", "message"),
    [
        (lambda t: 32, listed(), r"32 scores per video, .*3 videos are not known \(v1, v2, v3\)"),
        (
            lambda t: 3 * t,
            listed(7),
            r"2 of 3 videos are of a wrong length for 9 scores .* \(v2 15 inst",
        ),
        (lambda t: t, listed(end=400), r"2 videos have fewer scores .* \(v2: 5 scores, annotated"),
    ],
)
def test_lengths_that_do_not_fit_the_list(
    tmp_path: pathlib.Path, length_of, videos: list[Bag], message: str
) -> None:
    rules = RULES if videos[0].num_frames else {}
    with pytest.raises(UserError, match=message):
        read_scores(save(tmp_path, **by_video(length_of)), INFO, videos, length_rules=rules)


def test_a_folder_is_not_a_file_of_scores(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="a folder without a file per video"):
        read_scores(tmp_path, INFO, bags())


def test_a_runs_own_scores_give_its_own_numbers(
    trained: pathlib.Path, tiny_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    quick = Settings(num_curves=0, report=False)
    own = evaluate(trained, split="val", step="last", settings=quick)
    stored = np.load(trained / "eval" / "tiny-val-last" / "scores.npz")
    parts = np.split(stored["scores"], stored["offsets"][1:-1])
    path = save(tmp_path, **dict(zip(stored["video_ids"].tolist(), parts, strict=True)))
    videos = read_info(str(tiny_data), "tiny"), read_split(str(tiny_data), "tiny", "val")
    folder = tmp_path / "report"
    given = evaluate_scores(path, *videos, split="val", folder=folder, settings=quick)
    for key in ("frame_auc", "frame_ap", "video_auc", "truth_hash", "operating_points"):
        assert given[key] == own[key]
    assert given["category_accuracy"] is None
    agnostic = [x["localization"]["proposals"]["class_agnostic"] for x in (given, own)]
    assert agnostic[0] == agnostic[1]
    assert "name no category" in given["localization"]["no_categories"]
    before = (folder / "metrics.json").read_bytes()
    with pytest.raises(UserError, match="exists; choose another folder by --output"):
        evaluate_scores(path, *videos, split="val", folder=folder, settings=quick)
    assert (folder / "metrics.json").read_bytes() == before
    assert json.loads(before)["scores"]["file"] == "scores.npz"
    assert len(videos[1]) == given["num_videos"]

"""Scores of others: every resolution in use, and what is said of files that do not fit."""

import json
import pathlib

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, BagsInfo, Modality, read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import Settings, evaluate, evaluate_scores
from refinevad_jax.evaluation.score_files import read_scores

INFO = BagsInfo("own", Taxonomy("t", ("a", "b"), ("A", "B")), (Modality("visual", 4),))
LENGTHS = {"v1": 3, "v2": 5, "v3": 4}


def bags(frames_more: int = 0) -> list[Bag]:
    return [
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
    assert bool(found.notes) != exact
    for index, length in enumerate(LENGTHS.values()):
        frames = found.split.on_frames(index, found.split.results[index].scores)
        assert frames.shape == (16 * length,)
        assert frames[0] == 0


def test_frames_of_the_file_are_cut_to_what_is_evaluated(tmp_path: pathlib.Path) -> None:
    path = save(tmp_path, **by_video(lambda t: 16 * t + 40))
    found = read_scores(path, INFO, bags(frames_more=40))
    assert found.resolution == "frame of the file"
    assert found.notes == ["3 videos have up to 40 frames more than are evaluated: cut"]
    np.testing.assert_allclose(found.split.results[0].scores, ramp(88)[:48], rtol=1e-6)


def test_repeated_frames_are_segments_again(tmp_path: pathlib.Path) -> None:
    values = {name: np.repeat(ramp(length), 16) for name, length in LENGTHS.items()}
    found = read_scores(save(tmp_path, **values), INFO, bags())
    assert found.resolution == "segment"
    assert found.notes == ["one score per 16 frames, repeated"]
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
    (note,) = read_scores(path, INFO, bags()).notes
    assert "[-1, 2]" in note


WRONG = {
    "evaluation": (
        {"video_ids": np.array(["v1"]), "offsets": np.array([0, 3]), "scores": ramp(3)},
        "scores.npz of an evaluation; refinevad_jax.compare reads its folder",
    ),
    "unknown": ({"v9": ramp(3), "v8": ramp(2)}, r"2 unknown videos \(v9, v8\) for a split of 3"),
    "missing": ({"v2": None}, r"1 missing videos \(v2\)"),
    "length": ({"v2": ramp(9)}, r"1 of 3 videos .* one score per segment \(v2 9 instead of 5\)"),
    "odd": (
        {"v1": ramp(32), "v2": ramp(32), "v3": ramp(31)},
        r"1 of 3 videos .* for 32 scores per video \(v3 31 instead of 32\)",
    ),
    "nan": ({"v1": np.array([0, np.nan, 1])}, r"1 videos with NaN or infinite scores \(v1\)"),
    "text": ({"v1": np.array(["a", "b", "c"])}, r"1 videos without numbers \(v1\)"),
    "empty": ({"v3": np.zeros(0)}, r"1 videos without numbers \(v3\)"),
    "shape": ({"v3": np.zeros((4, 7))}, r"another shape than \[L\] or \[L, 3\].* \(v3\)"),
    "mixed": ({"v3": np.zeros((4, 3))}, r"another shape than the first.* \(v3\)"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_does_not_fit_is_named_and_counted(tmp_path: pathlib.Path, kind: str) -> None:
    changes, message = WRONG[kind]
    arrays = {k: v for k, v in (by_video(lambda t: t) | changes).items() if v is not None}
    with pytest.raises(UserError, match=message):
        read_scores(save(tmp_path, **arrays), INFO, bags())


def test_a_total_that_fits_nothing_is_explained(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "all.npy", np.zeros(200))
    message = (
        "200 scores; the 3 videos of the split need 12 per segment, 192 per evaluated frame, 207"
    )
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / "all.npy", INFO, bags(frames_more=5))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.txt", b"0.5", "from .npz .by video. or .npy"),
        ("scores.npz", b"PK\x03\x04 no archive", "not an .npz file of plain arrays"),
        ("scores.npy", b"", "not an .npy file or damaged"),
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


def test_a_runs_own_scores_give_its_own_numbers(
    trained: pathlib.Path, tiny_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    quick = Settings(num_curves=0, report=False)
    own = evaluate(trained, split="val", step="last", settings=quick)
    stored = np.load(trained / "eval" / "tiny-val-last" / "scores.npz")
    parts = np.split(stored["scores"], stored["offsets"][1:-1])
    path = save(tmp_path, **dict(zip(stored["video_ids"].tolist(), parts, strict=True)))
    data = {"split": "val", "dataset": "tiny", "data_dir": str(tiny_data)}
    folder = tmp_path / "report"
    given = evaluate_scores(path, folder=folder, settings=quick, **data)
    for key in ("frame_auc", "frame_ap", "video_auc", "truth_hash", "operating_point"):
        assert given[key] == own[key]
    assert given["category_accuracy"] is None
    agnostic = [x["localization"]["proposals"]["class_agnostic"] for x in (given, own)]
    assert agnostic[0] == agnostic[1]
    assert "name no category" in given["localization"]["no_categories"]
    before = (folder / "metrics.json").read_bytes()
    with pytest.raises(UserError, match="exists; choose another --output"):
        evaluate_scores(path, folder=folder, settings=quick, **data)
    assert (folder / "metrics.json").read_bytes() == before
    assert json.loads(before)["scores"]["file"] == "scores.npz"
    assert len(read_split(str(tiny_data), "tiny", "val")) == given["num_videos"]

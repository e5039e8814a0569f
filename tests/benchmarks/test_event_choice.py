"""Choosing the rule for events: on one half, measured on the other, never on a test split."""

import dataclasses
import pathlib

import numpy as np
import pytest

from benchmarks import event_choice
from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.numbers import mean_average_precisions
from refinevad_jax.evaluation.scored_split import ScoredSplit, stored_arrays
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.events import ProposalRule
from refinevad_jax.runs.evaluations import write_evaluation

TAXONOMY = Taxonomy("own", ("fire", "flood"), ("fire", "flood"))


def split_of(num_videos: int = 8) -> ScoredSplit:
    """Videos with one event each, and scores that tell it from noise."""
    rng = np.random.default_rng(0)
    bags, results = [], []
    for i in range(num_videos):
        start, length = rng.integers(0, 20), rng.integers(3, 12)
        scores = rng.uniform(0, 0.3, 32).astype(np.float32)
        scores[start : start + length] += 0.5
        spans = np.array([[16 * start, 16 * (start + length), i // 2 % 2]], np.int32)
        labels = np.arange(2) == i // 2 % 2
        features = np.zeros((1, 32, 4), np.float16)
        bags.append(Bag(f"v{i:02d}", "x", labels, features, 512, 0.0, spans, True))
        probs = np.where(labels, 0.9, 0.1).astype(np.float32)
        results.append(VideoScores(scores, 0.5, probs, probs, np.zeros_like(scores)))
    info = BagsInfo("own", TAXONOMY, (Modality("visual", 4),))
    return ScoredSplit(info, bags, results, False)


def by_segment(split: ScoredSplit) -> ScoredSplit:
    """The same scores with given categories that change within a video."""
    rng = np.random.default_rng(1)
    results = []
    for result in split.results:
        probs = rng.uniform(0.1, 0.9, (32, 2)).astype(np.float32)
        given = np.concatenate([1 - result.scores[:, None], probs], axis=1)
        results.append(dataclasses.replace(result, category_map=given))
    return dataclasses.replace(split, results=results)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return store(split_of(), tmp_path)


def store(split: ScoredSplit, tmp_path: pathlib.Path) -> pathlib.Path:
    metrics = {"dataset": "own", "split": "val", "frames_per_segment": 16}
    arrays = stored_arrays(split)
    write_evaluation(tmp_path / "eval", metrics, arrays, rows=[{"video_id": "v"}], events={})
    return tmp_path / "eval"


def test_a_stored_evaluation_gives_the_numbers_of_the_split_it_was_made_of(
    folder: pathlib.Path,
) -> None:
    stored, split = event_choice.read_scored(folder), split_of()
    for rule in ("legacy", "proposals"):
        found, expected = (mean_average_precisions(s, rule) for s in (stored, split))
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, err_msg=name)


def test_categories_by_segment_are_those_of_the_evaluation(tmp_path: pathlib.Path) -> None:
    split = by_segment(split_of())
    stored = event_choice.read_scored(store(split, tmp_path))
    for rule in ("legacy", "proposals"):
        found, expected = (mean_average_precisions(s, rule) for s in (stored, split))
        plain = mean_average_precisions(split_of(), rule)
        np.testing.assert_allclose(found["anomaly"], expected["anomaly"])
        assert (found["anomaly"] != plain["anomaly"]).any()
    first, second = event_choice.halves(stored)
    assert len(first.bags) == len(second.bags) == 4
    np.testing.assert_array_equal(second.category_map(0), split.category_map(1))


def test_the_halves_share_no_video(folder: pathlib.Path) -> None:
    first, second = event_choice.halves(event_choice.read_scored(folder))
    ids = [{bag.video_id for bag in half.bags} for half in (first, second)]
    assert ids == [{f"v{i:02d}" for i in range(k, 8, 2)} for k in (0, 1)]


def test_halves_are_alike_in_labels_and_spans(tmp_path: pathlib.Path) -> None:
    """Videos with spans that are every second one by id would all be in one half."""
    split = split_of()
    bags = [
        bag
        if i % 2
        else dataclasses.replace(bag, labels=np.zeros(2, bool), spans=bag.spans[:0], label="Normal")
        for i, bag in enumerate(split.bags)
    ]
    stored = event_choice.read_scored(store(dataclasses.replace(split, bags=bags), tmp_path))
    for half in event_choice.halves(stored):
        assert [bool(len(bag.spans)) for bag in half.bags] == [True, True, False, False]
        assert np.isfinite(event_choice.quality([half], ProposalRule()))


def test_a_half_without_spans_is_refused(tmp_path: pathlib.Path) -> None:
    split = split_of(4)
    bags = [dataclasses.replace(bag, spans=bag.spans[: i == 0]) for i, bag in enumerate(split.bags)]
    with pytest.raises(UserError, match="1 videos with annotated events; two are needed"):
        event_choice.read_scored(store(dataclasses.replace(split, bags=bags), tmp_path))


def test_the_choice_is_no_worse_than_where_it_starts_and_the_report_has_both_rules(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"smoothing": (0.2, 0.0), "max_overlap": (0.9, 0.3)}
    monkeypatch.setattr(event_choice, "VALUES", values)
    split = event_choice.read_scored(folder)
    chosen = event_choice.choose([split])
    start = ProposalRule(smoothing=0.2, max_overlap=0.9)
    assert event_choice.quality([split], chosen) > event_choice.quality([split], start)
    assert chosen == dataclasses.replace(start, smoothing=0.0, max_overlap=chosen.max_overlap)
    text = event_choice.report([split], lambda line: None)
    assert "| second half | published | anomaly |" in text
    assert "| second half | chosen on first half | class_agnostic |" in text
    assert "chosen on all, 8 videos, 8 spans: ProposalRule(smoothing=0.0" in text


def test_nothing_is_chosen_on_a_test_split_or_a_damaged_folder(folder: pathlib.Path) -> None:
    path = folder / "metrics.json"
    path.write_text(path.read_text().replace('"val"', '"test"'))
    with pytest.raises(UserError, match="of a test split; nothing is chosen on it"):
        event_choice.read_scored(folder)
    (folder / "scores.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"damaged; evaluate again .*not an \.npz"):
        event_choice.read_scored(folder)

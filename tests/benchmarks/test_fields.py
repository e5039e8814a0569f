"""What a field gives out of fold: where events are, by hand; one row, kept; the table."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from benchmarks import field_rows
from benchmarks.field_rows import Places, TrainingVideos, other_value, read_moments, run_row, table
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.experiments.cross_validation import OutOfFold

INFO = BagsInfo("few", Taxonomy("t", ("Fight",), ("Fight",)), (Modality("visual", 2),))


def bag(name: str, spans: Any, *, anomalous: bool = True, known: bool = True) -> Bag:
    """A video of 100 frames."""
    rows = np.array([(*span, 0) for span in spans], np.int32).reshape(-1, 3)
    label = "Fight" if anomalous else "Normal"
    features = np.ones((1, 5, 2), np.float16)
    return Bag(name, label, np.array([anomalous]), features, 100, 25.0, rows, known)


def test_places_come_from_truth_or_from_moments() -> None:
    bags = [
        bag("normal", [], anomalous=False, known=False),
        bag("truth", [(20, 60)]),
        bag("moment", [], known=False),
        bag("unknown", [], known=False),
    ]
    places = Places.of(bags, 5, {"moment": [5, 400]})  # the second lies beyond the video
    assert places.event.astype(int).tolist() == [[0] * 5, [0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0] * 5]
    expected = [[1] * 5, [1, 0, 0, 1, 1], [0, 1, 1, 1, 1], [0] * 5]
    assert places.other.astype(int).tolist() == expected


def test_the_columns_of_place_by_hand() -> None:
    event = np.array([[0, 0], [1, 0], [1, 0]], bool)
    places = Places(event, ~event)
    logits = np.array([[5.0, 1.0], [4.0, 3.0], [2.0, 6.0]])
    found = places.measured(logits, np.array([True, True, True]))
    # Events 4 and 2 against 5, 1, 3, 6; against 3 and 6; and each against its own video.
    assert found == {"pooled": 3 / 8, "anomalous": 1 / 4, "inside": 1 / 2}
    assert places.measured(logits, np.array([True, False, False])) == {}


def test_an_event_that_fills_its_video_has_no_inside() -> None:
    event = np.array([[0, 0], [1, 1]], bool)
    found = Places(event, ~event).measured(np.array([[1.0, 3.0], [4.0, 2.0]]), np.ones(2, bool))
    assert found == {"pooled": 3 / 4}


def test_a_row_changes_what_the_configuration_has() -> None:
    config = config_lib.default()
    assert other_value(config, "score_smoothing") == {"model.score_smoothing": 0.06}
    config.model.score_smoothing = 0.1
    assert other_value(config, "score_smoothing") == {"model.score_smoothing": 0.0}
    assert other_value(config, "shift") == {"model.shift": "none"}
    for key, neutral, tried in field_rows.FIELDS.values():
        own = config_lib.default()
        for value in (neutral, tried):
            own.update_from_flattened_dict({key: value})
            config_lib.validate(own)


def test_what_a_linear_scorer_does_not_read_is_no_row() -> None:
    config = config_lib.default()
    every = list(field_rows.FIELDS)
    config.model.category_input = "features"
    assert field_rows.unread(config, every) == []
    config.model.scorer_width = 0
    assert field_rows.unread(config, every) == ["shift"]
    config.model.category_input = "encoder"  # categories read it then
    assert field_rows.unread(config, every) == []


def test_a_row_is_kept_and_other_settings_are_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(field_rows, "out_of_fold", lambda *_, **own: calls.append(own))
    draws = [{"video_auc": [0.75, 0.5]}]
    monkeypatch.setattr(TrainingVideos, "measured", lambda *_: draws)
    bags = [bag("a", [], anomalous=False), bag("b", [(0, 50)])]
    videos = TrainingVideos(INFO, bags, ["a", "b"], Places.of(bags, 5, {}))

    def row(config: ConfigDict) -> list[field_rows.Columns]:
        return run_row(
            config, {"model.tau": 0.5}, videos, tmp_path / "x.json", num_folds=2, num_repeats=1
        )

    config = config_lib.default()
    assert row(config) == row(config) == draws and len(calls) == 1
    config.model.width = 64
    with pytest.raises(UserError, match=r"x\.json: of other settings or data; choose another"):
        row(config)
    other = dataclasses.replace(INFO, provenance={"draw": 1})
    videos = dataclasses.replace(videos, info=other)
    with pytest.raises(UserError, match=r"of other settings or data"):
        row(config_lib.default())


def test_every_draw_of_the_folds_has_its_columns() -> None:
    bags = [
        bag("a", [], anomalous=False),
        bag("b", [(20, 60)]),
        bag("c", [], anomalous=False),
        bag("d", [(0, 20)]),
    ]
    videos = TrainingVideos(INFO, bags, list("abcd"), Places.of(bags, 5, {}))
    first = [np.full(5, -1.0), np.array([0, 1, 2, 0, 0.0]), np.full(5, -1.0), np.arange(5.0)]
    none = np.zeros(0)
    results = [
        [
            VideoScores(row, 0, np.ones(1), none, none, logits=row, video_logit=float(row.max()))
            for row in rows
        ]
        for rows in (first, [-row for row in first])
    ]
    found = videos.measured(OutOfFold(np.array([[0, 0, 1, 1], [0, 1, 1, 0]]), results))
    assert found[0]["video_auc"] == [1.0, 1.0] and found[0]["inside"] == [1.0, 0.0]
    assert found[1]["video_auc"] == [0.0, 0.0] and found[1]["inside"] == [1.0, 0.0]
    assert not any("category_accuracy" in columns for columns in found)  # one category


def test_the_table_says_what_a_field_gives_whichever_has_it() -> None:
    config = config_lib.default()  # without smoothing, with the shift
    rows: dict[str, list[field_rows.Columns]] = {
        "as given": [{"video_auc": [0.9, 0.8]}],
        "score_smoothing": [{"video_auc": [0.95, 0.86]}],
        "shift": [{"video_auc": [0.89, 0.82]}],
    }
    lines = table(config, rows, "as given").splitlines()
    assert lines[2] == "| as given | 0.8500 |"
    assert (
        lines[3] == "| `model.score_smoothing`, not in the configuration | **+0.0550 ± 0.0050** |"
    )
    assert lines[4] == "| `model.shift` | -0.0050 ± 0.0150 |"


def test_another_draw_steadies_the_mean_and_not_the_error() -> None:
    config = config_lib.default()
    draws: list[field_rows.Columns] = [
        {"video_auc": [0.9, 0.8], "inside": [0.5, 0.7]},
        {"video_auc": [0.8, 0.9]},  # no video of this draw has an inside
        {"video_auc": [0.9, 0.8], "inside": [0.5, 0.7]},
    ]
    other: list[field_rows.Columns] = [
        {"video_auc": [0.88, 0.76], "inside": [0.5, 0.6]},
        {"video_auc": [0.82, 0.94]},
        {"video_auc": [0.88, 0.76], "inside": [0.5, 0.6]},
    ]
    lines = table(config, {"as given": draws, "shift": other}, "as given").splitlines()
    assert lines[2] == "| as given | 0.8500 | 0.6000 |"
    # Gains of .02 and .04, -.02 and -.04: their standard error in any one draw is .01.
    assert lines[3] == "| `model.shift` | +0.0100 ± 0.0100, 2 of 3 | +0.0500 ± 0.0500, 2 of 2 |"


def test_a_file_that_holds_no_moments_is_one_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("video-id,glance\na,3\na,7\nb,1\n", encoding="utf-8")
    assert read_moments(path) == {"a": [3, 7], "b": [1]}
    for text in ("id,frame\na,3\n", "video-id,glance\na,x\n", "video-id,glance\na\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=r"m\.csv: not a file of video-id,glance"):
            read_moments(path)
    with pytest.raises(UserError, match="not a file of video-id,glance"):
        read_moments(tmp_path / "absent.csv")

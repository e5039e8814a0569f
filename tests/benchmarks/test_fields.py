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


def test_a_row_is_kept_and_other_settings_are_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        folds, results = np.zeros((0, 2)), ()

        def measured(self, *_: Any) -> dict[str, np.ndarray]:
            return {"video_auc": np.array([0.75, 0.5])}

    calls = []
    monkeypatch.setattr(field_rows, "out_of_fold", lambda *_, **own: calls.append(own) or Found())
    bags = [bag("a", [], anomalous=False), bag("b", [(0, 50)])]
    videos = TrainingVideos(INFO, bags, ["a", "b"], Places.of(bags, 5, {}))

    def row(config: ConfigDict) -> dict[str, list[float]]:
        return run_row(
            config, {"model.tau": 0.5}, videos, tmp_path / "x.json", num_folds=2, num_repeats=1
        )

    config = config_lib.default()
    assert row(config) == row(config) == {"video_auc": [0.75, 0.5]} and len(calls) == 1
    config.model.width = 64
    with pytest.raises(UserError, match=r"x\.json: of other settings or data; choose another"):
        row(config)
    other = dataclasses.replace(INFO, provenance={"draw": 1})
    videos = dataclasses.replace(videos, info=other)
    with pytest.raises(UserError, match=r"of other settings or data"):
        row(config_lib.default())


def test_the_table_says_what_a_field_gives_whichever_has_it() -> None:
    config = config_lib.default()  # without smoothing, with the shift
    rows = {
        "as given": {"video_auc": np.array([0.9, 0.8])},
        "score_smoothing": {"video_auc": np.array([0.95, 0.86])},
        "shift": {"video_auc": np.array([0.89, 0.82])},
    }
    lines = table(config, rows, "as given").splitlines()
    assert lines[2] == "| as given | 0.8500 |"
    assert lines[3].startswith("| `model.score_smoothing`, not in the configuration | **+0.0550")
    assert lines[4] == "| `model.shift` | -0.0050 ± 0.0150 |"


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

"""The table over folds; the training is that of the ladder."""

import pytest

from benchmarks.fold_table import folds_of, table
from refinevad_jax.data.bags import dataset_dir
from refinevad_jax.errors import UserError


def content(fold: int, auc: float) -> dict:
    return {
        "dataset": f"set_{fold}",
        "split": "test",
        "seed": 0,
        "commit": "abc",
        "step_chosen_as": "best",
        "selection": "video_auc",
        "frame_auc": auc,
    }


def test_folds_are_found_in_order_up_to_the_first_gap(tmp_path):
    for fold in (0, 1, 3):
        dataset_dir(str(tmp_path), f"set_{fold}").mkdir(parents=True)
    assert folds_of(str(tmp_path), "set") == ["set_0", "set_1"]
    with pytest.raises(UserError, match="no data set 'other_0'"):
        folds_of(str(tmp_path), "other")


def test_a_row_has_the_mean_over_folds():
    text = table({"full": [content(0, 0.5), content(1, 0.7)], "base": [content(0, 0.6)] * 2})
    header, _, full, base, *_ = text.splitlines()
    assert header.startswith("| row | frame AUC |")
    assert full.startswith("| full | 0.600 ± 0.141 | –") and base.startswith("| base | 0.600 ±")
    assert "2 folds (set_0 to set_1), split test, seeds 0" in text

"""What tuning tried as a table, and what it chose as a configuration file."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from refinevad_jax import config as config_lib
from refinevad_jax.experiments.tuning import Tried, Tuning, differences
from refinevad_jax.files.staged import write_text
from refinevad_jax.report.tables import markdown_table

NOTE = (
    "Video-level AUC and category accuracy of videos that a network was not trained on, mean over "
    "the folds and repetitions, each fold by itself. Gain: mean difference from what was chosen "
    "before, on the same folds, ± its standard error. A candidate is taken if its gain is above "
    "one standard error; of several, the one with the highest AUC. Within recordings: the same of "
    "pairs of one recording; a candidate that is worse there by more than a standard error is not "
    "taken. Level: this data does not tell. Video-level AUC does not see where in a video an event "
    "is."
)


def write(
    folder: pathlib.Path,
    given: ConfigDict,
    chosen: ConfigDict,
    tried: Sequence[Tried],
    tuning: Tuning,
) -> str:
    """Writes tune.md and tuned.py into a folder. Returns the text of tune.md."""
    found = [*_table(tried), "", NOTE] if tried else [tuning.reason_to_keep]
    changes = [
        f"- `{key}` = {_shown(value)}" for key, value in differences(chosen, given).items()
    ] or ["- nothing"]
    lines = [
        f"# Tuned on the training videos of {given.data.dataset}",
        "",
        tuning.in_words,
        "",
        *found,
        "",
        "Chosen, against the configuration that was given:",
        "",
        *changes,
        "",
    ]
    write_text(folder / "tune.md", "\n".join(lines))
    write_text(folder / "tuned.py", _file(chosen))
    return "\n".join(lines)


def _table(tried: Sequence[Tried]) -> list[str]:
    header = ["candidate", "why", "video AUC", "categories", "gain"]
    header += ["within recordings", "how sure", "taken"]
    rows = [
        [
            one.candidate.name,
            one.candidate.reason,
            f"{one.metrics['video_auc'].mean():.4f}",
            _mean(one.metrics.get("category_accuracy")),
            "" if one.gain is None else str(one.gain),
            _within(one),
            one.sure,
            "yes" if one.chosen else "",
        ]
        for one in tried
    ]
    return markdown_table(header, rows)


def _within(one: Tried) -> str:
    """AUC of pairs within recordings, and the gain in it."""
    values = one.metrics.get("within_auc")
    if values is None or np.isnan(values).all():
        return ""
    return f"{np.nanmean(values):.4f}" + ("" if one.within is None else f", {one.within}")


def _mean(values: np.ndarray | None) -> str:
    return "" if values is None or np.isnan(values).all() else f"{np.nanmean(values):.3f}"


def _file(chosen: ConfigDict) -> str:
    """The configuration as a Python file that --config reads."""
    lines = [f"            {key!r}: {_shown(value)}," for key, value in _own(chosen).items()]
    return "\n".join(
        [
            '"""Chosen by refinevad_jax.tune; tune.md beside it says how."""',
            "",
            "from ml_collections import ConfigDict",
            "",
            "from refinevad_jax import config as config_lib",
            "",
            "",
            "def get_config() -> ConfigDict:",
            '    """All keys that differ from refinevad_jax/config.py."""',
            "    config = config_lib.default()",
            "    config.update_from_flattened_dict(",
            "        {",
            *lines,
            "        }",
            "    )",
            "    return config",
            "",
        ]
    )


def _own(chosen: ConfigDict) -> dict[str, Any]:
    return differences(chosen, config_lib.default())


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(tuple(value)) if isinstance(value, list | tuple) else repr(value)

"""Labels of rows that people write: which words mean normal, which name no category."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from data_prep.annotations.columns import is_flag_name
from data_prep.catalogue.video_names import is_normal_label

_NORMAL = frozenset(
    (
        *("normal", "none", "n/a", "na", "nan", "null", "-", "--", "no", "background"),
        *("nothing", "false", "0", "0.0", "no anomaly", "no event", "non-anomalous"),
        *("normal event", "normal video"),
    )
)
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
# Words for "anomalous" that name no category.
_ANOMALOUS = frozenset(("1", "1.0", "true", "yes", "anomaly", "anomalous", "abnormal"))


def is_normal_word(label: str | None) -> bool:
    """Whether a label of a table means that nothing is anomalous."""
    text = (label or "").strip().lower()
    return bool(text) and (text in _NORMAL or (is_normal_label(label) and text != "a"))


def flag_of(value: Any) -> bool | None:
    """What 0 or 1, true or false, yes or no says; None for everything else."""
    text = str(value).strip().lower()
    return text in _YES if text in _YES + _NO else None


def is_marked_normal(attributes: Mapping[str, Any]) -> bool | None:
    """Whether attributes say that something is normal; None if they do not speak of it.

    `anomaly: false`, `action: normal`.
    """
    for name, value in attributes.items():
        flag = flag_of(value)
        if is_flag_name(name) and flag is not None:
            return not flag
    words = {str(value).strip().lower() for value in attributes.values()}
    return True if "normal" in words else None


def category_word(label: str | None) -> str | None:
    """The category that a label names, None for a word that only says "anomalous"."""
    text = (label or "").strip()
    return None if text.lower() in _ANOMALOUS or not text else text


def listed(labels: Counter[str]) -> str:
    """The most common labels with how often they occur, for people."""
    shown = [f"{label[:40]} ({count})" for label, count in labels.most_common(6)]
    return ", ".join([*shown, *(["..."] if len(labels) > 6 else [])])

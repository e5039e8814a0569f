"""Labels of rows that people write: which words mean normal, which name no category."""

from collections import Counter

from data_prep.catalogue.video_names import is_normal_label

_NORMAL = frozenset(
    (
        *("normal", "none", "n/a", "na", "nan", "null", "-", "--", "no", "background"),
        *("nothing", "false", "0", "0.0", "no anomaly", "no event", "non-anomalous"),
        *("normal event", "normal video"),
    )
)
# Words for "anomalous" that name no category.
_ANOMALOUS = frozenset(("1", "1.0", "true", "yes", "anomaly", "anomalous", "abnormal"))


def is_normal_word(label: str | None) -> bool:
    """Whether a label of a table means that nothing is anomalous."""
    text = (label or "").strip().lower()
    return bool(text) and (text in _NORMAL or (is_normal_label(label) and text != "a"))


def category_word(label: str | None) -> str | None:
    """The category that a label names, None for a word that only says "anomalous"."""
    text = (label or "").strip()
    return None if text.lower() in _ANOMALOUS or not text else text


def listed(labels: Counter[str]) -> str:
    """The most common labels with how often they occur, for people."""
    shown = [f"{label[:40]} ({count})" for label, count in labels.most_common(6)]
    return ", ".join([*shown, *(["..."] if len(labels) > 6 else [])])

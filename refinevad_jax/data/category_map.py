"""Which category of one taxonomy is which of another, for transfer between data sets."""

import numpy as np

from refinevad_jax.data.taxonomy import Taxonomy

# Other names of one thing, by display name: UCF-Crime and XD-Violence name it differently.
SYNONYMS = (("road accident", "car accident", "traffic accident"),)


def matching(source: Taxonomy, target: Taxonomy) -> np.ndarray:
    """The category of source that each one of target is: same display name, or a synonym.

    Returns [C of target] int, -1 where source has no such category.
    """
    known = {_name(name): index for index, name in enumerate(source.display_names)}
    return np.array([known.get(_name(name), -1) for name in target.display_names], np.int64)


def mapped(probs: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Category values in the order of target, 0 for what source does not know.

    probs: [..., C of source]; found: what matching gives. Returns [..., C of target].
    """
    return np.where(found >= 0, probs[..., np.maximum(found, 0)], 0.0).astype(probs.dtype)


def in_words(source: Taxonomy, target: Taxonomy) -> str:
    """The table as one line."""
    found = matching(source, target)
    pairs = [
        f"{source.display_names[index]} -> {name}"
        for name, index in zip(target.display_names, found, strict=True)
        if index >= 0
    ]
    lost = [name for name, index in zip(target.display_names, found, strict=True) if index < 0]
    return f"{', '.join(pairs) or 'none'}; without a counterpart: {', '.join(lost) or 'none'}"


def _name(name: str) -> str:
    lowered = name.casefold()
    return next((group[0] for group in SYNONYMS if lowered in group), lowered)

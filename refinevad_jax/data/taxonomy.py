"""The anomaly categories of a data set and the label strings that name them.

There is no normal category: a video with no category is normal. Label strings are read as the
released lists write them: `RoadAccidents` (UCF-Crime), `B2-B6-G` (XD-Violence), `A`, `Normal`.
"""

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError

# File systems allow 255 bytes; suffixes are added.
MAX_BYTES = 240
_OPPOSITES = ("abnormal", "anomal")  # of normal, though they look alike
# Control characters, halves of surrogate pairs, and what ends a line.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")


def shown(name: str) -> str:
    """A name as errors quote it, cut if it is long."""
    return repr(name if len(name) <= 60 else f"{name[:60]}...")


def fault_of_name(name: str, *, of_file: bool = False) -> str:
    """What is wrong with a name, in words; "" if nothing is.

    of_file: whether files are named after it: `fight/1` is then `1` in a folder, but it may not
    lead out of the folder of all.
    """
    if any(unicodedata.category(character) in _REFUSED for character in name):
        return "holds control characters or line ends; remove them"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes; shorten it"
    if of_file and ("\\" in name or {"", ".", ".."} & set(name.split("/"))):
        return "would lead to another folder; write it without '..', back-slash or slash in front"
    return ""


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """C anomaly categories in index order, and the grammar of label strings.

    Attributes:
        name: for messages and metadata.
        categories: C label tokens as the released lists spell them.
        display_names: C names for tables and figures.
        normal: label tokens that mean "no anomaly".
        separator: joins the tokens of a video with several categories; "" if a video has only one.
        ignored: tokens that stand for "no further label" (XD-Violence's `0`).
    """

    name: str
    categories: tuple[str, ...]
    display_names: tuple[str, ...]
    normal: tuple[str, ...] = ("Normal",)
    separator: str = ""
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.categories:
            raise UserError(f"taxonomy {self.name}: no categories; list at least one")
        if len(self.display_names) != len(self.categories):
            raise UserError(
                f"taxonomy {self.name}: {len(self.display_names)} display names for "
                f"{len(self.categories)} categories; give one each"
            )
        tokens = [*self.categories, *self.normal, *self.ignored]
        for token in (self.name, *self.display_names, *tokens):
            if fault := fault_of_name(token):
                raise UserError(f"taxonomy {shown(self.name)}: {shown(token)} {fault}")
        for token in tokens:
            if tokens.count(token) > 1:
                raise UserError(f"taxonomy {self.name}: {token!r} appears twice; remove one")

    @property
    def num_categories(self) -> int:
        """C."""
        return len(self.categories)

    def index(self, token: str) -> int:
        """Index in [0, C) of a category by its token or display name, in any case.

        Raises UserError for an unknown token.
        """
        for names in (self.categories, self.display_names):
            lowered = [name.lower() for name in names]
            if token.lower() in lowered:
                return lowered.index(token.lower())
        raise UserError(
            f"unknown label {token!r}{self._nearest(token)}: taxonomy {self.name} knows "
            f"{', '.join(self.categories)} and {', '.join(self.normal)} for normal"
        )

    def _nearest(self, token: str) -> str:
        """Which known name was probably meant, in words; "" if none is alike."""
        known = {name.lower(): name for name in (*self.categories, *self.display_names)}
        known |= {name.lower(): name for name in self.normal}
        bare = token.strip(" \t\"'.,;").removesuffix(".0").lower()
        classes = [low for low, name in known.items() if not self.is_normal(name)]
        denied = re.fullmatch(r"no[nt]?[ _-]?(.+)", bare)
        if denied and difflib.get_close_matches(denied[1], classes, n=1):
            return " (if it means normal, write it under 'normal' in the taxonomy)"
        if bare.startswith(_OPPOSITES):
            known = {low: name for low, name in known.items() if not self.is_normal(low)}
        # `nonfight` is no misspelling of `fight`, but its opposite.
        known = {low: name for low, name in known.items() if bare == low or not bare.endswith(low)}
        found = difflib.get_close_matches(bare, known, n=1)
        return f" (did you mean {known[found[0]]!r}?)" if found else ""

    def is_normal(self, token: str) -> bool:
        """Whether a token means "no anomaly"."""
        return token.lower() in [name.lower() for name in self.normal]

    def multi_hot(self, label: str) -> np.ndarray:
        """Reads a label string into a multi-hot target.

        Returns [C] bool, all False for a normal video. Raises UserError for an unknown token, an
        empty label, or one that is both normal and anomalous.
        """
        tokens = label.strip().split(self.separator) if self.separator else [label.strip()]
        tokens = [token.strip() for token in tokens if token.strip() not in self.ignored]
        target = np.zeros(self.num_categories, bool)
        anomalous = [token for token in tokens if not self.is_normal(token)]
        if not tokens or (anomalous and len(anomalous) < len(tokens)):
            raise UserError(f"label {label!r} names neither a category nor normal alone")
        for token in anomalous:
            target[self.index(token)] = True
        return target

    def span_index(self, label: str) -> int:
        """Index of the category of a span, -1 if its label names several.

        Raises UserError for a label that is unknown or means normal.
        """
        named = np.flatnonzero(self.multi_hot(label))
        if len(named) > 1:
            return -1
        return int(named[0]) if len(named) else self.index(label)

    def to_dict(self) -> dict[str, Any]:
        """What from_dict reads, also after a way through JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, source: str) -> "Taxonomy":
        """Builds a taxonomy from its JSON form; source names the file in errors."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values).difference(known))
        if unknown or "categories" not in values:
            problem = f"unknown key {unknown[0]!r}" if unknown else "no key 'categories'"
            raise UserError(f"{source}: {problem}; a taxonomy has the keys {', '.join(known)}")
        values = {"name": source, "display_names": values["categories"], **values}
        for key in ("categories", "display_names", "normal", "ignored"):
            items = values.get(key, ())
            if not isinstance(items, list | tuple) or not all(
                isinstance(item, str) and item for item in items
            ):
                raise UserError(f"{source}: {key!r} must be a list of non-empty strings")
            if key in values:
                values[key] = tuple(items)
        if not isinstance(values.get("separator", ""), str):
            raise UserError(f"{source}: 'separator' must be a string")
        return cls(**values | {"name": str(values["name"])})


# The taxonomies, by name, whose normal videos are truth of the column "normal" in the localization
# metrics: in VadCLIP's files both the class and the truth of XD-Violence are called `A`. On
# UCF-Crime the class is `Normal` and the truth `A`, so that nothing matches.
NORMAL_HAS_TRUTH = ("xd_violence",)

# Other names of one thing, by display name: UCF-Crime and XD-Violence name it differently.
SYNONYMS = (("road accident", "car accident", "traffic accident"),)


def matching(source: Taxonomy, target: Taxonomy) -> np.ndarray:
    """The category of source that each one of target is: same display name, or a synonym.

    Returns [C of target] int, -1 if source has no such category.
    """
    known = {_name(name): index for index, name in enumerate(source.display_names)}
    return np.array([known.get(_name(name), -1) for name in target.display_names], np.int64)


def mapped(probs: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Category values in the order of target, 0 for what source does not know.

    probs: [..., C of source]; found: what matching gives. Returns [..., C of target].
    """
    return np.where(found >= 0, probs[..., np.maximum(found, 0)], 0.0).astype(probs.dtype)


def in_words(source: Taxonomy, target: Taxonomy) -> str:
    """What matching finds, as one line."""
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

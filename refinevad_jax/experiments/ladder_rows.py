"""The rows of the ablation ladder: what each changes in a configuration, and what it asks.

The rows and the paper's figures are those of docs/method.md, sections 7 and 8.
"""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib
from refinevad_jax.errors import UserError

BASE, FULL = "base", "full"
NO_MOTAR = {"model.shift": "none", "model.num_layers": 0}
NO_CORE = {"model.injection": "none"}
NO_MIXTURE = {"loss.smoothing_weight": 0.0}
# Keys by what reads them, as far as rows change them.
OF_MOTAR = ("model.shift", "model.folding", "model.num_layers")
OF_CORE = ("model.category_input", "loss.category_weight", "optimizer.category_rate")
OF_CONTEXT = ("model.attention_query", "train.label_injection")
OF_WEIGHTS = ("model.tau", "train.trainable_prototypes")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the ladder.

    Attributes:
        name: in tables, and of its folder.
        changes: configuration keys to values, against the full model.
        part: what full has and this row lacks, if the row asks whether a part helps.
        about: a sentence for `ladder --list`; "" if `part` says it.
        paper_auc: frame AUC on UCF-Crime that the paper gives, in percent; on other features.
    """

    name: str
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    part: str = ""
    about: str = ""
    paper_auc: float | None = None

    @property
    def meaning(self) -> str:
        """What the row is, in a sentence."""
        return self.about or f"Without {self.part}."


STEPS = (
    Row(
        BASE,
        {**NO_CORE, **NO_MOTAR, **NO_MIXTURE},
        about="Each segment is scored alone: no MoTAR, no CORE, no L_GMM.",
        paper_auc=84.60,
    ),
    Row("base-motar", {**NO_CORE, **NO_MIXTURE}, "CORE", "base with MoTAR.", paper_auc=85.43),
    Row(
        "base-injection",
        {**NO_MOTAR, **NO_MIXTURE, "model.injection": "hard"},
        about="base with CORE, which takes the likeliest category alone.",
        paper_auc=87.28,
    ),
    Row(
        "base-injection-soft",
        {**NO_MOTAR, **NO_MIXTURE, "model.injection": "soft"},
        about="base with CORE, which takes all categories by their weights.",
        paper_auc=87.85,
    ),
    Row(FULL, about="The configuration as it is.", paper_auc=88.89),
)
PARTS = (
    Row("without-motar", NO_MOTAR, "MoTAR (shift and Transformer)"),
    Row("without-transformer", {"model.num_layers": 0}, "the Transformer"),
    Row("without-mixture", NO_MIXTURE, "the mixture loss L_GMM"),
    Row(
        "difference-loss",
        {"loss.smoothing": "difference"},
        "L_GMM against neighbour differences",
        "In the place of L_GMM, neighbouring scores are drawn together.",
    ),
    Row(
        "without-label-injection",
        {"train.label_injection": False},
        "e_y in training, which tells anomalous videos from normal ones",
    ),
    Row("without-category-loss", {"loss.category_weight": 0.0}, "the category loss L_cat"),
    Row("frozen-prototypes", {"train.trainable_prototypes": False}, "learning the prototypes"),
    Row(
        "hard-injection",
        {"model.injection": "hard"},
        "soft categories against the argmax",
        "CORE takes the likeliest category alone.",
    ),
    Row("no-shift", {"model.shift": "none"}, "the channel shift"),
    Row(
        "constant-shift",
        {"model.shift": "constant"},
        "gate adaptivity",
        "The shift is the same for every segment, as in TSM.",
    ),
    Row("dead-gate", {"model.shift": "dead"}, "learning the gate"),
)
READS = {"encoder": "the encoder's output", "features": "its own projection of the features"}
LOSSES = {
    "ranking": "a ranking hinge over pairs of videos",
    "bce": "binary cross-entropy of videos",
    "segments": "binary cross-entropy of segments",
}
CHOICES = (
    *(
        Row(f"folding-{k}", {"model.folding": k}, f"this folding against K = {k}", about)
        for k in (2, 4, 8)
        for about in [f"The shift moves 1/{k} of the channels at most."]
    ),
    *(
        Row(f"tau-{t:g}", {"model.tau": t}, f"this temperature against {t:g}", about)
        for t in (0.2, 1.0)
        for about in [f"Category weights have temperature {t:g}."]
    ),
    *(
        Row(
            f"query-{q}", {"model.attention_query": q}, f"this reading against a {q}'s query", about
        )
        for q in ("video", "segment")
        for about in [f"The cross-attention of CORE has one query per {q}."]
    ),
    *(
        Row(f"mil-{m}", {"loss.mil": m}, f"this MIL loss against {m}", f"L_MIL is {words}.")
        for m, words in LOSSES.items()
    ),
    *(
        Row(
            f"layers-{n}",
            {"model.num_layers": n},
            f"this depth against {n} Transformer layers",
            about,
        )
        for n in (1, 2)
        for about in [f"The Transformer has {n} layer{'s' * (n > 1)}."]
    ),
    *(
        Row(
            f"categories-{i}",
            {"model.category_input": i},
            f"this input of the categories against {i}",
            about,
        )
        for i, words in READS.items()
        for about in [f"The category head reads {words}."]
    ),
    Row(
        "label-injection",
        {"train.label_injection": True},
        "no e_y in training against e_y",
        "The embedding e_y of the label is added for every anomalous training video.",
    ),
    Row("raw-scores", {"model.score_smoothing": 0.0}, "smoothed scores"),
    Row(
        "without-centering",
        {"model.score_centering": 0.0},
        "scores less a share of their mean",
        "No share of their mean is taken from the scores of a video.",
    ),
    Row("one-rate", {"optimizer.category_rate": 1.0}, "the categories' own learning rate"),
    Row(
        "top-k-16",
        {"loss.top_k_divisor": 16},
        "this k against k = T / 16 + 1",
        "L_MIL reads the mean of the top k = T / 16 + 1, as in the field.",
    ),
)


def ladder(config: ConfigDict, modalities: Sequence[str], only: Sequence[str] = ()) -> list[Row]:
    """The rows for a configuration: those that change it, and one per modality if it has several.

    If two rows come to the same network, the first is kept. only: names to keep, with full; () for
    all. Raises UserError for an unknown name.
    """
    rows, same = _distinct(config, modalities)
    unknown = sorted(set(only) - {row.name for row in rows})
    if unknown:
        names = ", ".join(row.name for row in rows)
        first = next((row for row, equal in same.items() if unknown[0] in equal), "")
        why = f": nothing reads what it changes, it is the network of {first}" if first else ""
        raise UserError(f"--rows: no row {unknown[0]!r} here{why}; there are {names}")
    return [row for row in rows if not only or row.name == FULL or row.name in only]


def left_out(config: ConfigDict, modalities: Sequence[str]) -> str:
    """Which rows change only what nothing reads here, in a sentence; "" if there is none."""
    _, same = _distinct(config, modalities)
    if not same:
        return ""
    words = "; ".join(
        f"the same network as {first}: {', '.join(names)}" for first, names in same.items()
    )
    linear = (
        " With config.model.scorer_width=0 a score is a linear function of the features, without "
        "MoTAR and CORE."
    )
    found = f"Rows left out, because nothing reads what they change: {words}."
    return found + linear * (not config.model.scorer_width)


def _distinct(
    config: ConfigDict, modalities: Sequence[str]
) -> tuple[list[Row], dict[str, list[str]]]:
    """The rows that differ in what the network reads; by row, what differs in nothing read."""
    rows = [*STEPS, *PARTS, *CHOICES]
    if len(modalities) > 1:
        rows += [
            Row(f"only-{name}", {"data.modalities": (name,)}, f"more than {name} features", about)
            for name in modalities
            for about in [f"{name} features alone."]
        ]
    first: dict[str, Row] = {}
    settings: set[str] = set()
    same: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.name != FULL):  # what is as full makes no row
        own = changed(config, row)
        kept = first.setdefault(what_is_read(own).to_json(sort_keys=True), row)
        text = own.to_json(sort_keys=True)
        if kept is not row and text not in settings:
            same.setdefault(kept.name, []).append(row.name)
        settings.add(text)
    return [row for row in rows if row in first.values()], same


def what_is_read(config: ConfigDict) -> ConfigDict:
    """The configuration, with its default for every key that nothing reads beside the others."""
    model, loss = config.model, config.loss
    has_core, linear = model.injection != "none", not model.scorer_width
    smoothed = loss.smoothing_weight > 0 and (has_core or loss.smoothing == "difference")
    mixture = smoothed and loss.smoothing == "mixture"
    unread = [] if smoothed else ["loss.smoothing"]
    if model.shift == "none":
        unread.append("model.folding")
    if model.injection != "soft":
        unread.append("model.tau")
    if not has_core:
        unread += [*OF_CORE, *OF_CONTEXT, *OF_WEIGHTS]
    if linear:
        unread += OF_CONTEXT
        if not (has_core and model.category_input == "encoder"):
            unread += OF_MOTAR
        if has_core and not mixture:
            unread += [*OF_WEIGHTS, "model.injection"]
    default = config_lib.flat(config_lib.default())
    own = copy.deepcopy(config)
    own.update_from_flattened_dict({key: default[key] for key in unread})
    if not smoothed:
        own.loss.smoothing_weight = 0.0
    return own


def listing(rows: Sequence[Row], note: str = "") -> str:
    """Rows with their meaning and what they change, a line each, and a note, for a person."""
    table = [("row", "meaning", "changes")]
    for row in rows:
        changes = " ".join(f"{key}={value}" for key, value in row.changes.items())
        table.append((row.name, row.meaning, changes))
    first, second = (max(len(line[column]) for line in table) for column in (0, 1))
    lines = [f"{a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in table]
    more = "A data set of several modalities adds a row only-NAME for each: that one alone."
    return "\n".join([*lines, "", more, *([note] * bool(note))])


def changed(config: ConfigDict, row: Row) -> ConfigDict:
    """A copy of the configuration with the row's changes."""
    own = copy.deepcopy(config)
    own.update_from_flattened_dict(row.changes)
    return own

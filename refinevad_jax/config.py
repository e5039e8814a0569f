"""The configuration: every key with its unit and reason, and the check made before a run.

Marks as in docs/method.md: S, stated by the paper; D, our decision.
"""

import difflib
from typing import Any

from ml_collections import ConfigDict

from refinevad_jax.errors import UserError, config_fault


def default() -> ConfigDict:
    """The full RefineVAD on a data set of that name; configs/*.py change what differs."""
    config = ConfigDict()
    config.seed = 0
    config.num_seeds = 1  # seeds seed .. seed + num_seeds - 1, trained in one program

    data = config.data = ConfigDict()
    data.data_dir = "data"  # holds feature_bags/<dataset>/
    data.dataset = "ucf"
    data.train_split = "train"
    # Where checkpoints are chosen, by video-level labels alone. "train" holds a part of the
    # training split out of training. Never the test split.
    data.selection_split = "train"
    data.selection_fraction = 0.1  # of the videos of every label, when taken from the train split
    data.num_segments = 200  # T in training, by averaging inside equal bins (D, as UR-DMU)
    data.modalities = ()  # names to use; () for all of the data set's
    # What the network does to its input: "modality", each modality of a segment to length 1, then
    # its own LayerNorm (D); "training", each channel less its mean, by its deviation, over the
    # training segments, at most 10 away from 0; "video", the same, but less the median of the video
    # that the segment is of, for recordings that differ more than what happens in them (D);
    # "recording", less the median of all videos of the same camera, film or record in the split,
    # where the data set states it: an event may fill a video and not its recording (D). In each
    # case a modality of zeros stays without evidence.
    data.normalization = "modality"
    data.device_limit_gb = 4.0  # bags above this stay on the host and travel batch by batch
    data.host_limit_gb = 32.0  # splits above this stay in their files and are read batch by batch

    model = config.model = ConfigDict()
    model.width = 512  # H (D)
    model.num_layers = 2  # of the light Transformer (D); 0 makes it an MLP per segment
    model.num_heads = 4  # (D)
    model.mlp_width = 1024  # of the Transformer's feed-forward (D)
    model.dropout = 0.1  # (D)
    # MoTAR's shift: "adaptive" (S), "constant" r = 0.5 as in TSM, "dead" (a bare floor, control),
    # "none".
    model.shift = "adaptive"
    model.folding = 4  # K (D); s = floor(r D / K), K >= 2 keeps 2 s <= D
    # What CORE injects: "soft" category mixture (S), "hard" argmax category, "none" (no CORE).
    model.injection = "soft"
    model.tau = 1.0  # temperature of the category weights (S); 0.2 lifts the largest weight
    # Cross-attention reading: "video", Q = v over the segments (D); "segment", Q = x_t over the
    # weighted prototypes.
    model.attention_query = "video"
    # (D); 0: the score is a linear function of the normalised features, MoTAR and CORE have no
    # part in it. It needs a learning rate of 1e-2 to be learned in 100 to 300 steps.
    model.scorer_width = 128
    # What the category head reads: "encoder", MoTAR's output pooled by the coarse attention (S);
    # "features", a separate projection of the input, pooled by attention and by maximum (D).
    model.category_input = "encoder"
    # What a category is: "learned", its own prototype and output (S); "sentences", projections of
    # the sentence embedding of its name, so that any name can be asked for (D).
    model.category_names = "learned"
    # Scores are averaged over time before the sigmoid, with weights that fall by e at this share of
    # the video on both sides, beyond its ends with a segment without evidence; 0 leaves them (D).
    model.score_smoothing = 0.0
    # This share of a video's mean logit is taken from all its segments, if the mean is above 0:
    # what tells the video apart counts for less than what tells its segments apart; 0 for none (D).
    model.score_centering = 0.0

    loss = config.loss = ConfigDict()
    # "ranking", hinge over pairs of videos (S); "bce", cross-entropy of the pooled logit (D);
    # "segments", cross-entropy of all segments of normal videos and of the top k of others (D).
    loss.mil = "ranking"
    # "segments" takes all segments of anomalous videos in so many first steps: which are highest
    # is known only after what tells the videos apart has been learned (D, as the first round of the
    # regression in benchmarks/linear_mil.py).
    loss.whole_steps = 0
    loss.margin = 1.0  # of the ranking hinge (D)
    loss.top_k_divisor = 16  # k = T / divisor + 1 segments per video (D, the field's)
    loss.smoothing = "mixture"  # "mixture" (S); "difference" of neighbours, the null control
    loss.smoothing_weight = 0.1  # (S)
    loss.category_weight = 0.2  # (S)

    train = config.train = ConfigDict()
    train.batch_size = 64  # half normal, half anomalous (S)
    train.num_epochs = 30  # at most (S); an epoch is one pass over the shorter list
    # Steps at least: the epochs of a short list are then several passes. 0 for one pass each (D).
    train.min_steps = 0
    train.label_injection = True  # whether e_y is added to v in training (S)
    train.trainable_prototypes = True  # False freezes E, a row of the ladder
    # Precision of the large matrix products: "float32", or "bfloat16" on a device that is faster in
    # it (D).
    train.precision = "float32"
    # What chooses the checkpoint: "video_auc" or "video_ap" of the selection list, which need
    # video-level labels only, or "step", the last one, if the number of steps was chosen before.
    train.selection_metric = "video_auc"

    optimizer = config.optimizer = ConfigDict()
    optimizer.learning_rate = 1e-4  # peak (D)
    optimizer.weight_decay = 1e-2  # AdamW, on matrices only: no biases, norms, prototypes (D)
    optimizer.warmup_fraction = 0.05  # of all steps, then cosine to 0 (D)
    optimizer.clip_norm = 1.0  # (D)
    # Learning rate of the category head as a multiple of the others': categories take more steps
    # to learn than the scorer takes to overfit (D).
    optimizer.category_rate = 1.0

    # Parts of another run to start from; train.trainable_prototypes=False keeps E as it is.
    transfer = config.transfer = ConfigDict()
    transfer.workdir = ""  # of that run; "" starts fresh
    transfer.step = "best"
    transfer.parts = ("core",)  # of TRANSFER_PARTS

    # Segments a video is resampled to for scoring; 0 scores the full sequence (D).
    config.eval = ConfigDict({"num_segments": 0})
    return config


TRANSFER_PARTS = ("motar", "core", "scorer")
CHOICES = {
    "data.normalization": ("modality", "training", "video", "recording"),
    "model.shift": ("adaptive", "constant", "dead", "none"),
    "model.injection": ("soft", "hard", "none"),
    "model.attention_query": ("video", "segment"),
    "model.category_input": ("encoder", "features"),
    "model.category_names": ("learned", "sentences"),
    "loss.mil": ("ranking", "bce", "segments"),
    "loss.smoothing": ("mixture", "difference"),
    "train.selection_metric": ("video_auc", "video_ap", "step"),
    "train.precision": ("float32", "bfloat16"),
}

# Keys that came later, with what runs had before them: their config.json lacks the key.
ADDED = {"model.category_names": "learned", "loss.whole_steps": 0}

# Keys that have been removed, with the value that changes nothing: runs that have it load.
REMOVED = {"model.dilations": [], "loss.pooling": "top_k"}

# Key: lowest value, highest value, both allowed.
RANGES = {
    "seed": (0, 2**31 - 1_001),
    "num_seeds": (1, 1_000),
    "data.selection_fraction": (0.01, 0.5),
    "data.num_segments": (1, 100_000),
    "data.device_limit_gb": (0.0, float("inf")),
    "data.host_limit_gb": (0.0, float("inf")),
    "model.width": (2, 65_536),
    "model.num_layers": (0, 100),
    "model.num_heads": (1, 1024),
    "model.mlp_width": (1, 1_000_000),
    "model.dropout": (0.0, 0.95),
    "model.folding": (2, 1024),
    "model.tau": (1e-3, 1e3),
    "model.scorer_width": (0, 65_536),
    "model.score_smoothing": (0.0, 1.0),
    "model.score_centering": (0.0, 0.9),
    "loss.margin": (0.0, 1e3),
    "loss.top_k_divisor": (1, 100_000),
    "loss.whole_steps": (0, 100_000_000),
    "loss.smoothing_weight": (0.0, 1e3),
    "loss.category_weight": (0.0, 1e3),
    "train.batch_size": (2, 65_536),
    "train.num_epochs": (1, 1_000_000),
    "train.min_steps": (0, 100_000_000),
    "optimizer.learning_rate": (1e-9, 10.0),
    "optimizer.weight_decay": (0.0, 10.0),
    "optimizer.warmup_fraction": (0.0, 1.0),
    "optimizer.clip_norm": (1e-6, 1e6),
    "optimizer.category_rate": (0.0, 1e3),
    "eval.num_segments": (0, 100_000),
}


def validate(config: ConfigDict) -> None:
    """Checks every key. Raises UserError naming the key, its value and what is allowed."""
    try:
        values = flat(config)
    except OSError as error:  # ml_collections reports a file that it could not load at first use
        raise UserError(config_fault(error)) from error
    if "" in values:
        raise UserError(
            f"config: get_config() gave {values['']!r:.60}; start from "
            "refinevad_jax.config.default(), change what differs and return it"
        )
    missing, unknown = other_keys(config)
    if unknown:
        raise UserError(unknown_key(unknown[0]))
    if missing:
        raise UserError(
            f"config: no key {missing[0]}; start from refinevad_jax.config.default(), which has all"
        )
    for key, example in flat(default()).items():
        _check_kind(key, values[key], example)
    for key, choices in CHOICES.items():
        if values[key] not in choices:
            raise UserError(f"config.{key}={values[key]!r}: choose {' or '.join(choices)}")
    for key, (low, high) in RANGES.items():
        if not low <= values[key] <= high:  # also false for NaN
            raise UserError(f"config.{key}={values[key]}: must be from {low:g} to {high:g}")
    _validate_together(config)


def other_keys(config: ConfigDict) -> tuple[list[str], list[str]]:
    """The keys that are missing, and those that are not of this schema."""
    found, own = flat(config).keys(), flat(default()).keys()
    return sorted(own - found), sorted(found - own)


def is_key(key: str) -> bool:
    """Whether the schema has this key, or a group of keys of this name."""
    return any(f"{own}.".startswith(f"{key}.") for own in flat(default()))


def nearest_key(key: str) -> str:
    """The key that was probably meant, by its last part first; "" if none is like it."""
    keys = list(flat(default()))
    name, names = _last(key), [_last(own) for own in keys]
    close = [name] if name in names else difflib.get_close_matches(name, names, 1, 0.75)
    found = [own for own in keys if _last(own) in close] or difflib.get_close_matches(key, keys, 1)
    return max(found, key=lambda own: difflib.SequenceMatcher(None, key, own).ratio(), default="")


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def unknown_key(key: str) -> str:
    """Says that the schema does not have this key, and names the nearest one."""
    if key in REMOVED:
        return f"no key config.{key}: it has been removed; leave it out"
    near = nearest_key(key)
    hint = f"did you mean config.{near}?" if near else "refinevad_jax/config.py has all keys"
    return f"no key config.{key}; {hint}"


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key, in order."""
    if not hasattr(values, "items"):  # raises for a file that ml_collections could not load
        return {prefix.removesuffix("."): values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.")
    return found


def _check_kind(key: str, value: Any, example: Any) -> None:
    """A stranger's config.json may hold anything; flags keep the kind by themselves."""
    kind = type(example)
    kinds: Any = {float: (int, float), tuple: (tuple, list)}.get(kind, (kind,))
    mixed = isinstance(value, bool) and not isinstance(example, bool)
    if not isinstance(value, kinds) or mixed:
        shown = repr(value)[:60]
        raise UserError(f"config.{key}={shown}: must be of type {kind.__name__}")
    if kind is tuple and not all(isinstance(item, str) for item in value):
        raise UserError(f"config.{key}={value!r}: must be names")


def _validate_together(config: ConfigDict) -> None:
    if config.model.width % config.model.num_heads:
        raise UserError(
            f"config.model.width={config.model.width}: must be a multiple of "
            f"config.model.num_heads={config.model.num_heads}"
        )
    if config.train.batch_size % 2:
        raise UserError(
            f"config.train.batch_size={config.train.batch_size}: must be even, half of a batch is "
            "normal and half anomalous"
        )
    if not config.transfer.parts or not set(config.transfer.parts) <= set(TRANSFER_PARTS):
        raise UserError(
            f"config.transfer.parts={tuple(config.transfer.parts)}: choose of "
            f"{', '.join(TRANSFER_PARTS)}"
        )
    for key in ("train_split", "selection_split"):
        if config.data[key] == "test":
            raise UserError(
                f"config.data.{key}='test': the test split is for evaluation only; choose on "
                "'val', or on 'train' to hold a part of it out"
            )

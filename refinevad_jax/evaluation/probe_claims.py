"""What the probes of a run say: one table, and the claims that follow by stated rules."""

from collections.abc import Sequence

import numpy as np

from refinevad_jax.evaluation.probes import (
    ANOMALOUS,
    AS_IS,
    DRAWS,
    MOVED,
    NORMAL,
    ONLY_CATEGORY,
    TRUE_CATEGORY,
    WRONG_CATEGORY,
    SeedProbes,
)
from refinevad_jax.metrics import names
from refinevad_jax.report.tables import Block, mean_and_deviation, signed, spread

# A claim follows from numbers by these rules, which NOTE states.
LEAST = 0.01  # mean difference of a metric, with one sign in all seeds
READ = 0.05  # of the deviation of logits
UNIFORM = 1.5  # times the uniform weight
COMPARED = ("frame_auc", "frame_ap", "anomalous_frame_auc")
NOTE = (
    "One part of the trained network is changed, nothing is trained: means over the seeds, in "
    "brackets the difference from the run as it is. Then the mean change of a segment's logit over "
    "the deviation of all logits, and the change of a video's mean logit, by label. Scores rise or "
    "fall if frame AUC, frame AP or AUC on anomalous videos does so in every seed and by "
    f"{LEAST} or more in the mean. All rows are of the same videos: nothing is said of others."
)
NOTE_OF_PARTS = (
    f"What is random is drawn {DRAWS} times. A category is read if the true one moves logits by "
    f"{100 * READ:.0f} % of their deviation or more, and as 'anomalous' alone if a wrong one moves "
    "normal videos by at least half of what the true one does to anomalous videos. Attention is "
    f"uniform if its largest weight is below {UNIFORM} times the uniform one."
)
LINEAR = (
    "not probed: prototypes, categories, gate, context and attention; with "
    "config.model.scorer_width=0 a score is a linear function of the features, which none of them "
    "reaches"
)


def block(seeds: Sequence[SeedProbes], where: str) -> Block:
    """The table and the claims. where: what was probed, in words."""
    metrics = [m for m in names.shown_in(names.PROBES) if _means(seeds, AS_IS, m.key) is not None]
    moves = [
        "logits move, in deviations",
        "mean logit moves, normal videos",
        "mean logit moves, anomalous videos",
    ]
    header = ["probe", *(metric.title for metric in metrics), *moves]
    rows = []
    for name in seeds[0].numbers:
        if name == AS_IS:
            first = [spread(_values(seeds, name, metric.key)) for metric in metrics]
            rows.append([name, *first, *("–" for _ in moves)])
            continue
        cells = [
            f"{_means(seeds, name, m.key):.3f} ({signed(_difference(seeds, name, m.key))})"
            for m in metrics
        ]
        shifts = [_means(seeds, name, key) for key in (NORMAL, ANOMALOUS)]
        moved = f"{_means(seeds, name, MOVED):.3f}"
        rows.append([name, *cells, moved, *(signed(shift, 2) for shift in shifts)])
    return Block(
        title="What the trained parts do",
        header=header,
        rows=rows,
        note=" ".join([f"{where}.", NOTE] + [NOTE_OF_PARTS] * (seeds[0].attention is not None)),
        claims=claims(seeds),
    )


def claims(seeds: Sequence[SeedProbes]) -> list[str]:
    """What the probes say, a line each, by the rules of NOTE."""
    found = [_outcome(seeds, name) for name in seeds[0].numbers if name != AS_IS]
    weights = [seed.attention for seed in seeds if seed.attention is not None]
    if weights:
        attention = float(np.mean(weights))
        kind = "uniform" if attention < UNIFORM else "not uniform"
        found += [
            _category_claim(seeds),
            f"the cross-attention of CORE is {kind}: its largest weight is {attention:.2f} times "
            "the uniform one",
        ]
    else:
        found.append(LINEAR)
    inside = [seed.inside for seed in seeds if seed.inside]
    if len(inside) == len(seeds):
        target, mean, middle = np.mean(inside, axis=0)
        more = all(seed[0] > seed[1] for seed in inside) and target - mean >= LEAST
        found.append(
            f"the target of L_GMM knows {'more' if more else 'no more'} than place: AUC inside "
            f"videos {target:.3f}, of its mean over videos {mean:.3f}, of a bump in the middle "
            f"{middle:.3f}"
        )
    return [line for line in found if line]


def _outcome(seeds: Sequence[SeedProbes], name: str) -> str:
    """Whether scores rise or fall in a probe; "" without truth."""
    words, signs = [], set()
    titles = names.titles()
    for key in COMPARED:
        mean = _difference(seeds, name, key)
        if mean is None:
            continue
        each = [
            after - before
            for before, after in zip(
                _values(seeds, AS_IS, key), _values(seeds, name, key), strict=True
            )
            if before is not None and after is not None
        ]
        if abs(mean) >= LEAST and len(set(np.sign(each))) == 1:
            signs.add(np.sign(mean))
        words.append(f"{titles[key]} {signed(mean)}")
    if not words:
        return ""
    verdict = {(): "no difference", (-1.0,): "scores fall", (1.0,): "scores rise"}
    text = verdict.get(tuple(sorted(signs)), "scores fall and rise")
    return f"{name}: {text} ({'; '.join(words)})"


def _category_claim(seeds: Sequence[SeedProbes]) -> str:
    """Whether a category that is given is read, and as what; "" without videos of both labels."""
    every = WRONG_CATEGORY if WRONG_CATEGORY in seeds[0].numbers else ONLY_CATEGORY
    moved, true = (_means(seeds, TRUE_CATEGORY, key) for key in (MOVED, ANOMALOUS))
    on_normal, on_anomalous = (_means(seeds, every, key) for key in (NORMAL, ANOMALOUS))
    if moved is None or true is None or on_normal is None or on_anomalous is None:
        return ""
    if moved < READ or true <= 0:
        return (
            f"categories are not read: the true one moves logits by {moved:.3f} of their deviation,"
            f" and the mean logit of anomalous videos by {signed(true, 2)}"
        )
    share = f"by {100 * on_normal / true:.0f} %"
    told = "of what the true one does to anomalous videos"
    if every == ONLY_CATEGORY:
        return f"the only category moves the mean logit of normal videos {share} {told}"
    as_which = "as 'anomalous', not which" if on_normal >= true / 2 else "as which they are"
    return (
        f"categories are read {as_which}: a wrong one moves the mean logit of normal videos "
        f"{share}, that of anomalous videos by {100 * on_anomalous / true:.0f} % {told}"
    )


def _values(seeds: Sequence[SeedProbes], name: str, key: str) -> list[float | None]:
    return [seed.numbers[name].get(key) for seed in seeds]


def _means(seeds: Sequence[SeedProbes], name: str, key: str) -> float | None:
    """Mean over the seeds; None if one is not defined."""
    found = mean_and_deviation(_values(seeds, name, key))
    return found[0] if found else None


def _difference(seeds: Sequence[SeedProbes], name: str, key: str) -> float | None:
    """Mean difference from the run as it is; None if one is not defined."""
    before, after = _means(seeds, AS_IS, key), _means(seeds, name, key)
    return None if before is None or after is None else after - before

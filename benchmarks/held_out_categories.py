"""Runs that were trained without some categories, asked for them by name.

T segments, C categories that are asked for.
"""

import copy
import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import Bag, read_info, read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders import text
from refinevad_jax.errors import UserError
from refinevad_jax.report.tables import markdown_table, spread
from refinevad_jax.runs.run import seed_workdirs
from refinevad_jax.training import loop

HIGHEST = 5  # a fifth of the segments
RULES = ("trained", "names, mean", "names, highest fifth", "most frequent")
AMONG = "the held-out", "the same, categories counted alike", "all"
# {split: {rule: {among: accuracy}}}
Accuracies = dict[str, dict[str, dict[str, float]]]


@dataclasses.dataclass(frozen=True)
class Asked:
    """A draw: its categories, its videos by split, and how often each rule is right.

    known: the accuracy among the trained categories, on the videos of them in the last split.
    """

    names: tuple[str, ...]
    num_categories: int
    num_videos: dict[str, int]
    accuracies: Accuracies
    known: float


class HeldOut:
    """The data set of a configuration, without some of its categories at a time."""

    def __init__(self, config: ConfigDict, workdir: pathlib.Path) -> None:
        """Raises UserError if the data has no sentences of the encoder of names."""
        self._config = copy.deepcopy(config)
        self._config.model.category_names = "sentences"
        self._config.train.selection_metric = "step"
        config_lib.validate(self._config)
        if config.data.normalization == "recording":
            raise UserError(
                "config.data.normalization='recording': videos are asked one by one here, without "
                "others of their recording; choose another"
            )
        self._workdir, data = workdir, config.data
        self._info = read_info(data.data_dir, data.dataset)
        if self._info.encoder != text.NAME:
            raise UserError(
                f"config.data.dataset={data.dataset}: made by {self._info.encoder!r}, not by "
                f"{text.NAME!r}, so names cannot be compared with its segments"
            )
        self._splits = {
            name: read_split(data.data_dir, data.dataset, name)
            for name in dict.fromkeys((data.train_split, data.selection_split))
        }

    def asked(self, draw: int, count: int) -> Asked:
        """Trains without `count` categories, and asks for them."""
        taxonomy = self._info.taxonomy
        if count >= taxonomy.num_categories:
            raise UserError(f"--held_out={count}: {taxonomy.num_categories} categories in all")
        rng = np.random.default_rng([draw, 0x0B3])
        held = np.sort(rng.choice(taxonomy.num_categories, count, replace=False))
        folders = self._train(draw, held)
        known = np.setdiff1d(np.arange(taxonomy.num_categories), held)
        accuracies: Accuracies = {}
        videos = {}
        for split, bags in self._splits.items():
            chosen = [bag for bag in bags if bag.labels[held].any()]
            if not chosen:
                raise UserError(f"draw {draw}: split {split!r} has no video of its categories")
            videos[split] = len(chosen)
            accuracies[split] = self._accuracies(folders, chosen, held)
        of_known = [bag for bag in bags if bag.labels[known].any()]
        shares = [
            right(_probs(folder, of_known, self._names(known)), of_known, known)
            for folder in folders
        ]
        return Asked(
            self._names(held), taxonomy.num_categories, videos, accuracies, float(np.mean(shares))
        )

    def _names(self, chosen: np.ndarray) -> tuple[str, ...]:
        return tuple(self._info.taxonomy.display_names[index] for index in chosen)

    def _train(self, draw: int, held: np.ndarray) -> list[pathlib.Path]:
        """The workdirs of the seeds of a draw, whose data lacks the held-out categories."""
        kept = np.setdiff1d(np.arange(self._info.taxonomy.num_categories), held)
        config = copy.deepcopy(self._config)
        config.data.data_dir = str(self._workdir / "data")
        config.data.dataset = f"without_{draw}"
        taxonomy = Taxonomy(
            f"{self._info.taxonomy.name}, {len(kept)} categories",
            tuple(self._info.taxonomy.categories[index] for index in kept),
            self._names(kept),
            self._info.taxonomy.normal,
            self._info.taxonomy.separator,
            self._info.taxonomy.ignored,
        )
        info = dataclasses.replace(
            self._info,
            name=config.data.dataset,
            taxonomy=taxonomy,
            provenance={"of": self._info.provenance, "without": list(self._names(held))},
        )
        videos = [
            _video(bag, split, self._info.taxonomy)
            for split, bags in self._splits.items()
            for bag in bags
            if not bag.labels[held].any()
        ]
        write_dataset(config.data.data_dir, info, videos)
        print(f"draw {draw}: without {', '.join(self._names(held))}", flush=True)
        workdir = self._workdir / f"draw{draw}"
        loop.train(config, workdir)
        return seed_workdirs(workdir)

    def _accuracies(
        self, folders: Sequence[pathlib.Path], bags: list[Bag], held: np.ndarray
    ) -> dict[str, dict[str, float]]:
        """How often each rule is right, among the held-out categories and among all."""
        every = np.arange(self._info.taxonomy.num_categories)
        counts = np.sum([bag.labels[held] for bag in bags], axis=0)
        frequent = np.tile(counts == counts.max(), (len(bags), 1))
        found: dict[str, dict[str, float]] = {rule: {} for rule in RULES}
        for chosen, columns in ((held, AMONG[:2]), (every, AMONG[2:])):
            names = self._names(chosen)
            trained = [_probs(folder, bags, names) for folder in folders]
            mean, highest = _by_name_alone(bags, names)
            for among in columns:
                alike = among == AMONG[1]
                for rule, tried in zip(RULES, (trained, [mean], [highest]), strict=False):
                    shares = [right(one, bags, chosen, alike=alike) for one in tried]
                    found[rule][among] = float(np.mean(shares))
                found[RULES[3]][among] = right(frequent, bags, held, alike=alike)
        return found


def table(found: Sequence[Asked]) -> str:
    """Markdown: mean and deviation over draws, and what was drawn."""
    splits = list(found[0].accuracies)
    header = ["rule", *(f"{split}, among {among}" for split in splits for among in AMONG)]
    rows = [
        [rule]
        + [
            spread([one.accuracies[split][rule][among] for one in found])
            for split in splits
            for among in AMONG
        ]
        for rule in RULES
    ]
    held = 1 / len(found[0].names)
    chance = [held, held, 1 / found[0].num_categories]
    rows.append(["chance", *(f"{value:.3f}" for _ in splits for value in chance)])
    lines = list(markdown_table(header, rows))
    lines += ["", f"Trained categories, on {splits[-1]}: {spread([one.known for one in found])}."]
    for number, one in enumerate(found):
        counts = ", ".join(f"{count} of {split}" for split, count in one.num_videos.items())
        values = " / ".join(
            f"{one.accuracies[splits[0]][rule][AMONG[0]]:.3f}" for rule in RULES[:3]
        )
        lines.append(f"- draw {number}: {', '.join(one.names)}; {counts}; {splits[0]} {values}")
    return "\n".join(lines) + "\n"


def _video(bag: Bag, split: str, taxonomy: Taxonomy) -> Video:
    spans = [
        Span(start, end, taxonomy.categories[category] if category >= 0 else None)
        for start, end, category in bag.spans.tolist()
    ]
    return Video(
        video_id=bag.video_id,
        split=split,
        label=bag.label,
        load_features=functools.partial(np.asarray, bag.features[:]),
        source=bag.video_id,
        num_frames=bag.num_frames,
        fps=bag.fps,
        spans=tuple(spans) if bag.has_truth else None,
        recording=bag.recording,
    )


def _probs(folder: pathlib.Path, bags: Sequence[Bag], names: tuple[str, ...]) -> np.ndarray:
    """[V, C] p_c of videos by a run that is asked for these names."""
    detector = Detector(folder, "last", categories=names)
    return np.stack([detector.score(bag.features[:]).category_probs for bag in bags])


def _by_name_alone(bags: Sequence[Bag], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """[V, C] cosine of segments with a sentence to names: their mean, and that of a fifth."""
    embedded = text.embedded_names(names)
    means, highest = [], []
    for bag in bags:
        rows = np.asarray(bag.features[0], np.float32)
        rows = rows[(rows != 0).any(axis=1)]
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        cosine = np.sort(rows / length @ embedded.T, axis=0)
        means.append(cosine.mean(axis=0))
        highest.append(cosine[-max(1, len(cosine) // HIGHEST) :].mean(axis=0))
    return np.stack(means), np.stack(highest)


def right(
    values: np.ndarray, bags: Sequence[Bag], chosen: np.ndarray, *, alike: bool = False
) -> float:
    """The share of videos whose highest value is of a category of theirs.

    values: [V, C], of the categories chosen [C]; alike: the mean over categories of the share of
    their videos, so that frequent ones count no more than others.
    """
    found = chosen[values.argmax(axis=1)]
    labels = np.stack([bag.labels for bag in bags])
    hits = labels[np.arange(len(bags)), found]
    if not alike:
        return float(hits.mean())
    return float(np.mean([hits[own].mean() for own in labels.T if own.any()]))

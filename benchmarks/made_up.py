"""Made-up bags, data sets, runs and training programs, for benchmarks."""

import pathlib
from collections.abc import Iterable

import jax
import numpy as np
from ml_collections import ConfigDict

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.batches import TrainingBags
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.runs.checkpoints import Checkpoints, TrainState, fresh_state
from refinevad_jax.runs.run import Run, write_run
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.members import stack
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.step import parameters_key

NUM_CATEGORIES = 13
NUM_TEST = 290


def test_lengths(num_videos: int = NUM_TEST) -> np.ndarray:
    """Segments of as many videos, spread as those of UCF-Crime's test split: 240 on average."""
    rng = np.random.default_rng(0)
    return np.clip(rng.lognormal(4.9, 0.9, num_videos), 10, 4000).astype(int)


def made_up_info(num_channels: int) -> BagsInfo:
    """What a data set of random features says of itself."""
    return BagsInfo(
        name="made_up",
        taxonomy=UCF_CRIME,
        modalities=(Modality("visual", num_channels),),
        encoder="random",
        simulated=True,
    )


def made_up_videos(lengths: Iterable[int], num_channels: int) -> list[Bag]:
    """Bags of random features in memory, without truth; every second one is anomalous.

    lengths: segments of each.
    """
    rng, categories, bags = np.random.default_rng(0), UCF_CRIME.categories, []
    for i, length in enumerate(lengths):
        bags.append(
            Bag(
                video_id=f"{i:05d}",
                label=categories[i // 2 % len(categories)] if i % 2 else UCF_CRIME.normal[0],
                labels=np.arange(len(categories)) == (i // 2 % len(categories) if i % 2 else -1),
                features=rng.standard_normal((1, length, num_channels), np.float32).astype("f2"),
                num_frames=16 * length,
                fps=30.0,
                spans=np.zeros((0, 3), np.int32),
                has_truth=False,
            )
        )
    return bags


def write_data(
    folder: pathlib.Path, num_channels: int, lengths: dict[str, list[int]], *, one_in: int = 2
) -> BagsInfo:
    """The data set "made_up" below a folder: random features.

    lengths: segments of the videos of every split, of which one in so many is anomalous.
    """
    from data_prep.dataset.videos import Span, Video
    from data_prep.dataset.write import write_dataset

    info = made_up_info(num_channels)
    videos = []
    for split, sizes in lengths.items():
        for i, length in enumerate(sizes):

            def features(i: int = i, length: int = length) -> np.ndarray:
                rng = np.random.default_rng(i)
                return rng.standard_normal((1, length, num_channels), np.float32)

            categories = UCF_CRIME.categories
            anomalous = i % one_in == 1
            spans = (Span(0, 16 * max(1, length // 3)),) if anomalous else ()
            videos.append(
                Video(
                    video_id=f"{split}{i:04d}",
                    split=split,
                    label=categories[i // one_in % len(categories)]
                    if anomalous
                    else UCF_CRIME.normal[0],
                    load_features=features,
                    source="random",
                    fps=30.0,
                    spans=None if split == "train" else spans,
                )
            )
    write_dataset(str(folder), info, videos)
    return info


def write_workdir(workdir: pathlib.Path, config: ConfigDict, info: BagsInfo) -> pathlib.Path:
    """A run of that configuration with its parameters as they are before the first step."""
    config.data.dataset = info.name
    run = Run(config, info, num_crops=1)
    write_run(workdir, run)
    _, params = create(run.model_config, parameters_key(0))
    optimizer = make_optimizer(OptimizerConfig.of(config), 10)
    checkpoints = Checkpoints(workdir, metric=config.train.selection_metric, writable=True)
    checkpoints.save(fresh_state(params, optimizer), {config.train.selection_metric: 0.5})
    checkpoints.close()
    return workdir


def made_up_bags(
    num_videos: int, num_segments: int, num_channels: int, num_seeds: int
) -> TrainingBags:
    """Random bags, every second one anomalous."""
    rng = np.random.default_rng(0)
    features = np.empty((num_videos, 1, num_segments, num_channels), np.float16)
    for row in features:
        row[...] = rng.standard_normal(row.shape, np.float32)
    labels = np.zeros((num_videos, NUM_CATEGORIES), bool)
    labels[1::2, 0] = True
    videos = np.arange(num_videos)
    return TrainingBags(
        features,
        labels,
        np.tile(videos[::2], (num_seeds, 1)),
        np.tile(videos[1::2], (num_seeds, 1)),
    )


class Program:
    """The compiled functions for as many seeds as the bags have.

    Attributes:
        dispatch: the functions.
        state: of all seeds, fresh at first.
        metrics: arrays [S, steps] of the last run.
    """

    def __init__(self, config: ConfigDict, bags: TrainingBags) -> None:
        network = ModelConfig((bags.features.shape[-1],), NUM_CATEGORIES, **config.model.to_dict())
        num_steps = 10_000
        optimizer = make_optimizer(OptimizerConfig.of(config), num_steps)
        seeds = range(len(bags.normal))
        networks = [create(network, parameters_key(seed)) for seed in seeds]
        states = [fresh_state(params, optimizer) for _, params in networks]
        self.dispatch = Dispatch(config, seeds, network, bags.list_shape)
        self.dispatch.take(bags, num_steps)
        self.state = self.dispatch.place(stack(states))
        self.metrics: dict[str, np.ndarray] = {}
        self._step = 0

    def resume(self, state: TrainState) -> None:
        """Goes on from the state of one seed."""
        state = jax.tree.map(np.asarray, state)
        self.state, self._step = self.dispatch.place(stack([state])), int(state.step)

    def run(self, count: int) -> None:
        """Runs the next `count` steps in one dispatch."""
        self.state, self.metrics = self.dispatch.run(self.state, self._step, count)
        self._step += count

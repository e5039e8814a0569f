"""Simulated feature bags: learnable, with every span known, and hard in the ways real ones are.

A video is a slow walk around the vector of its scene. An anomaly adds its category's direction,
modulated in time: categories come in pairs that point almost the same way and differ in how they
move. What an anomaly is mistaken for is there too: hard normal videos that move strongly or lean
towards a category for long, and distractors, short events that are no anomaly.
"""

import dataclasses
import functools

import numpy as np

from data_prep.dataset.videos import Span, Video
from data_prep.simulation.simulated_features import (
    FRAMES_PER_SEGMENT,
    MODALITIES,
    Event,
    draw_features,
)
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy

# Raise it when the same seed gives other data than before.
GENERATOR_VERSION = 1

FPS = 30.0
SPLIT_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
NUM_SCENES = 8
NUM_DISTRACTORS = 4
MIN_VIDEOS = 20

TAXONOMY = Taxonomy(
    name="simulated",
    categories=("burst", "step", "ramp", "oscillation", "freeze", "alternation"),
    display_names=("Burst", "Step", "Ramp", "Oscillation", "Freeze", "Alternation"),
    normal=("normal",),
    separator="+",
)


@dataclasses.dataclass(frozen=True)
class World:
    """What all videos of a data set share; unit vectors in each modality.

    Attributes:
        scenes: [scenes, D].
        categories: [C, D], neighbours 2 i and 2 i + 1 at a cosine of about 0.7.
        distractors: [distractors, D].
    """

    scenes: np.ndarray
    categories: np.ndarray
    distractors: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plan:
    """A video before its features are drawn.

    Attributes:
        num_frames: its length.
        scene: [D].
        agitation: factor on the walk and the noise; above 1 in a hard normal video that moves.
        events: anomalies, leanings and distractors.
        spans: the truth, the anomalies alone.
    """

    num_frames: int
    scene: np.ndarray
    agitation: float
    events: tuple[Event, ...]
    spans: tuple[Span, ...]

    @property
    def label(self) -> str:
        """Category tokens joined by the taxonomy's separator, or its word for normal."""
        found = {span.category for span in self.spans}
        tokens = [token for token in TAXONOMY.categories if token in found]
        return TAXONOMY.separator.join(tokens) or TAXONOMY.normal[0]


def simulate(
    name: str, *, num_videos: int, seed: int, difficulty: float
) -> tuple[BagsInfo, list[Video]]:
    """Plans a data set, ready for write_dataset; features are drawn when a video is written.

    Half the videos of every split are normal. The train split has no truth. The same arguments give
    the same bytes.

    Args:
        name: the data set's name.
        num_videos: of all splits together, at least MIN_VIDEOS.
        seed: 0 or more.
        difficulty: 0 .. 1, from plain to barely visible anomalies.
    """
    world = draw_world(np.random.default_rng([seed, 0]))
    info = _describe(name, num_videos, seed, difficulty)
    places = [(split, i) for split, size in split_sizes(num_videos).items() for i in range(size)]
    videos = []
    for number, (split, index) in enumerate(places):
        plan = draw_plan(np.random.default_rng([seed, 1, number]), world, index)
        draw = functools.partial(_draw, plan, seed=[seed, 2, number], strength=strength(difficulty))
        videos.append(
            Video(
                video_id=f"{split}_{index:04d}",
                split=split,
                label=plan.label,
                load_features=draw,
                source=name,
                num_frames=plan.num_frames,
                fps=FPS,
                spans=None if split == "train" else plan.spans,
            )
        )
    return info, videos


def _describe(name: str, num_videos: int, seed: int, difficulty: float) -> BagsInfo:
    return BagsInfo(
        name=name,
        taxonomy=TAXONOMY,
        modalities=MODALITIES,
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=f"simulation {GENERATOR_VERSION}",
        source=f"simulated: seed {seed}, difficulty {difficulty:g}, {num_videos} videos",
        simulated=True,
        provenance={
            "source": "simulation",
            "generator_version": GENERATOR_VERSION,
            "num_videos": num_videos,
            "seed": seed,
            "difficulty": difficulty,
        },
    )


def _draw(plan: Plan, *, seed: list[int], strength: float) -> np.ndarray:
    return draw_features(
        seed,
        num_frames=plan.num_frames,
        scene=plan.scene,
        events=plan.events,
        agitation=plan.agitation,
        strength=strength,
    )


def split_sizes(num_videos: int) -> dict[str, int]:
    """Videos of each split, adding up to num_videos."""
    sizes = {split: int(num_videos * share) for split, share in SPLIT_SHARES.items()}
    sizes["train"] += num_videos - sum(sizes.values())
    return sizes


def strength(difficulty: float) -> float:
    """Length of an anomaly's lean, where a scene's vector has length 1 in each modality."""
    return 0.8 * (1 - difficulty) + 0.1 * difficulty


def draw_world(rng: np.random.Generator) -> World:
    """Draws the scenes and directions of a data set."""
    pairs = np.repeat(_directions(rng, TAXONOMY.num_categories // 2), 2, axis=0)
    return World(
        scenes=_directions(rng, NUM_SCENES),
        categories=_unit(pairs + 0.6 * _directions(rng, TAXONOMY.num_categories)),
        distractors=_directions(rng, NUM_DISTRACTORS),
    )


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """[count, D] random unit vectors in each modality."""
    return _unit(rng.normal(size=(count, sum(modality.width for modality in MODALITIES))))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scales each modality of [..., D] vectors to length 1."""
    edges = np.cumsum([modality.width for modality in MODALITIES])[:-1]
    parts = np.split(vectors, edges, axis=-1)
    return np.concatenate(
        [part / np.sqrt(np.square(part).sum(axis=-1, keepdims=True)) for part in parts], axis=-1
    )


def draw_plan(rng: np.random.Generator, world: World, index: int) -> Plan:
    """Draws length, scene and events of a video; even indices are normal, odd ones anomalous."""
    # A long tail, as in surveillance footage: half the videos are below 64 segments.
    num_segments = int(np.clip(np.exp(rng.normal(np.log(64), 0.6)), 24, 400))
    num_frames = num_segments * FRAMES_PER_SEGMENT + int(rng.integers(FRAMES_PER_SEGMENT))
    events = [_distractor(rng, world, num_frames) for _ in range(rng.poisson(1.0))]
    agitation = 1.0
    spans: list[Span] = []
    if index % 2:
        for category, (start, end) in _draw_anomalies(rng, num_frames, first=index // 2):
            motion = TAXONOMY.categories[category]
            events.append(Event(start, end, world.categories[category], motion, 1.0))
            spans.append(Span(start, end, motion))
    else:
        kind = rng.choice(["plain", "moving", "leaning"], p=[0.6, 0.2, 0.2])
        if kind == "moving":
            agitation = float(rng.uniform(1.8, 2.5))
        elif kind == "leaning":
            direction = world.categories[rng.integers(TAXONOMY.num_categories)]
            start, end = _draw_stretch(rng, num_frames, share=rng.uniform(0.2, 0.6))
            events.append(Event(start, end, direction, "step", 0.35))
    scene = world.scenes[rng.integers(NUM_SCENES)]
    return Plan(num_frames, scene, agitation, tuple(events), tuple(sorted(spans, key=_start)))


def _start(span: Span) -> int:
    return span.start


def _draw_stretch(rng: np.random.Generator, num_frames: int, *, share: float) -> tuple[int, int]:
    """A random place for a stretch of that share of the video, two segments at least."""
    length = min(num_frames, max(2 * FRAMES_PER_SEGMENT, int(share * num_frames)))
    start = int(rng.integers(num_frames - length + 1))
    return start, start + length


def _distractor(rng: np.random.Generator, world: World, num_frames: int) -> Event:
    """A short event that is no anomaly."""
    length = int(rng.integers(1, 7)) * FRAMES_PER_SEGMENT
    start, end = _draw_stretch(rng, num_frames, share=length / num_frames)
    direction = world.distractors[rng.integers(NUM_DISTRACTORS)]
    return Event(start, end, direction, str(rng.choice(["burst", "step", "ramp"])), 1.0)


def _draw_anomalies(
    rng: np.random.Generator, num_frames: int, *, first: int
) -> list[tuple[int, tuple[int, int]]]:
    """Draws (category, (start, end)) of an anomalous video; `first` deals the categories in turn.

    One in twenty is anomalous throughout; of the others one in six carries two categories, whose
    spans may overlap, and up to one in six has its category twice.
    """
    category = first % TAXONOMY.num_categories
    if rng.random() < 0.05:
        return [(category, (0, num_frames))]
    low, high = [(0.05, 0.15), (0.15, 0.4), (0.4, 0.8)][rng.choice(3, p=[0.3, 0.4, 0.3])]
    spans = [(category, _draw_stretch(rng, num_frames, share=rng.uniform(low, high)))]
    more = rng.random()
    if more < 1 / 3:
        other = (category + int(rng.integers(1, TAXONOMY.num_categories))) % (
            TAXONOMY.num_categories
        )
        stretch = _draw_stretch(rng, num_frames, share=rng.uniform(0.04, 0.2))
        apart = stretch[1] <= spans[0][1][0] or stretch[0] >= spans[0][1][1]
        if more < 1 / 6:
            spans.append((other, stretch))
        elif apart:
            spans.append((category, stretch))
    return spans

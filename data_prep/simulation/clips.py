"""Rendered clips as a fixed camera would see them, with exact truth: scenes, light, noise.

Half the clips are normal; the others hold one of six anomalies. A clip is a function of (seed,
number): the same frames on every machine.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from data_prep.dataset.videos import Span
from data_prep.simulation.actors import LIGHT_SCALE, Actor
from data_prep.simulation.stories import STORIES, bystanders
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT

# Raise it when the same seed gives other frames than before.
GENERATOR_VERSION = 1
HEIGHT, WIDTH = 240, 320
FPS = 25.0
QUALITY = 28  # constant rate factor: compressed as a recorder would
SPLIT_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}

TAXONOMY = Taxonomy(
    name="rendered",
    categories=tuple(STORIES),
    display_names=tuple(name.capitalize() for name in STORIES),
    normal=("normal",),
)

_MOST_CLIPS = 100_000

# The rows on which people stand, whether vehicles pass, and the row of the horizon.
SCENES = {
    "street": ((180.0, 225.0), True, 85),
    "crossing": ((165.0, 225.0), True, 80),
    "square": ((130.0, 220.0), False, 70),
    "corridor": ((150.0, 225.0), False, 110),
    "shop": ((160.0, 222.0), False, 95),
    "car park": ((170.0, 222.0), False, 95),
}
WITH_ROADS = tuple(name for name, (_, roads, _) in SCENES.items() if roads)


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip before it is rendered.

    Attributes:
        name: unique.
        split: "train", "val" or "test".
        label: a category, or the taxonomy's word for normal.
        scene: a key of SCENES.
        night: whether lamps give all the light.
        num_frames: its length.
        spans: the truth, at most one span.
        seed: of everything random in its frames.
    """

    name: str
    split: str
    label: str
    scene: str
    night: bool
    num_frames: int
    spans: tuple[Span, ...]
    seed: tuple[int, ...]


def plan_clips(num_clips: int, seed: int) -> list[Clip]:
    """Plans a set of clips; in every split half are normal and categories come in turn.

    A larger set of the same seed holds the smaller one.
    """
    sizes = {split: int(num_clips * share) for split, share in SPLIT_SHARES.items()}
    sizes["train"] += num_clips - sum(sizes.values())
    return [
        _plan(split, i, (seed, _MOST_CLIPS * place + i))
        for place, (split, size) in enumerate(sizes.items())
        for i in range(size)
    ]


def _plan(split: str, index: int, seed: tuple[int, int]) -> Clip:
    rng = np.random.default_rng([*seed, 0])
    num_frames = int(rng.integers(6, 13)) * FRAMES_PER_SEGMENT + int(rng.integers(16))
    label = TAXONOMY.normal[0]
    spans: tuple[Span, ...] = ()
    scene = str(rng.choice(list(SCENES)))
    if index % 2:
        label = TAXONOMY.categories[index // 2 % TAXONOMY.num_categories]
        length = int(rng.integers(30, min(80, num_frames - 40)))
        start = int(rng.integers(20, num_frames - length - 10))
        spans = (Span(start, start + length, label),)
        if label == "collision":
            scene = str(rng.choice(WITH_ROADS))
    night = bool(rng.random() < 0.3)
    return Clip(f"{split}_{index:03d}", split, label, scene, night, num_frames, spans, (*seed, 1))


def _stage(
    clip: Clip,
) -> tuple[np.random.Generator, Image.Image, list[Actor], list[str]]:
    """The generator as it is then, the empty scene, and bystanders with what they do."""
    rng = np.random.default_rng(clip.seed)
    floor, roads, horizon = SCENES[clip.scene]
    background = _background(rng, clip.scene, horizon)
    actors, doing = bystanders(rng, floor, roads=roads and clip.label != "collision")
    return rng, background, actors, doing


def bystanders_do(clip: Clip) -> list[str]:
    """What people and vehicles of any day do in a clip, see `stories.bystanders`."""
    return _stage(clip)[3]


def render(clip: Clip) -> Iterator[np.ndarray]:
    """The frames of a clip: [240, 320, 3] uint8 each."""
    rng, background, actors, _ = _stage(clip)
    for span in clip.spans:
        actors += STORIES[clip.label](rng, span.start, span.end, SCENES[clip.scene][0])
    ambient, lamps = _lighting(rng, clip.night)
    noise = rng.normal(scale=9.0 if clip.night else 4.0, size=(HEIGHT + 40, WIDTH + 40, 3))
    for frame in range(clip.num_frames):
        scene = background.copy()
        light = Image.new("RGB", (WIDTH // LIGHT_SCALE, HEIGHT // LIGHT_SCALE))
        for actor in sorted(actors, key=lambda actor: actor.depth(frame)):
            actor.draw(ImageDraw.Draw(scene), ImageDraw.Draw(light), frame)
        added = np.asarray(light.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR), np.float32)
        flicker = 1 + 0.01 * math.sin(frame * 1.7)
        picture = np.asarray(scene, np.float32) * (ambient * flicker + lamps) + added
        down, right = rng.integers(40, size=2)
        picture += noise[down : down + HEIGHT, right : right + WIDTH]
        yield np.clip(picture, 0, 255).astype(np.uint8)


def _lighting(rng: np.random.Generator, night: bool) -> tuple[np.ndarray, np.ndarray]:
    """Factor of the ambient light per colour, and what lamps add to it: [240, 320, 1]."""
    lamps = np.zeros((HEIGHT, WIDTH))
    if not night:
        ambient = rng.uniform(0.8, 1.1) * np.array([1.0, 1.0, rng.uniform(0.92, 1.05)])
        return ambient, lamps[..., None]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for x in rng.uniform(20, 300, 2):
        distance = ((columns - x) / 75) ** 2 + ((rows - 150) / 70) ** 2
        lamps += 0.45 * np.exp(-distance)
    return rng.uniform(0.28, 0.4) * np.array([0.85, 0.95, 1.1]), lamps[..., None]


def _background(rng: np.random.Generator, kind: str, horizon: int) -> Image.Image:
    """The empty scene, with textures and colours drawn for it."""

    def grey(low: int, high: int) -> tuple[int, int, int]:
        level = int(rng.integers(low, high))
        return tuple(int(v) for v in np.clip(level + rng.integers(-12, 13, 3), 0, 255))  # type: ignore[return-value]

    picture = Image.new("RGB", (WIDTH, HEIGHT), grey(120, 190))
    draw = ImageDraw.Draw(picture)
    for left in range(0, WIDTH, 54):  # houses, doors or shelves
        wide = int(rng.integers(40, 54))
        draw.rectangle((left, int(rng.integers(10, 50)), left + wide, horizon), fill=grey(60, 170))
        for top in range(30, horizon - 15, 22):
            draw.rectangle((left + 8, top, left + wide - 10, top + 10), fill=grey(40, 220))
    draw.rectangle((0, horizon, WIDTH, HEIGHT), fill=grey(95, 165))
    if kind in WITH_ROADS:
        draw.rectangle((0, horizon + 8, WIDTH, 158), fill=grey(55, 85))
        for left in range(0, WIDTH, 40):
            draw.rectangle((left, 126, left + 20, 129), fill=(215, 215, 205))
        if kind == "crossing":
            for left in range(130, 200, 14):
                draw.rectangle((left, horizon + 8, left + 7, 158), fill=(210, 210, 205))
    elif kind == "car park":
        for left in range(10, WIDTH, 60):
            draw.line((left, horizon, left - 15, 165), fill=(220, 220, 215), width=3)
    elif kind == "corridor":
        draw.polygon([(0, 0), (60, 40), (60, 115), (0, 240)], fill=grey(100, 180))
        draw.polygon([(320, 0), (260, 40), (260, 115), (320, 240)], fill=grey(100, 180))
    elif kind == "shop":
        draw.rectangle((0, 100, 90, 150), fill=grey(80, 140))
        draw.rectangle((230, 100, 320, 150), fill=grey(80, 140))
    else:
        for i in range(12):
            draw.line((0, horizon + i * 15, WIDTH, horizon + i * 15), fill=grey(90, 150))
    grain = rng.normal(scale=6, size=(HEIGHT, WIDTH, 1))
    textured = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(textured)

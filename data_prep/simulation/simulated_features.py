"""Features of a simulated video: a walk around its scene, and what events add to it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from refinevad_jax.data.bags import Modality

FRAMES_PER_SEGMENT = 16
MODALITIES = (Modality("visual", 64), Modality("text", 64))


@dataclasses.dataclass(frozen=True)
class Event:
    """A stretch in which a video leans towards a direction.

    Attributes:
        start, end: frames, end exclusive.
        direction: [D].
        motion: how the lean changes in time, a name of `envelope`.
        gain: strength of the lean, 1 for an anomaly.
    """

    start: int
    end: int
    direction: np.ndarray
    motion: str
    gain: float


def draw_features(
    seed: list[int],
    *,
    num_frames: int,
    scene: np.ndarray,
    events: Sequence[Event],
    agitation: float,
    strength: float,
) -> np.ndarray:
    """Draws the features of a video.

    Args:
        seed: of this video alone.
        num_frames: its length; T = num_frames // 16.
        scene: [D].
        events: in frames; later ones add to earlier ones.
        agitation: factor on the walk and the noise; above 1 in a hard normal video that moves.
        strength: length of an event of gain 1; a scene's vector has length 1 in each modality.

    Returns [1, T, D] float32.
    """
    rng = np.random.default_rng(seed)
    num_segments = num_frames // FRAMES_PER_SEGMENT
    walk = _walk(rng, num_segments, len(scene)) * agitation
    noise = rng.normal(scale=0.03, size=walk.shape) * agitation
    lean = np.zeros_like(walk)
    for event in events:
        covered = _coverage(event, num_segments)
        inside = np.flatnonzero(covered)
        if not len(inside):
            continue
        level = envelope(event.motion, len(inside), rng) * covered[inside] * event.gain
        lean[inside] += strength * level[:, None] * event.direction
        if event.motion == "freeze":
            walk[inside], noise[inside] = walk[inside[0]], noise[inside[0]]
        if event.motion == "burst":
            noise[inside] *= 2.0
    visual = scene + walk + lean + noise
    text = _captions(rng, scene + 0.5 * walk + lean)
    first = MODALITIES[0].width
    return np.concatenate([visual[:, :first], text[:, first:]], axis=1, dtype=np.float32)[None]


def _walk(rng: np.random.Generator, num_segments: int, width: int) -> np.ndarray:
    """An autoregressive walk [T, width] of standard deviation 0.03 in every channel."""
    memory = 0.95
    steps = rng.normal(scale=0.03 * np.sqrt(1 - memory**2), size=(num_segments, width))
    walk = np.empty((num_segments, width))
    walk[0] = rng.normal(scale=0.03, size=width)
    for t in range(1, num_segments):
        walk[t] = memory * walk[t - 1] + steps[t]
    return walk


def _coverage(event: Event, num_segments: int) -> np.ndarray:
    """Share of each segment's frames that lie in the event: [T], 0 .. 1."""
    left = np.arange(num_segments) * FRAMES_PER_SEGMENT
    overlap = np.minimum(event.end, left + FRAMES_PER_SEGMENT) - np.maximum(event.start, left)
    return np.maximum(overlap, 0) / FRAMES_PER_SEGMENT


def envelope(motion: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """How the lean of an event changes over its segments: [length], around 1."""
    t = np.arange(length)
    if motion == "burst":
        return rng.uniform(0.2, 1.8, size=length)
    if motion == "ramp":
        return np.linspace(0.3, 1.7, length)
    if motion == "oscillation":
        return 1.0 + 0.7 * np.sin(2 * np.pi * (t / rng.uniform(5, 9) + rng.random()))
    if motion == "alternation":
        return 1.0 + 0.7 * (1 - 2 * (t % 2))
    return np.ones(length)  # step and freeze: there at once, then the same


def _captions(rng: np.random.Generator, meaning: np.ndarray) -> np.ndarray:
    """What captions say of [T, D] meanings: one sentence for 3 to 8 segments, not always the point.

    A caption is the mean meaning of its segments, or in one of four cases that of another moment.
    """
    captions = np.empty_like(meaning)
    start = 0
    while start < len(meaning):
        end = start + int(rng.integers(3, 9))
        said = meaning[start:end].mean(axis=0)
        if rng.random() < 0.25:
            said = meaning[rng.integers(len(meaning))]
        captions[start:end] = said + rng.normal(scale=0.03, size=meaning.shape[1])
        start = end
    return captions

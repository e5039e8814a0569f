"""What a writer would note of a rendered clip: timed sentences, and their features.

A program writes them from what it knows of the clip, as a person might who was asked to describe
and not to judge: what is seen, never the word of the category, at times that are a little off. Some
stretches have no sentence, and one event in five is not noticed. How much these sentences tell is
decided here, so scores by them say nothing of real descriptions.

S sentences of a clip, T segments.
"""

import dataclasses
import functools

import numpy as np

from data_prep.dataset.videos import Video
from data_prep.simulation.clips import FPS, Clip, bystanders_do
from data_prep.sources.timed_text import segment_features
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, TextEncoder
from refinevad_jax.encoders.subtitles import Sentence

WRITER_VERSION = 1  # raise it when the same clip gives other sentences than before
UNNOTICED = 0.2  # share of the events that no sentence describes
SILENT = 0.15  # share of the other stretches without a sentence
EARLY_OR_LATE = 0.3  # seconds, standard deviation of where an event's sentence begins and ends
STRETCH = (1.5, 3.5)  # seconds of a sentence about any day

PLACES = {
    "street": "in the street",
    "crossing": "at a crossing",
    "square": "on a square",
    "corridor": "in a corridor",
    "shop": "in a shop",
    "car park": "in a car park",
}
EVERY_DAY = {
    "walk": (
        "Somebody walks by {}.",
        "A person comes {} and goes on.",
        "People move about {} at their own pace.",
    ),
    "run": (
        "Somebody runs past {}.",
        "A person hurries {} from one side to the other.",
    ),
    "talk": (
        "Two people stand close together {} and move their arms.",
        "Two people face each other {} and gesture.",
    ),
    "drive": (
        "A car passes {}.",
        "Vehicles go by {}, now slower, now faster.",
    ),
}
EVENTS = {
    "fight": (
        "Two people move at each other {} with quick arms.",
        "Two people are very close {}, step back and forth and swing their arms.",
        "Somebody pushes against another person {}, who pushes back.",
    ),
    "collision": (
        "Two vehicles meet {} and move apart at an angle.",
        "A car touches another one {}; both stop, smoke is seen.",
        "Two cars come towards each other {} and are thrown back.",
    ),
    "explosion": (
        "A sudden light fills the picture {}, and two people run away from it.",
        "Something bursts {} and bright pieces fly off; people run.",
        "A flash and then a cloud {}.",
    ),
    "fire": (
        "Something glows {} and grows.",
        "Orange light flickers at one place {}, with smoke above it.",
        "Something burns {}.",
    ),
    "fall": (
        "A person goes down {} and stays on the ground.",
        "Somebody lies on the floor {} and hardly moves.",
        "A person who walked {} is down now.",
    ),
    "theft": (
        "Somebody comes up to another person {}, and runs off with a bag.",
        "A person runs {} with a bag, and another one runs behind.",
        "A bag changes hands {}, then two people run.",
    ),
}


def write_sentences(clip: Clip) -> list[Sentence]:
    """The sentences of a clip, in order of time; the same clip gives the same ones."""
    rng = np.random.default_rng([*clip.seed, 2])
    seconds, place = clip.num_frames / FPS, PLACES[clip.scene]
    doing = bystanders_do(clip)
    found: list[Sentence] = []

    def describe(start: float, end: float) -> None:
        """Sentences about any day over a stretch."""
        while end - start > 0.5:
            until = min(end, start + float(rng.uniform(*STRETCH)))
            words = EVERY_DAY[doing[rng.integers(len(doing))]]
            if rng.random() >= SILENT:
                text = words[rng.integers(len(words))].format(place)
                found.append(Sentence(start, until, text))
            start = until

    begin = 0.0
    for span in clip.spans:
        if rng.random() >= UNNOTICED:
            edges = np.array([span.start, span.end]) / FPS + rng.normal(scale=EARLY_OR_LATE, size=2)
            start, end = np.clip(edges, begin, seconds).tolist()
            describe(begin, start)
            words = EVENTS[clip.label]
            found.append(Sentence(start, end, words[rng.integers(len(words))].format(place)))
            begin = end
    describe(begin, seconds)
    return found


def with_sentences(
    info: BagsInfo, videos: list[Video], clips: dict[str, Clip], encoder: TextEncoder
) -> tuple[BagsInfo, list[Video]]:
    """The data set of rendered clips with a second modality, the embedded sentences.

    clips: by name, at least those of the videos. A segment without a sentence has zeros.
    """
    written = [write_sentences(clips[video.video_id]) for video in videos]
    texts = sorted({sentence.text for sentences in written for sentence in sentences})
    embedded = dict(zip(texts, encoder.encode(texts), strict=True))
    width = len(embedded[texts[0]])
    info = dataclasses.replace(
        info,
        modalities=(*info.modalities, Modality("text", width)),
        encoder=f"{info.encoder} + {encoder.name}",
        source=f"{info.source}, with sentences that a program wrote",
        provenance=info.provenance
        | {
            "text_encoder": encoder.name,
            "text_weights_sha256": encoder.weights_sha256,
            "writer_version": WRITER_VERSION,
        },
    )
    return info, [
        dataclasses.replace(
            video,
            load_features=functools.partial(_joined, video, sentences, embedded, width),
        )
        for video, sentences in zip(videos, written, strict=True)
    ]


def _joined(
    video: Video, sentences: list[Sentence], embedded: dict[str, np.ndarray], width: int
) -> np.ndarray:
    """[1, T, D] of both modalities."""
    visual = video.load_features()
    text = segment_features(
        np.array([embedded[sentence.text] for sentence in sentences]).reshape(-1, width),
        np.array([sentence.start for sentence in sentences]),
        np.array([sentence.end for sentence in sentences]),
        num_segments=visual.shape[1],
        segment_seconds=FRAMES_PER_SEGMENT / FPS,
    )
    return np.concatenate([visual, text[None]], axis=-1)

"""Sentences of rendered clips: the same again, no category's word, in time, and as features."""

import re

import numpy as np

from data_prep.simulation.clips import FPS, TAXONOMY, plan_clips
from data_prep.simulation.rendered import read
from data_prep.simulation.sentences import (
    EVENTS,
    EVERY_DAY,
    PLACES,
    with_sentences,
    write_sentences,
)
from refinevad_jax.encoders.encoder import TextEncoder

CLIPS = {clip.name: clip for clip in plan_clips(40, 0)}
WORDS = [text.format(PLACES["street"]) for texts in EVENTS.values() for text in texts]


def test_no_sentence_has_the_word_of_a_category() -> None:
    assert list(EVENTS) == list(TAXONOMY.categories)
    every = " ".join([*WORDS, *(text for texts in EVERY_DAY.values() for text in texts)]).lower()
    for word in (*TAXONOMY.categories, "explode", "steal", "thief", "crash", "normal"):
        assert not re.search(rf"\b{word}\w*", every), word


def test_events_are_told_where_they_are_and_normal_clips_have_none() -> None:
    told = 0
    for clip in CLIPS.values():
        sentences = write_sentences(clip)
        assert sentences == write_sentences(clip)
        places = [(sentence.start, sentence.end) for sentence in sentences]
        assert places == sorted(places)
        assert all(start < end <= clip.num_frames / FPS for start, end in places)
        own = EVENTS.get(clip.label, ())
        of_event = [s for s in sentences if s.text in [t.format(PLACES[clip.scene]) for t in own]]
        assert len(of_event) <= len(clip.spans)
        for sentence, span in zip(of_event, clip.spans, strict=False):
            told += 1
            assert abs(sentence.start - span.start / FPS) < 1.5
            assert abs(sentence.end - span.end / FPS) < 1.5
    assert 0.5 < told / 20 < 1


def test_the_second_modality_is_the_sentence_of_a_segment() -> None:
    encoder = TextEncoder(
        "words", "0", lambda texts: np.array([[len(t), 1.0] for t in texts], np.float32)
    )
    info, videos = read("demo", num_clips=40)
    visual = [video.load_features() for video in videos]
    told, videos = with_sentences(info, videos, CLIPS, encoder)
    assert [(m.name, m.width) for m in told.modalities] == [("visual", 1024), ("text", 2)]
    assert told.encoder.endswith(" + words") and told.simulated
    for video, before in zip(videos, visual, strict=True):
        features = video.load_features()
        np.testing.assert_array_equal(features[..., :1024], before)
        text = features[0, :, 1024:]
        assert set(text[:, 1].round(5).tolist()) <= {0.0, 1.0}
        for sentence in write_sentences(CLIPS[video.video_id])[:1]:
            if sentence.start == 0:  # and a segment is shorter than any first sentence
                assert text[0, 0] == len(sentence.text)

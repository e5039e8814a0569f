"""Real scores that several metrics are checked on."""

import csv
import dataclasses
import pathlib

import numpy as np
import pytest

from refinevad_jax.metrics.truth import evaluated_length, frame_truth, resampled_to_frame_scores


@dataclasses.dataclass(frozen=True)
class ScoredTestSet:
    """A model's scores for the 290 test videos of UCF-Crime, against the official intervals.

    Attributes:
        spans: V arrays [S, 2], end exclusive.
        truth: [F] bool, over all videos in turn.
        scores: [F].
        lengths: [V] frames of each video, 16 for each segment of Roc-Ng's I3D features.
        labelled: [V] bool, by video label.
    """

    spans: list[np.ndarray]
    truth: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    labelled: np.ndarray


@pytest.fixture(scope="session")
def ucf_model(shared_data: pathlib.Path) -> ScoredTestSet:
    folder = shared_data / "ucf_crime_model_scores"
    spans, truths, frame_scores, labelled = [], [], [], []
    with (
        np.load(folder / "salva-u_c3d_mil_scores_32seg.npz") as scores,
        (shared_data / "derived/ucf_test_index.csv").open(newline="") as file,
    ):
        for row in csv.DictReader(file):
            length = evaluated_length(int(row["snippets_i3d_rocng"]))
            pairs = [pair.split("-") for pair in row["abnormal_spans_frames"].split(";") if pair]
            spans.append(np.array(pairs, np.int64).reshape(-1, 2))
            truths.append(frame_truth(spans[-1], length))
            frame_scores.append(resampled_to_frame_scores(scores[row["video"]], length))
            labelled.append(row["class"] != "Normal")
    return ScoredTestSet(
        spans=spans,
        truth=np.concatenate(truths),
        scores=np.concatenate(frame_scores),
        lengths=np.array([len(truth) for truth in truths]),
        labelled=np.array(labelled),
    )

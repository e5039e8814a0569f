"""What is evaluated: lengths, frame truth, frame scores, and the hash that names a truth.

The field evaluates T x frames_per_segment frames of a video, whatever its true length. Later frames
are left out, and each segment's score is repeated. A span (s, e) covers frames s .. e-1.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

FRAMES_PER_SEGMENT = 16


def evaluated_length(num_segments: int, frames_per_segment: int = FRAMES_PER_SEGMENT) -> int:
    """Number of frames of a video of T segments that count."""
    return num_segments * frames_per_segment


def frame_truth(spans: np.ndarray, num_frames: int) -> np.ndarray:
    """Marks the anomalous frames of one video.

    spans: [S, 2 or more] int, frames [start, end) in the first two columns (a third, the category,
    is not read); may overlap, and is clipped to the video. Returns [num_frames] bool. Raises
    ValueError for spans of another shape or a negative length.
    """
    spans = np.asarray(spans)
    if spans.size and (spans.ndim != 2 or spans.shape[1] < 2):
        raise ValueError(f"spans of shape {spans.shape}: must be [S, 2] or [S, 3]")
    if num_frames < 0:
        raise ValueError(f"a video of {num_frames} frames")
    truth = np.zeros(num_frames, bool)
    for start, end in spans[..., :2].tolist():
        truth[max(start, 0) : max(end, 0)] = True
    return truth


def truth_runs(truth: np.ndarray) -> np.ndarray:
    """The runs of True in [F] bool, as [S, 2] int (start, end), end exclusive, ascending."""
    return row_runs(np.asarray(truth)[None])[0]


def row_runs(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of True in the rows of [L, T] bool: [R, 2] as of truth_runs, and the row of each [R]."""
    edges = np.diff(marks.astype(np.int8), axis=1, prepend=0, append=0)
    row, start = np.nonzero(edges == 1)
    return np.stack([start, np.nonzero(edges == -1)[1]], axis=1), row


def segment_to_frame_scores(
    scores: np.ndarray, num_frames: int, frames_per_segment: int = FRAMES_PER_SEGMENT
) -> np.ndarray:
    """Repeats each segment's score over its frames, as every released evaluator does.

    scores: [T] or [T, C]. Returns [num_frames] or [num_frames, C]. Raises ValueError if the
    segments do not reach num_frames.
    """
    scores = np.asarray(scores)
    if len(scores) * frames_per_segment < num_frames:
        raise ValueError(
            f"{len(scores)} segments of {frames_per_segment} frames do not cover {num_frames}"
        )
    return np.repeat(scores, frames_per_segment, axis=0)[:num_frames]


def category_map(scores: np.ndarray, category_probs: np.ndarray) -> np.ndarray:
    """Spreads category probabilities over a video's segments (docs/method.md, section 6).

    scores: [T] in [0, 1]; category_probs: [C] of the video or [T, C] of its segments. Returns
    [T, 1 + C], normal first: 1 - score, then score times the category's share of the sum of
    category_probs (equal shares if all are 0).
    """
    scores, category_probs = np.asarray(scores), np.asarray(category_probs)
    total = category_probs.sum(axis=-1, keepdims=True)
    equal = np.full_like(category_probs, 1 / category_probs.shape[-1])
    shares = np.divide(category_probs, total, out=equal, where=total > 0)
    return np.concatenate([1 - scores[:, None], scores[:, None] * shares], axis=1)


def resampled_to_frame_scores(scores: np.ndarray, num_frames: int) -> np.ndarray:
    """Spreads a fixed number of scores over a video: frame f of L takes scores[f * S // L].

    scores: [S] or [S, C], as models with a fixed number of segments give. Returns [num_frames] or
    [num_frames, C]. Raises ValueError without scores.
    """
    scores = np.asarray(scores)
    if not len(scores):
        raise ValueError("no scores to spread over the video")
    frames = np.arange(num_frames, dtype=np.int64)
    return scores[frames * len(scores) // max(num_frames, 1)]


def resampled_to_segment_scores(
    scores: np.ndarray, num_segments: int, frames_per_segment: int = FRAMES_PER_SEGMENT
) -> np.ndarray:
    """Spreads a fixed number of scores over the segments of a video: [S] to [num_segments].

    A segment has the highest of its frames' scores in `resampled_to_frame_scores`, so that it
    reaches a threshold exactly if one of its frames does.
    """
    length = evaluated_length(num_segments, frames_per_segment)
    frames = resampled_to_frame_scores(scores, length)
    return frames.reshape(num_segments, frames_per_segment).max(axis=1)


def per_frame(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Repeats one value per video over its frames: values [V], lengths [V]. Returns [F].

    Given `labels.any(axis=1)`, it makes the mask of the frames of videos labelled anomalous.
    """
    return np.repeat(np.asarray(values), np.asarray(lengths))


def has_anomalous_frame(truth: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which videos have an anomalous frame: truth [F] bool, lengths [V]. Returns [V] bool.

    It differs from the label if the evaluated length cuts away every span of an anomalous video.
    """
    counts = np.concatenate(([0], np.cumsum(np.asarray(truth, bool), dtype=np.int64)))
    ends = np.cumsum(lengths)
    return counts[ends] > counts[ends - lengths]


def truth_hash(videos: Iterable[tuple[str, int, np.ndarray]]) -> str:
    """Names a frame truth, so that two reports can be seen to use the same one.

    videos: (video_id, evaluated frames, spans [S, 2 or 3]) in any order. Returns the SHA-256, in
    hex, of the UTF-8 text made of one line per video, in ascending order of the id's code points:

        <video_id> TAB <frames> TAB <start>-<end>[,<start>-<end> ...] LF

    where the pairs are the runs of anomalous frames (end exclusive, clipped to the video, touching
    and overlapping spans merged), ascending; a video without one has nothing there. The hash thus
    depends on the frame truth alone, not on how spans were written down.
    Raises ValueError for an id that appears twice or holds a tab or line break.
    """
    lines: dict[str, str] = {}
    for video_id, num_frames, spans in videos:
        if video_id in lines or any(mark in video_id for mark in "\t\n\r"):
            raise ValueError(f"video id {video_id!r} appears twice or holds a tab or line break")
        runs = truth_runs(frame_truth(spans, num_frames)).tolist()
        pairs = ",".join(f"{start}-{end}" for start, end in runs)
        lines[video_id] = f"{video_id}\t{num_frames}\t{pairs}\n"
    text = "".join(lines[video_id] for video_id in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()

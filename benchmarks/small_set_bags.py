"""The reader of a small file of real bags: what `benchmarks.small_sets` packages."""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from data_prep.dataset.videos import Span, Video
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.metrics.truth import truth_runs

FRAMES_PER_SEGMENT = 16
ECG_FPS = 8.0  # 16 frames are then the two seconds of a segment


def read_mitbih(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> tuple[BagsInfo, list[Video]]:
    """Metadata and bags of the ECG. Raises KeyError for an array that is not there."""
    names = tuple(arrays["categories"].tolist())
    taxonomy = Taxonomy("mitbih", names, names, separator="+")
    features, scale, truth = arrays["features_int8"], arrays["scale"], arrays["segment_labels"]
    records = arrays["record"].tolist()
    parts = {
        record: {0: "val", 2: "test"}.get(number % 4, "train")
        for number, record in enumerate(sorted(set(records)))
    }
    videos = [
        Video(
            video_id=f"{record}_{int(number):02d}",
            split=parts[record],
            label="+".join(name for name, has in zip(names, labels, strict=True) if has)
            or "Normal",
            load_features=functools.partial(_scaled, bag, scale),
            source=str(path),
            num_frames=FRAMES_PER_SEGMENT * len(bag),
            fps=ECG_FPS,
            spans=None if parts[record] == "train" else tuple(spans(segments, names)),
            recording=str(record),
        )
        for record, number, labels, bag, segments in zip(
            records, arrays["bag_index"], arrays["bag_labels"], features, truth, strict=True
        )
    ]
    info = BagsInfo(
        name="mitbih",
        taxonomy=taxonomy,
        modalities=(Modality("features", features.shape[-1]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder="256 random dilated convolutions",
        source=path.name,
        provenance={
            "source": "small_sets",
            "set": "mitbih",
            "taxonomy": taxonomy.to_dict(),
            "files": {path.name: file_sha256(path)},
        },
    )
    return info, videos


def spans(labels: np.ndarray, names: tuple[str, ...]) -> Iterator[Span]:
    """The runs of labelled segments, in frames. labels: [T, C] bool; names: C categories."""
    for category, name in enumerate(names):
        for start, end in (truth_runs(labels[:, category]) * FRAMES_PER_SEGMENT).tolist():
            yield Span(start, end, name)


def _scaled(bag: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return bag[None].astype(np.float32) * np.float32(scale)

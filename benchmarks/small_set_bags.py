"""Readers of small files of real bags: what `benchmarks.small_sets` packages."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from data_prep.builtin import survfight
from data_prep.catalogue import ped2
from data_prep.dataset.videos import Span, Video
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.encoder import NAMES
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.metrics.truth import truth_runs

FRAMES_PER_SEGMENT = 16
ECG_FPS = 8.0  # 16 frames are then the two seconds of a segment
PED2_FOLDS = 10  # five times two halves
SURVFIGHT_DRAWS, SURVFIGHT_GROUPS = 3, 5
BAGS_OF_A_GROUP = 80  # half of them normal


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


def read_ped2(
    path: pathlib.Path, arrays: dict[str, np.ndarray], fold: int | None
) -> tuple[BagsInfo, list[Video]]:
    """Metadata and videos of UCSD Ped2 for one of PED2_FOLDS folds, `ped2_FOLD`.

    Its own split trains on normal videos alone. Here the videos of either kind are cut at random
    into two halves, five times over: folds 2 r and 2 r + 1 train on one half of cut r and test on
    the other. fold=None is `ped2_all`: every video is a training video, and has frame truth, which
    cross-validation measures places by. Raises KeyError for an array that is not there.
    """
    names = arrays["video_name"].tolist()
    rows, frames = arrays["snippet_offsets"], arrays["frame_offsets"]
    trained = set(names) if fold is None else _half_of_ped2(names, fold)
    (category,) = ped2.TAXONOMY.categories
    videos = []
    for i, name in enumerate(names):
        truth = arrays["frame_labels"][frames[i] : frames[i + 1]]
        split = "train" if name in trained else "test"
        videos.append(
            Video(
                video_id=name,
                split=split,
                label=category if truth.any() else ped2.TAXONOMY.normal[0],
                load_features=functools.partial(
                    np.expand_dims, arrays["features"][rows[i] : rows[i + 1]], 0
                ),
                source=str(path),
                num_frames=len(truth),
                spans=None
                if split == "train" and fold is not None
                else tuple(Span(start, end, category) for start, end in truth_runs(truth).tolist()),
            )
        )
    info = BagsInfo(
        name="ped2_all" if fold is None else f"ped2_{fold}",
        taxonomy=ped2.TAXONOMY,
        modalities=(Modality("visual", arrays["features"].shape[1]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=NAMES["i3d"],
        source="UCSD Ped2" if fold is None else f"UCSD Ped2, fold {fold} of {PED2_FOLDS}",
        provenance={
            "source": "small_sets",
            "set": "ped2",
            "fold": fold,
            "files": {path.name: file_sha256(path)},
        },
    )
    return info, videos


def _half_of_ped2(names: list[str], fold: int) -> set[str]:
    """The training videos of a fold: half of those of either kind."""
    rng = np.random.default_rng([fold // 2, 0x9ED2])
    kinds = [
        [name for name in sorted(names) if name.startswith(kind)] for kind in ("test", "train")
    ]
    return {name for kind in kinds for name in rng.permutation(kind)[fold % 2 :: 2].tolist()}


def read_survfight(
    path: pathlib.Path, arrays: dict[str, np.ndarray], draw: int
) -> tuple[BagsInfo, list[Video]]:
    """Metadata and bags of draw `draw` of SURVFIGHT_DRAWS: the training clips alone, in groups.

    A source's clips are in one group, and so are those of a bag, which the group's name tells. So
    cross-validation can leave clips out that no other bag has; in the shipped training bags each
    clip is in many. Raises KeyError for an array that is not there.
    """
    info, _ = survfight.read(f"survfight_groups_{draw}", path)
    videos = []
    for number, chosen in enumerate(_groups_of_sources(arrays, draw)):
        for i, (snippets, is_fight) in enumerate(
            survfight.bags_of(arrays, chosen, BAGS_OF_A_GROUP, [draw, number, 0x6209])
        ):
            video = Video(
                video_id=f"group{number}_{i:02d}",
                split="train",
                label="Fighting" if is_fight.any() else "Normal",
                load_features=functools.partial(np.expand_dims, arrays["features"][snippets], 0),
                source=str(path),
                num_frames=FRAMES_PER_SEGMENT * len(snippets),
                fps=survfight.FPS,
                spans=survfight.spans(is_fight),
                recording=f"group{number}",
            )
            videos.append(video)
    provenance = {"source": "small_sets", "set": "survfight", "draw": draw, **info.provenance}
    return dataclasses.replace(info, provenance=provenance), videos


def _groups_of_sources(arrays: dict[str, np.ndarray], draw: int) -> list[np.ndarray]:
    """For each group, which clips are in it: [clips] bool. Groups have about as many fights."""
    train = survfight.parts_of(arrays)["train"]
    sources, fights = arrays["clip_source"], arrays["clip_is_fight"]
    names = sorted(set(sources[train].tolist()))
    clips = {name: train & (sources == name) for name in names}
    order = np.random.default_rng([draw, 0x5F16]).permutation(names).tolist()
    groups = np.zeros((SURVFIGHT_GROUPS, len(sources)), bool)
    for name in sorted(order, key=lambda name: -(clips[name] & fights).sum()):
        kind = fights if (clips[name] & fights).any() else ~fights
        fewest = int((groups & kind).sum(axis=1).argmin())
        groups[fewest] |= clips[name]
    return list(groups)


def spans(labels: np.ndarray, names: tuple[str, ...]) -> Iterator[Span]:
    """The runs of labelled segments, in frames. labels: [T, C] bool; names: C categories."""
    for category, name in enumerate(names):
        for start, end in (truth_runs(labels[:, category]) * FRAMES_PER_SEGMENT).tolist():
            yield Span(start, end, name)


def _scaled(bag: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return bag[None].astype(np.float32) * np.float32(scale)

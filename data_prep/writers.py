"""Writes bags in the file formats of the field's repositories, so that their code can read them.

data_prep.sources.package reads the same bags back.
"""

import json
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.video_names import is_normal_label
from data_prep.dataset.videos import Span
from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.errors import UserError
from refinevad_jax.metrics.truth import frame_truth


def write_vadclip(folder: pathlib.Path, bags: Sequence[Bag], info: BagsInfo) -> None:
    """VadCLIP's layout: a CSV of feature files and the ground truth of its evaluator.

    Writes features/<video>__<crop>.npy, list.csv (`path,label`), gt.npy (0/1 of all videos end to
    end, frames_per_segment x T each), gt_segment.json (segments and labels per video; a normal
    video is one whole segment labelled `A`, a class that is not known is "") and the same per video
    in gt_segment.npz and gt_label.npz, which need no unpickling as VadCLIP's object arrays do.
    """
    rows = _write_features(folder, bags)
    lines = [f"{path},{bag.label}" for bag, paths in zip(bags, rows, strict=True) for path in paths]
    _write_lines(folder / "list.csv", ["path,label", *lines])
    known = [bag for bag in bags if bag.has_truth]
    segments = [_segments(bag, info) for bag in known]
    _write_json(folder / "gt_segment.json", segments)
    arrays = {e["video"]: np.array(e["segments"], np.int64).reshape(-1, 2) for e in segments}
    _write_npz(folder / "gt_segment.npz", arrays)
    labels = {entry["video"]: np.array(entry["labels"], np.str_) for entry in segments}
    _write_npz(folder / "gt_label.npz", labels)
    vectors = [frame_truth(bag.spans, bag.num_segments * info.frames_per_segment) for bag in known]
    if vectors:
        np.save(folder / "gt.npy", np.concatenate(vectors).astype(np.uint8))


def write_ur_dmu(folder: pathlib.Path, bags: Sequence[Bag], info: BagsInfo) -> None:
    """UR-DMU's layout: one path per line, and `name frames class start end ...` per video.

    Writes features/<video>__<crop>.npy, features.list and annotation.txt, whose class is the
    video's label string; the class of a single span is lost. Videos without known truth are absent
    from annotation.txt.
    """
    rows = _write_features(folder, bags)
    _write_lines(folder / "features.list", [path for paths in rows for path in paths])
    lines = []
    for bag in bags:
        if bag.has_truth:
            spans = " ".join(f"{span.start} {span.end}" for span in _spans(bag, info)) or "-1 -1"
            lines.append(f"{bag.video_id} {bag.num_frames} {bag.label} {spans}")
    if lines:
        _write_lines(folder / "annotation.txt", lines)


def write_lagovad(folder: pathlib.Path, bags: Sequence[Bag], info: BagsInfo) -> None:
    """LaGoVAD's layout: a JSON list with spans as shares of the video.

    Writes features/<video>.npy, or <video>__<crop>.npy if there are several, and test_anno.json.
    """
    rows = _write_features(folder, bags, plain=True)
    entries = [
        {
            "path": paths[0],
            "video_path": f"videos/{bag.video_id}.mp4",
            "class_name": bag.label,
            "descriptions": None,
            "anomaly_span": [
                [span.start / bag.num_frames, span.end / bag.num_frames]
                for span in _spans(bag, info)
            ],
        }
        for bag, paths in zip(bags, rows, strict=True)
    ]
    _write_json(folder / "test_anno.json", entries)


def write_activitynet(folder: pathlib.Path, bags: Sequence[Bag], info: BagsInfo) -> None:
    """ActivityNet's ground truth as mmaction2 reads it: segments in seconds; no features.

    Writes ground_truth.json, {"v_<video>": {duration_second, duration_frame, label, subset,
    annotations: [{segment, label}]}}. Raises UserError if frames per second are not known.
    """
    entries = {}
    for bag in bags:
        if bag.has_truth:
            if not bag.fps:
                raise UserError(
                    f"video {bag.video_id}: frames per second are not known, and ActivityNet's "
                    "format counts in seconds; package the data set with --fps"
                )
            entries[f"v_{bag.video_id}"] = {
                "duration_second": bag.num_frames / bag.fps,
                "duration_frame": bag.num_frames,
                "label": bag.label,
                "subset": "validation",
                "annotations": [
                    {
                        "segment": [span.start / bag.fps, span.end / bag.fps],
                        "label": span.category or "",
                    }
                    for span in _spans(bag, info)
                ],
            }
    _write_json(folder / "ground_truth.json", entries)


FORMATS: dict[str, Callable[[pathlib.Path, Sequence[Bag], BagsInfo], None]] = {
    "vadclip": write_vadclip,
    "ur_dmu": write_ur_dmu,
    "lagovad": write_lagovad,
    "activitynet": write_activitynet,
}


def write(form: str, folder: pathlib.Path, bags: Sequence[Bag], info: BagsInfo) -> None:
    """Writes the bags of one split in one of the FORMATS to an empty folder.

    Beside its files it writes `num_frames.txt`, `name@frames` per line, since most formats do not
    state frames. Raises UserError for what the formats would give back as something else.
    """
    _check(bags)
    FORMATS[form](folder, bags, info)
    _write_lines(folder / "num_frames.txt", [f"{bag.video_id}@{bag.num_frames}" for bag in bags])


def _check(bags: Sequence[Bag]) -> None:
    """Refuses names and labels that the formats would give back as others."""
    several = max(len(bag.features) for bag in bags) > 1
    for plain in (False,) if several else (False, True):
        names = [(bag, path) for bag in bags for path in _feature_paths(bag, plain)]
        read = read_names([path for _, path in names])
        for (bag, _), name in zip(names, read, strict=True):
            # Where folders are not needed to tell the videos apart, they are not read.
            same = f"/{bag.video_id}".endswith(f"/{name.video_id}")
            if not same or not bag.video_id.strip(" ."):
                raise UserError(
                    f"video {bag.video_id!r}: released formats would read this name as "
                    f"{name.video_id!r}; package the video under another"
                )
    for bag in bags:
        if len(bag.video_id.split()) != 1 or len(bag.label.split()) != 1 or "," in bag.label:
            raise UserError(
                f"video {bag.video_id!r}, label {bag.label!r}: released formats allow no blank "
                "and no comma; package it under other names"
            )
        if is_normal_label(bag.label) == bag.anomalous:
            raise UserError(
                f"video {bag.video_id!r}: released formats read label {bag.label!r} as "
                f"{'normal' if bag.anomalous else 'anomalous'}; package it under another"
            )


def _spans(bag: Bag, info: BagsInfo) -> list[Span]:
    categories = info.taxonomy.categories
    return [
        Span(int(start), int(end), categories[category] if category >= 0 else None)
        for start, end, category in bag.spans
    ]


def _segments(bag: Bag, info: BagsInfo) -> dict[str, Any]:
    """VadCLIP's gt_segment and gt_label of one video."""
    spans = _spans(bag, info)
    if not bag.anomalous:
        whole = [[0, bag.num_segments * info.frames_per_segment]]
        return {"video": bag.video_id, "segments": whole, "labels": ["A"]}
    return {
        "video": bag.video_id,
        "segments": [[span.start, span.end] for span in spans],
        "labels": [span.category or "" for span in spans],
    }


def _write_features(
    folder: pathlib.Path, bags: Sequence[Bag], *, plain: bool = False
) -> list[list[str]]:
    """Writes [T, D] float16 per crop; the paths of each bag, relative to the folder."""
    paths = []
    for bag in tqdm.tqdm(bags, desc="writing features", unit="video", disable=len(bags) < 100):
        names = _feature_paths(bag, plain)
        for name, crop in zip(names, bag.features, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / name, crop)
        paths.append(names)
    return paths


def _feature_paths(bag: Bag, plain: bool) -> list[str]:
    """The file of each crop; plain: a single crop has no number."""
    if plain and len(bag.features) == 1:
        return [f"features/{bag.video_id}.npy"]
    return [f"features/{bag.video_id}__{crop}.npy" for crop in range(len(bag.features))]


def _write_lines(path: pathlib.Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_json(path: pathlib.Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_npz(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """np.savez takes names as arguments and so refuses a video called `file`."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)

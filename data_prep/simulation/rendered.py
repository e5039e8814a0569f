"""I3D features of the rendered clips, packed into one small file that ships with the project."""

import functools
import io
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from data_prep.dataset.videos import Video
from data_prep.simulation.clips import FPS, GENERATOR_VERSION, TAXONOMY, Clip, plan_clips
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.files.staged import write_bytes

SHIPPED = pathlib.Path(__file__).parent / "rendered_i3d.npz"


def pack(clips: Sequence[Clip], features: pathlib.Path, output: pathlib.Path) -> None:
    """Writes the features of all clips as float16, and what made them.

    Raises UserError if a feature file is missing or of another length than its clip.
    """
    arrays, records = [], []
    for clip in clips:
        path = features / clip.split / f"{clip.name}.npy"
        try:
            array = np.load(path, allow_pickle=False)
            records.append(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error}); run data_prep.extract") from error
        if array.ndim != 2 or len(array) != clip.num_frames // FRAMES_PER_SEGMENT:
            raise UserError(f"{path}: shape {array.shape} is not that of {clip.num_frames} frames")
        arrays.append(array.astype(np.float16))
    made_by = {(record["encoder"], record["weights_sha256"]) for record in records}
    if len(made_by) > 1:
        raise UserError(f"{features}: made by several encoders, {sorted(made_by)}; extract again")
    encoder, weights = made_by.pop()
    facts = {
        "generator_version": GENERATOR_VERSION,
        "num_clips": len(clips),
        "seed": clips[0].seed[0],
        "encoder": encoder,
        "weights_sha256": weights,
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, features=np.concatenate(arrays), facts=np.array(json.dumps(facts, sort_keys=True))
    )
    write_bytes(output, buffer.getvalue())


def read(
    name: str, path: pathlib.Path = SHIPPED, *, num_clips: int | None = None
) -> tuple[BagsInfo, list[Video]]:
    """The packed set as a data set, ready for write_dataset; labels and truth are the plan's.

    num_clips: a smaller set, as plan_clips gives it; None for all clips of the file.
    Raises UserError if the file is missing, damaged, or of another generator.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            features, facts = archive["features"], json.loads(str(archive["facts"]))
        version, clips = facts["generator_version"], plan_clips(facts["num_clips"], facts["seed"])
    except Exception as error:  # zipfile and NumPy raise many kinds for a damaged file
        raise UserError(f"{path}: not a packed feature file ({error})") from error
    if version != GENERATOR_VERSION:
        raise UserError(
            f"{path}: made by generator {version}, this is {GENERATOR_VERSION}; make it again, see "
            "data_prep/simulate_video.py"
        )
    lengths = [clip.num_frames // FRAMES_PER_SEGMENT for clip in clips]
    if sum(lengths) != len(features):
        raise UserError(f"{path}: {len(features)} rows, the clips have {sum(lengths)}")
    rows = np.split(features, np.cumsum(lengths)[:-1])
    wanted = {clip.name for clip in plan_clips(num_clips or len(clips), facts["seed"])}
    info = BagsInfo(
        name=name,
        taxonomy=TAXONOMY,
        modalities=(Modality("visual", features.shape[1]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=facts["encoder"],
        source=f"rendered clips, seed {facts['seed']}, {len(wanted)} videos",
        simulated=True,
        provenance={"source": "rendered", "file": file_sha256(path), **facts},
    )
    return info, [
        Video(
            video_id=clip.name,
            split=clip.split,
            label=clip.label,
            load_features=functools.partial(np.expand_dims, part, 0),
            source=str(path),
            num_frames=clip.num_frames,
            fps=FPS,
            spans=None if clip.split == "train" else clip.spans,
        )
        for clip, part in zip(clips, rows, strict=True)
        if clip.name in wanted
    ]

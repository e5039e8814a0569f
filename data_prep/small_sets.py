"""Packages two small sets of real bags, on which a configuration can be tried without tuning it.

They are another kind of data than the one a configuration was chosen on, and a run takes seconds.

mitbih: ECG of the MIT-BIH Arrhythmia Database (PhysioNet, ODC-By 1.0) as bags of 32 segments of two
seconds, 256 random convolutions a segment, five categories. Whole records are held out: of the
sorted records every fourth from the first on is in val, every fourth from the third in test.
survfight: I3D features of two-second surveillance clips (Akti et al., IPTA 2019) put together into
bags of 32 snippets. Features are real, the arrangement is made up; one category. No val split.

  python -m data_prep.small_sets --set=mitbih --input=mitbih_ds1.npz --data_dir=data
  python -m data_prep.small_sets --set=survfight --input=survfight_i3d_rgb.npz --data_dir=data
  python -m refinevad_jax.ladder --config=configs/ucf_text.py --workdir=runs/mitbih \
      --config.data.dataset=mitbih --config.num_seeds=5 --rows=base,constant-shift
"""

import functools
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np
from absl import flags

from data_prep.feature_bags import write_dataset
from data_prep.summary import summarize
from data_prep.videos import Span, Video
from refinevad_jax.array_files import load_packed
from refinevad_jax.command_line import run
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.file_hash import file_sha256

SET = flags.DEFINE_enum("set", None, ["mitbih", "survfight"], "which of the two", required=True)
INPUT = flags.DEFINE_string("input", None, "its .npz file", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")

FRAMES_PER_SEGMENT = 16
ECG_FPS = 8.0  # 16 frames are then the two seconds of a segment
CLIP_FPS = 25.0


def main() -> None:
    """Reads the file, writes the data set and says what is in it."""
    path = pathlib.Path(INPUT.value)
    read = {"mitbih": read_mitbih, "survfight": read_survfight}[SET.value]
    try:
        info, videos = read(path, load_packed(path))
    except KeyError as error:
        raise UserError(f"{path}: no array {error} in it; is it --set={SET.value}?") from error
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


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
        )
        for record, number, labels, bag, segments in zip(
            records, arrays["bag_index"], arrays["bag_labels"], features, truth, strict=True
        )
    ]
    info = _info("mitbih", taxonomy, path, features.shape[-1], "256 random dilated convolutions")
    return info, videos


def read_survfight(
    path: pathlib.Path, arrays: dict[str, np.ndarray]
) -> tuple[BagsInfo, list[Video]]:
    """Metadata and bags of the clips. Raises KeyError for an array that is not there."""
    taxonomy = Taxonomy("survfight", ("Fighting",), ("Fighting",))
    features = arrays["features"]
    videos = [
        Video(
            video_id=f"{split}{number:03d}",
            split=split,
            label="Fighting" if labels.any() else "Normal",
            load_features=functools.partial(_scaled, features[snippets], 1.0),
            source=str(path),
            num_frames=FRAMES_PER_SEGMENT * len(snippets),
            fps=CLIP_FPS,
            spans=None if split == "train" else tuple(spans(labels[:, None], ("Fighting",))),
        )
        for split in ("train", "test")
        for number, (snippets, labels) in enumerate(
            zip(arrays[f"composed_{split}_bags"], arrays[f"composed_{split}_labels"], strict=True)
        )
    ]
    return _info("survfight", taxonomy, path, features.shape[-1], "I3D RGB, Kinetics-400"), videos


def spans(labels: np.ndarray, names: tuple[str, ...]) -> Iterator[Span]:
    """The runs of labelled segments, in frames. labels: [T, C] bool; names: C categories."""
    for category, name in enumerate(names):
        position = 0
        for labelled, group in itertools.groupby(labels[:, category].tolist()):
            length = len(list(group))
            if labelled:
                first = position * FRAMES_PER_SEGMENT
                yield Span(first, first + length * FRAMES_PER_SEGMENT, name)
            position += length


def _scaled(bag: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    return bag[None].astype(np.float32) * np.float32(scale)


def _info(name: str, taxonomy: Taxonomy, path: pathlib.Path, width: int, encoder: str) -> BagsInfo:
    return BagsInfo(
        name=name,
        taxonomy=taxonomy,
        modalities=(Modality("features", width),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=encoder,
        source=path.name,
        provenance={
            "source": "small_sets",
            "set": name,
            "taxonomy": taxonomy.to_dict(),
            "files": {path.name: file_sha256(path)},
        },
    )


if __name__ == "__main__":
    run(main)

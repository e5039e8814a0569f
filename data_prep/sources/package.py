"""What `data_prep.package` reads: lists with their feature files and truth, or timed text."""

import dataclasses
import functools
import hashlib
import pathlib
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from data_prep.annotations import Annotations, read_annotations
from data_prep.catalogue.lookup import fit_rule, load_taxonomy
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Video, check_classes
from data_prep.sources.faults import tell
from data_prep.sources.feature_folder import FeatureFolder
from data_prep.sources.features import (
    Shapes,
    join_faults,
    length_faults,
    load_video,
    name_release,
    parse_modalities,
)
from data_prep.sources.labels import (
    in_classes_of,
    in_words_of,
    label_faults,
    normal_by,
    span_faults,
    split_faults,
)
from data_prep.sources.listed_files import ListedFiles, find_files
from data_prep.sources.lists import VideoList, crop_row_faults, read_lists
from data_prep.sources.recorded import (
    clocks_of,
    digests_of,
    name_encoder,
    overruled_flags,
    records_hash,
)
from data_prep.sources.timed_text import read_timed_text
from data_prep.sources.truth import (
    add_truth,
    describe_truth,
    read_frame_counts,
    settle_truth,
    untold_faults,
    warn,
)
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.record import FeatureRecord
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import file_of
from refinevad_jax.files.hashes import file_sha256

# "features" and "release" are two spellings of the same: lists.
SOURCES = ("features", "release", "timed_text")
# Flags that only lists use, and that only timed text uses.
OF_LISTS = (
    "list",
    "features",
    "modality",
    "extra_features",
    "annotations",
    "frame_counts",
    "layout",
    "num_crops",
    "frames_per_segment",
    "fps",
    "unit",
)
OF_TEXT = ("input",)


@dataclasses.dataclass(frozen=True)
class Request:
    """What to read, and how.

    Attributes:
        lists: {split: list file in any grammar of sources.lists}.
        features: {modality: folder with its files}; channels are joined in this order. A modality
            without crops (audio, text) is repeated for every crop; if T differs by one segment,
            the longer is cut, as the field's loaders do.
        name: the data set's name.
        taxonomy: reads the labels.
        modalities: `name=width` texts that divide the channels of the first folder; none: they are
            one modality.
        annotations: a file or folder that data_prep.annotations reads; None: no truth.
        frame_counts: an annotation file whose frame counts are to be used, for annotations in
            shares of the video, or for lengths that neither annotations nor records state.
        layout: one of features.LAYOUTS.
        num_crops: crops to keep of each video; 0: all that the list names.
        frames_per_segment: frames that one row of a feature file covers.
        fps: frames per second of videos for which neither annotations nor records state them.
        unit: of the numbers in the annotations, one of sources.truth.UNITS; "": what the file says.
        encoder: what made the features, in words, or a name of data_prep.extract; "": what the
            records beside the files say, or else what width, crops and names tell.
        source_note: where the data came from, in words.
    """

    lists: Mapping[str, pathlib.Path]
    features: Mapping[str, pathlib.Path]
    name: str
    taxonomy: Taxonomy
    modalities: Sequence[str] = ()
    annotations: pathlib.Path | None = None
    frame_counts: pathlib.Path | None = None
    layout: str = "auto"
    num_crops: int = 0
    frames_per_segment: int = 16
    fps: float | None = None
    unit: str = ""
    encoder: str = ""
    source_note: str = ""


def read_source(
    source: str | None, flags: Mapping[str, Any], given: Collection[str]
) -> tuple[BagsInfo, list[Video]]:
    """Reads what the flags of data_prep.package name.

    Args:
        source: one of SOURCES; None: what the other flags decide.
        flags: values of all flags by name.
        given: names of the flags that the command line states.

    Raises UserError for a flag that is missing or of no effect, and for whatever is wrong with the
    input.
    """
    if source is None and not (flags["list"] or flags["input"]):
        raise UserError("nothing to package: give --list and --features, or --input; see --help")
    is_text = source == "timed_text" or (source is None and not flags["list"])
    asking = f"--source={source}" if source else "--input" if is_text else "--list"
    for name in ("input",) if is_text else ("list", "features"):
        if not flags[name]:
            raise UserError(f"{asking} needs --{name}; --help says more")
    for name in OF_LISTS if is_text else OF_TEXT:
        if name in given:
            raise UserError(f"--{name} has no effect with {asking}")
    words = {key: flags[key] for key in ("name", "encoder", "source_note")}
    words["taxonomy"] = load_taxonomy(flags["taxonomy"])
    if is_text:
        info, videos = read_timed_text(pathlib.Path(flags["input"]), **words)
        check_classes(videos, info.taxonomy)
        return info, videos
    return read_request(_request(flags, words))


def _request(flags: Mapping[str, Any], words: Mapping[str, Any]) -> Request:
    if flags["unit"] and not flags["annotations"]:
        raise UserError("--unit has no effect without --annotations; leave it out")
    extra = parse_named(flags["extra_features"], "extra_features", "MODALITY=FOLDER", ("visual",))
    return Request(
        lists=parse_named(flags["list"], "list", "SPLIT=FILE, as in train=train.csv"),
        features={"visual": pathlib.Path(flags["features"]), **extra},
        modalities=flags["modality"],
        annotations=_path(flags["annotations"]),
        frame_counts=_path(flags["frame_counts"]),
        **{key: flags[key] for key in ("layout", "num_crops", "frames_per_segment", "fps", "unit")},
        **words,
    )


def parse_named(
    texts: Sequence[str], flag: str, form: str, taken: Sequence[str] = ()
) -> dict[str, pathlib.Path]:
    """The values `name=path` of a flag, in order; none may have a name of those taken.

    Raises UserError if a text has another form or a name appears twice.
    """
    paths: dict[str, pathlib.Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path):
            raise UserError(f"--{flag}={text}: expected {form}")
        if name in (*taken, *paths):
            raise UserError(f"--{flag}={text}: {name} appears twice; join the two or rename one")
        paths[name] = pathlib.Path(path)
    return paths


def _path(text: str) -> pathlib.Path | None:
    return pathlib.Path(text) if text else None


def read_request(request: Request) -> tuple[BagsInfo, list[Video]]:
    """Reads lists, file headers and truth: metadata and videos, ready for write_dataset.

    Warns on stderr of what is odd but usable. Raises UserError naming file and cure for whatever is
    missing, damaged or contradictory.
    """
    folders = [FeatureFolder(folder) for folder in request.features.values()]
    found = find_files(
        folders, _read_lists(request, folders), request.layout, request.frames_per_segment
    )
    files = {video.video_id: video.files for video in found.videos}
    tell(join_faults(files, found.all_shapes, found.layouts, request.num_crops))
    info = _describe(request, found)
    recorded, segments = found.recorded(), found.segments()
    paths = {video: path for read in found.lists.values() for video, path in read.paths.items()}
    counts = read_frame_counts(request.frame_counts, paths)
    for what, overruled in overruled_flags(recorded, counts, request.fps).items():
        warn(overruled, what)
    counts |= {key: record.num_frames for key, record in recorded.items()}
    known = {video: counts[key] for video in segments if (key := match_key(video)) in counts}
    tell(length_faults(segments, known, request.frames_per_segment))
    videos = _videos(request, found, segments, counts, recorded)
    truth = None
    if request.annotations is not None:
        truth = settle_truth(
            read_annotations(request.annotations).called(paths),
            counts,
            request.fps,
            clocks_of(recorded),
            unit=request.unit,
            segments=segments,
            frames_per_segment=request.frames_per_segment,
        )
        truth = in_classes_of(truth, request.taxonomy)
        listed_labels = {video.video_id: video.label for video in found.videos}
        tell(span_faults(truth, listed_labels, request.taxonomy))
        videos = add_truth(videos, truth, info, counts, segments)
        labels = [read.labels for read in found.lists.values()]
        tell(untold_faults(truth, labels, normal_by(request.taxonomy)))
    provenance = {
        **_provenance(request, info, found.digests, found.shapes),
        **records_hash(recorded),
        "truth": None if truth is None else describe_truth(truth),
        "length_rule": _length_rule(truth, counts, segments, request.frames_per_segment),
        "layouts": found.layouts,
        "list_grammars": {split: read.grammar for split, read in found.lists.items()},
    }
    return dataclasses.replace(info, provenance=provenance), videos


def _read_lists(request: Request, folders: Sequence[FeatureFolder]) -> dict[str, VideoList]:
    """The lists by split; says what is odd in them."""
    crops = not any(folder.recorded for folder in folders)
    read_all = [
        in_words_of(read, request.taxonomy)
        for read in read_lists(list(request.lists.values()), list(request.lists), crops=crops)
    ]
    for read in read_all:
        tell(label_faults(read, request.taxonomy))
        tell(crop_row_faults(read))
        for note in read.notes:
            print(f"note: {read.source}: {note}", file=sys.stderr)
    tell(split_faults(read_all, request.taxonomy))
    return dict(zip(request.lists, read_all, strict=True))


def _describe(request: Request, found: ListedFiles) -> BagsInfo:
    """The metadata but for the provenance."""
    shapes = found.all_shapes
    return BagsInfo(
        name=request.name,
        taxonomy=request.taxonomy,
        modalities=_modalities(request, found.shapes),
        frames_per_segment=request.frames_per_segment,
        encoder=name_encoder(
            request.encoder,
            [next((one.encoder for one in of_one.values()), "") for of_one in found.records],
            [
                name_release(found.videos[0].video_id, files, shapes)
                for files in found.videos[0].files
            ],
        ),
        source=request.source_note
        or f"lists {', '.join(path.name for path in request.lists.values())}",
    )


def _videos(
    request: Request,
    found: ListedFiles,
    segments: Mapping[str, int],
    counts: Mapping[str, int],
    recorded: Mapping[str, FeatureRecord],
) -> list[Video]:
    """The videos without truth. segments, counts: T and frames of each; recorded: by match_key."""
    rates = {key: record.rate for key, record in recorded.items() if record.rate}
    return [
        Video(
            video_id=video.video_id,
            split=video.split,
            label=video.label,
            load_features=functools.partial(
                load_video, video.files, found.layouts, request.num_crops
            ),
            source=str(video.files[0][0]),
            num_frames=counts.get(
                match_key(video.video_id), segments[video.video_id] * request.frames_per_segment
            ),
            fps=rates.get(match_key(video.video_id), request.fps or 0.0),
            recording=video.recording,
        )
        for video in found.videos
    ]


def _modalities(request: Request, of_folders: Sequence[Shapes]) -> tuple[Modality, ...]:
    modalities: list[Modality] = []
    for i, (name, shapes) in enumerate(zip(request.features, of_folders, strict=True)):
        modalities += parse_modalities([] if i else request.modalities, shapes, name)
    names = [modality.name for modality in modalities]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--modality and --extra_features both name {name}; rename one")
    return tuple(modalities)


def _provenance(
    request: Request,
    info: BagsInfo,
    digests: Sequence[Mapping[pathlib.Path, str]],
    of_folders: Sequence[Shapes],
) -> dict[str, object]:
    """What decides whether a data set that is there already is the same one."""
    return {
        "source": "lists",
        "release": info.encoder,
        "taxonomy": info.taxonomy.to_dict(),
        "frames_per_segment": info.frames_per_segment,
        "modalities": [dataclasses.asdict(modality) for modality in info.modalities],
        "source_note": info.source,
        "num_crops": request.num_crops,
        "fps": request.fps,
        "lists": {split: hash_input(path) for split, path in request.lists.items()},
        "annotations": hash_input(request.annotations),
        "frame_counts": hash_input(request.frame_counts),
        "features": {
            name: hash_files(list(files), folder, found)
            for (name, folder), files, found in zip(
                request.features.items(), of_folders, digests, strict=True
            )
        },
    }


def _length_rule(
    truth: Annotations | None,
    counts: Mapping[str, int],
    segments: Mapping[str, int],
    frames_per_segment: int,
) -> str:
    known = dict(counts)
    if truth is not None and not truth.frames_from_segments:
        known |= {match_key(video): n for video, n in truth.num_frames.items()}
    num_frames = {video: known[match_key(video)] for video in segments if match_key(video) in known}
    fit = fit_rule(num_frames, segments, frames_per_segment=frames_per_segment)
    if not fit.num_compared:
        return "not checked, no frame counts"
    return f"{fit.rule} in {fit.followers} of {fit.num_compared} videos with known frames"


def hash_files(
    files: Sequence[pathlib.Path], root: pathlib.Path, digests: Mapping[pathlib.Path, str]
) -> dict[str, str]:
    """One SHA-256 over all files, for the provenance of a data set.

    Over path, size and content; over path and size if digests_of gives no digests. The answer says
    which.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        size = file_of(path).stat().st_size
        digest.update(f"{path.relative_to(root).as_posix()}\0{size}\0".encode())
        if digests:
            digest.update(bytes.fromhex(digests[path]))
    return {
        "sha256": digest.hexdigest(),
        "over": "path, size and content" if digests else "path and size",
    }


def hash_input(path: pathlib.Path | None) -> dict[str, str] | None:
    """Name and SHA-256 of a list or annotation file, or of the files of a folder; of None, None."""
    if path is None:
        return None
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return {"folder": path.name, **hash_files(files, path, digests_of(files))}
    return {"file": path.name, "sha256": file_sha256(path)}

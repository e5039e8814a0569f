"""What extraction recorded beside the feature files of listed videos, taken together.

Records that contradict each other, or the files beside which they lie, are faults: packaging
refuses the first one, checks list all.
"""

import hashlib
import math
import pathlib
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

from data_prep.annotations.rates import RATE_TOLERANCE, Clock
from data_prep.sources.truth import warn
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES
from refinevad_jax.encoders.record import FeatureRecord, read_record
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import file_of, load_file
from refinevad_jax.files.hashes import file_sha256, json_sha256

# Feature archives of the field take tens of GB: above this, file contents are not hashed.
MAX_HASHED_BYTES = 2 * 10**9
# What has to be the same for all files of a folder.
_COMMON = ("encoder", "weights_sha256", "num_crops", "frames_per_segment", "preprocessing")

Records = dict[pathlib.Path, FeatureRecord]


def read_records(files: Iterable[pathlib.Path]) -> tuple[Records, list[str]]:
    """The records of the files that have one, and what is wrong with those that are damaged."""
    records: Records = {}
    damaged = []
    for path in files:
        try:
            record = read_record(path) if path.suffix.lower() == ".npy" else None
        except UserError as error:
            damaged.append(str(error))
        else:
            if record:
                records[path] = record
    return records, damaged


def digests_of(files: Collection[pathlib.Path]) -> dict[pathlib.Path, str]:
    """SHA-256 of each file; empty if they hold more than MAX_HASHED_BYTES together."""
    holding = {path: file_of(path) for path in files}
    if sum(file.stat().st_size for file in set(holding.values())) > MAX_HASHED_BYTES:
        return {}
    digests = {file: file_sha256(file) for file in set(holding.values())}
    return {path: digests[file] for path, file in holding.items()}


def content_of(path: pathlib.Path, digest: str) -> str:
    """SHA-256 of a feature file, or of one array of a file of several.

    digest: what digests_of gives.
    """
    if file_of(path) == path:
        return digest
    return hashlib.sha256(load_file(path).tobytes()).hexdigest()


def find_disagreements(records: Records) -> list[str]:
    """Files of one folder whose records state another encoder, or other settings of it."""
    faults = []
    for path, record in records.items():
        first, expected = next(iter(records.items()))
        for key in _COMMON:
            one, other = expected.values.get(key), record.values.get(key)
            if one != other:
                faults.append(f"{path}: {key} {other!r:.60}, but {first} has {one!r:.60}")
                break
    return faults


def find_changed(
    records: Records, digests: Mapping[pathlib.Path, str], segments: Mapping[pathlib.Path, int]
) -> list[str]:
    """Files that are not what extraction wrote: by their digest if it is known, and by T."""
    return [
        f"{path}: not the file that its record describes ({what})"
        for path, record in records.items()
        for what in [_changed(path, record, digests, segments)]
        if what
    ]


def agreeing_records(
    root: pathlib.Path,
    segments: Mapping[pathlib.Path, int],
    digests: Mapping[pathlib.Path, str],
    frames_per_segment: int,
) -> Records:
    """The records of one feature folder. Raises UserError if they contradict anything.

    segments: T of each listed file of the folder `root`; digests: what digests_of gives;
    frames_per_segment: as the user says. Says on stderr what was compared, and which files have no
    record though others do.
    """
    records, damaged = read_records(segments)
    for fault in damaged:
        raise UserError(fault)
    if not records:
        return records
    for fault in find_disagreements(records):
        raise UserError(f"{fault}; give one folder per encoder, or extract the video again")
    for fault in find_changed(records, digests, segments):
        raise UserError(f"{fault}; extract the video again")
    if frames_per_segment != FRAMES_PER_SEGMENT:
        raise UserError(
            f"--frames_per_segment={frames_per_segment}: the records beside the features say "
            f"{FRAMES_PER_SEGMENT}; leave the flag out"
        )
    encoder = next(iter(records.values())).encoder
    print(
        f"note: {len(records)} of {len(segments)} files in {root} have the record of "
        f"data_prep.extract and agree with it ({compared(digests)}): encoder {encoder}",
        file=sys.stderr,
    )
    missing = [str(path) for path in segments if path not in records]
    warn(missing, f"no record beside it, taken as made by {encoder}")
    return records


def compared(digests: Mapping[pathlib.Path, str]) -> str:
    """By what files are compared with their records, in words."""
    return "SHA-256 and length" if digests else "length; too large for SHA-256"


def clocks_of(recorded: Mapping[str, FeatureRecord]) -> dict[str, Clock]:
    """The recorded times of the videos that have some, by the same keys."""
    return {
        key: Clock(
            record.rate, record.frame_at, record.num_frames, steady=not record.segment_seconds
        )
        for key, record in recorded.items()
        if record.rate
    }


def overruled_flags(
    recorded: Mapping[str, FeatureRecord], counts: Mapping[str, int], fps: float | None
) -> dict[str, list[str]]:
    """For which videos a record overrules --frame_counts or --fps: {what it is: videos}.

    recorded, counts: by match_key; counts: frames.
    """
    frames, rates = [], []
    for key, record in recorded.items():
        if counts.get(key, record.num_frames) != record.num_frames:
            frames.append(key)
        if fps and record.rate and not math.isclose(fps, record.rate, rel_tol=RATE_TOLERANCE):
            rates.append(key)
    found = {
        "--frame_counts differs from what extraction counted, which is taken": frames,
        f"--fps={fps or 0:g} differs from the rate that extraction recorded, which is taken": rates,
    }
    return {what: videos for what, videos in found.items() if videos}


def records_hash(recorded: Mapping[str, FeatureRecord]) -> dict[str, str]:
    """What the records decide about videos, as one hash for provenance; nothing without records."""
    facts = {
        key: [record.num_frames, record.fps, record.segment_seconds]
        for key, record in recorded.items()
    }
    return {"records": json_sha256(facts)} if facts else {}


def _changed(
    path: pathlib.Path,
    record: FeatureRecord,
    digests: Mapping[pathlib.Path, str],
    segments: Mapping[pathlib.Path, int],
) -> str:
    if digests.get(path, record.features_sha256) != record.features_sha256:
        return "its SHA-256 is another"
    if segments.get(path, record.num_segments) != record.num_segments:
        return f"T = {segments[path]}, the record says {record.num_segments}"
    return ""


def full_name(encoder: str) -> str:
    """The name that data sets keep, if the user gave one of data_prep.extract, such as `i3d`."""
    return " + ".join(NAMES.get(part, part) for part in encoder.split(" + "))


def name_encoder(given: str, recorded: Sequence[str], guessed: Sequence[str]) -> str:
    """The name of what made the features.

    Args:
        given: by the user; "" if it was not.
        recorded: by extraction, for each feature folder; "" without records.
        guessed: from width, crops and names, for each feature folder.

    Raises UserError if what was given contradicts what is recorded.
    """
    known = " + ".join(one or other for one, other in zip(recorded, guessed, strict=True))
    if not given:
        return known
    name = full_name(given)
    contradicted = [one for one in recorded if one and one not in name.split(" + ")]
    if contradicted or (all(recorded) and name != known):
        raise UserError(
            f"--encoder={given}: the records beside the features say "
            f"{' + '.join(filter(None, recorded))}; leave the flag out"
        )
    return name

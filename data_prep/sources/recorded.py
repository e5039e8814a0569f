"""What extraction recorded beside the feature files of listed videos, taken together.

Records that contradict each other, or the files beside which they lie, are faults: packaging
refuses the first one, checks list all.
"""

import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from refinevad_jax.encoders.encoder import NAMES
from refinevad_jax.encoders.record import FeatureRecord, read_record
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

# Feature archives of the field take tens of GB: above this, file contents are not hashed.
MAX_HASHED_BYTES = 2 * 10**9
# What has to be the same for all files of a folder.
_COMMON = ("encoder", "weights_sha256", "num_crops", "frames_per_segment", "preprocessing")

Records = dict[pathlib.Path, FeatureRecord]


def read_records(files: Iterable[pathlib.Path]) -> Records:
    """The records of the files that have one. Raises UserError if one is damaged."""
    found = ((path, read_record(path)) for path in files if path.suffix.lower() == ".npy")
    return {path: record for path, record in found if record is not None}


def digests_of(files: Collection[pathlib.Path]) -> dict[pathlib.Path, str]:
    """SHA-256 of each file; empty if they hold more than MAX_HASHED_BYTES together."""
    if sum(path.stat().st_size for path in files) > MAX_HASHED_BYTES:
        return {}
    return {path: file_sha256(path) for path in files}


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

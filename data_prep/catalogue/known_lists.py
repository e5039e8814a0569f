"""Which list is this? Hashes over the video ids of published lists, with and without their order.

The order matters because most ground-truth arrays of the field are one long concatenation over a
test list: the same array read along another list gives wrong numbers without any error.
"""

import dataclasses
import hashlib
from collections.abc import Iterable

from data_prep.catalogue.video_names import match_key


@dataclasses.dataclass(frozen=True)
class KnownSet:
    """A split of a data set as released: its videos, in whatever order."""

    data_set: str
    split: str
    num_videos: int
    note: str = ""


def order_hash(video_ids: Iterable[str]) -> str:
    """16 hexadecimal digits over the ids in order: SHA-256 of match_key(id) and newline each."""
    text = "".join(f"{match_key(video)}\n" for video in video_ids)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def members_hash(video_ids: Iterable[str]) -> str:
    """The same over the ids sorted by match_key."""
    return order_hash(sorted(match_key(video) for video in video_ids))


KNOWN_SETS = {
    "e9a8fa4134e25f3a": KnownSet("UCF-Crime", "train", 1610),
    "e7165e1c611b48c9": KnownSet("UCF-Crime", "test", 290),
    "04069c20c459ff82": KnownSet("XD-Violence", "train", 3954),
    "d24be58aa979a017": KnownSet("XD-Violence", "test", 800),
    "af77863be5e46eb7": KnownSet(
        "XD-Violence",
        "test",
        753,
        "IEF-VAD's list: it lacks the 47 videos with several labels, results are not comparable",
    ),
    "8a2728f6952cddb8": KnownSet("ShanghaiTech", "train", 238),
    "3afcb18f2f893da9": KnownSet("ShanghaiTech", "test", 199),
    "8c6a20e45262d837": KnownSet(
        "ShanghaiTech", "test", 203, "IEF-VAD's annotation: two videos are cut into pieces"
    ),
    "766b9ab717d702c5": KnownSet(
        "ShanghaiTech",
        "test",
        197,
        "IEF-VAD's list: it lacks 04_0012 and 05_0023, results are not comparable",
    ),
    "69e5fbd5c573343c": KnownSet("MSAD", "train", 480),
    "cf16e41d11d564b1": KnownSet("MSAD", "test", 240),
    "70b083246383eaa0": KnownSet(
        "MSAD", "test", 241, "IEF-VAD's list: it has Robbery_10 more than the authors' list"
    ),
    "7f0af6a26aef1c65": KnownSet("TAD", "train", 400),
    "37e506cb753c3bf6": KnownSet("TAD", "test", 100),
    "61d7b168cc3da12c": KnownSet(
        "TAD",
        "test",
        100,
        "LaGoVAD's list: 76 of its videos are training videos of the other split in use (UMIL's)",
    ),
    "60d491de0fdd1b12": KnownSet("UCSD Ped2", "train", 10, "weak split of MSAD's repository"),
    "f561a3909a63dc09": KnownSet("UCSD Ped2", "test", 18, "weak split of MSAD's repository"),
}

# Sizes of the released splits, for a list that is none of them.
SPLIT_SIZES = {
    "UCF-Crime": {"train": 1610, "test": 290},
    "XD-Violence": {"train": 3954, "test": 800},
    "ShanghaiTech": {"train": 238, "test": 199},
    "MSAD": {"train": 480, "test": 240},
    "TAD": {"train": 400, "test": 100},
    "UCSD Ped2": {"train": 10, "test": 18},
}

KNOWN_ORDERS = {
    "ee371d97496bdc8a": "VadCLIP, DeepMIL, S3R, GlanceVAD",
    "4e85c53d60704d56": "Sultani, UMIL",
    "edcc42730f5a7b32": "ekosman",
    "7dac546806196cce": ("VadCLIP, DSANet, UR-DMU, PEL4VAD, DeepMIL, RTFM, MGFN, S3R, GlanceVAD"),
    "e7165e1c611b48c9": "alphabetical: the annotation files, IEF-VAD, LaGoVAD, UMIL, VERA, uws4vad",
    "63256fdad90e2fef": "VadCLIP Anomaly_Test.txt",
    "9525059a1f436d5f": "UR-DMU's and ekosman's annotation (shuffled)",
    "1d419805090a8bf0": "VadCLIP, XDVioDet, GlanceVAD",
    "efab4945f1dc7bf0": "VadCLIP, DSANet, UR-DMU, PEL4VAD, XDVioDet",
    "d24be58aa979a017": "alphabetical: GlanceVAD, uws4vad",
    "ba58b4f05a69931b": "LaGoVAD",
    "1ac272212280f988": "VERA",
    "af77863be5e46eb7": "IEF-VAD",
    "04069c20c459ff82": "alphabetical: uws4vad",
    "f13991438e6b4314": "RTFM, S3R, MSAD",
    "8a2728f6952cddb8": "alphabetical: SH_Train.txt, PEL4VAD",
    "3e60146bd2f2b0db": "MIST",
    "eef149bca0fa3617": "RTFM, S3R, MSAD, PEL4VAD",
    "3afcb18f2f893da9": "alphabetical: SH_Test.txt",
    "6913e66e1f508ec2": "MIST",
    "26f241364d5fbab9": "IEF-VAD",
    "4ee20b797ef65ade": "MSAD",
    "79726f9bda4f3b95": "MSAD, LaGoVAD",
    "c50e271d23a70ed0": "IEF-VAD",
    "22bdc5ac9daffbbd": "UMIL",
    "37e506cb753c3bf6": "UMIL",
    "61d7b168cc3da12c": "LaGoVAD",
    "60d491de0fdd1b12": "MSAD",
    "f561a3909a63dc09": "MSAD",
}

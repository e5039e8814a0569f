"""What the catalogue states of a data set, and what holds for any of them.

A data set of the field is a `DataSet` in a file of its name. Adding a split, a truth or a feature
release is an edit of that file; lookup.py finds it.
"""

import dataclasses
from collections.abc import Callable, Mapping

from refinevad_jax.data.taxonomy import Taxonomy


@dataclasses.dataclass(frozen=True)
class KnownList:
    """A released list: which split it is, in whatever order.

    Attributes:
        split: "train", "test" or the name of another split.
        num_videos: videos in it.
        note: what a user should know of it.
        complete: whether it holds all videos of the split and no others; results on a list that
            does not cannot be compared.
    """

    split: str
    num_videos: int
    note: str = ""
    complete: bool = True


@dataclasses.dataclass(frozen=True)
class FeatureRelease:
    """A feature archive of the field.

    Attributes:
        name: encoder and who uses it.
        width: D.
        crops: the possible numbers of crops per video.
        stacked: whether the crops are an axis of one file; otherwise each has its own file.
        ending: the encoder's ending in file names; "" for none.
        frames_per_segment: frames that a row covers.
        suffix: of the files.
    """

    name: str
    width: int
    crops: tuple[int, ...]
    stacked: bool = False
    ending: str = ""
    frames_per_segment: int = 16
    suffix: str = ".npy"


@dataclasses.dataclass(frozen=True)
class LengthRule:
    """How many segments T a feature release makes of n frames.

    Attributes:
        name: the formula.
        users: releases made with it.
        num_segments: T of (video id, n frames, frames per segment).
    """

    name: str
    users: str
    num_segments: Callable[[str, int, int], int]


@dataclasses.dataclass(frozen=True)
class DataSet:
    r"""All that is known of one data set.

    Hashes are those of lookup.py (lists) and of annotations/truths.py (truths).

    Attributes:
        name: as reports write it.
        taxonomy: its categories and label strings, built in under the taxonomy's name.
        names: {pattern of a video id: the label that such an id states}, the first match counts;
            a label `\1` is the pattern's first group.
        recordings: pattern of a video id whose first group is the film or camera it is from; "" if
            ids do not tell.
        names_state_category: whether a category in a name is the label of every released list;
            other data sets are divided into classes in several ways.
        lists: {members_hash: released list}.
        orders: {order_hash: who released a list in that order}.
        releases: feature archives of this data set alone.
        length_rules: those that only its feature archives follow.
        truths: {span_hash: which version of the truth it is, in words}.
        official: the official test annotation, a file in official/; "" if none is kept.
        array_lengths: {frames of a published ground-truth array: whose it is}.
    """

    name: str
    taxonomy: Taxonomy
    names: Mapping[str, str]
    recordings: str = ""
    names_state_category: bool = False
    lists: Mapping[str, KnownList] = dataclasses.field(default_factory=dict)
    orders: Mapping[str, str] = dataclasses.field(default_factory=dict)
    releases: tuple[FeatureRelease, ...] = ()
    length_rules: tuple[LengthRule, ...] = ()
    truths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    official: str = ""
    array_lengths: Mapping[int, str] = dataclasses.field(default_factory=dict)


# Of several data sets, or of any.
VADCLIP_FEATURES = FeatureRelease("CLIP ViT-B/16 (VadCLIP, DSANet)", 512, (1, 10))
ANY_RELEASES = (
    FeatureRelease("CLIP ViT-B/16 (CLIP-TSA)", 512, (1,)),
    FeatureRelease("CLIP ViT-B/16 of every 8th frame (LaGoVAD)", 512, (1,), frames_per_segment=8),
    FeatureRelease("CLIP ViT-B/16 per frame (AnomalyCLIP)", 512, (1, 10), True, "", 1),
    FeatureRelease("I3D (S3R, TEVAD for XD-Violence)", 1024, (5,), True, "_i3d"),
    FeatureRelease("VGGish audio (Roc-Ng)", 128, (1,), False, "__vggish"),
    FeatureRelease("I3D-ResNet50 (RTFM, S3R, MGFN, TEVAD)", 2048, (10,), True, "_i3d"),
    FeatureRelease("Video Swin (MGFN, MSAD)", 1024, (10,), True, "_swin"),
    FeatureRelease("CLIP ViT-L/14 (IEF-VAD)", 768, (1, 10)),
    FeatureRelease("caption embeddings (TEVAD, LAP)", 768, (1,), False, "_emb"),
    FeatureRelease("C3D in 32 segments (Sultani, ekosman)", 4096, (1,), suffix=".txt"),
    FeatureRelease("C3D (DeepMIL)", 4096, (1,)),
)
ANY_LENGTH_RULES = (
    LengthRule("floor(n/16)", "most extractors", lambda video, n, size: n // size),
    LengthRule("ceil(n/16)", "RTFM, S3R, MGFN, TEVAD", lambda video, n, size: -(-n // size)),
)


def vadclip_rule(longer: frozenset[str]) -> LengthRule:
    """VadCLIP's archives hold one segment more for three normal test videos of each data set."""
    return LengthRule(
        "floor(n/16), 3 normals plus 1",
        "VadCLIP CLIP",
        lambda video, n, size: n // size + (video in longer),
    )

"""How many segments T a feature release makes of n frames: the rules of the field.

A frame-level ground truth has frames_per_segment x T frames of a video, so the rule decides the
length of the test set. Sources: comparison of released arrays with frame counts.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from data_prep.annotations.vectors import vector_of_spans
from data_prep.dataset.videos import Span

# Roc-Ng's UCF-Crime archive drops the last segment of 9 of the 20 test videos whose frames are a
# multiple of 16; there is no rule in which.
_ROC_NG_SHORTER = frozenset(
    {
        "Assault006_x264",
        "Burglary037_x264",
        "RoadAccidents010_x264",
        "RoadAccidents016_x264",
        "Shooting046_x264",
        "Shoplifting010_x264",
        "Shoplifting015_x264",
        "Normal_Videos_881_x264",
        "Normal_Videos_914_x264",
    }
)
# VadCLIP's archives hold one segment more for these normal test videos.
_VADCLIP_LONGER = frozenset(
    {
        "Normal_Videos_924_x264",
        "Normal_Videos_935_x264",
        "Normal_Videos_940_x264",
        "v=KERh4R2BbS0__#1_label_A",
        "v=vHnAmx0UYbM__#1_label_A",
        "v=wQrV75N2BrI__#1_label_A",
    }
)


_VADCLIP_RULE = "floor(n/16), 3 normals plus 1"


@dataclasses.dataclass(frozen=True)
class LengthRule:
    """A rule and who follows it.

    Attributes:
        name: the formula.
        users: releases made with it.
        num_segments: T of (video id, n frames, frames per segment).
        data_set: the only one that it is about, "" for all.
    """

    name: str
    users: str
    num_segments: Callable[[str, int, int], int]
    data_set: str = ""


RULES = (
    LengthRule("floor(n/16)", "most extractors", lambda video, n, size: n // size),
    LengthRule("ceil(n/16)", "RTFM, S3R, MGFN, TEVAD", lambda video, n, size: -(-n // size)),
    LengthRule(
        "(n-1)//16",
        "Roc-Ng I3D of XD-Violence: UR-DMU, PEL4VAD, BN-WVAD",
        lambda video, n, size: (n - 1) // size,
        "XD-Violence",
    ),
    LengthRule(
        "floor(n/16), 9 videos less 1",
        "Roc-Ng I3D of UCF-Crime: UR-DMU, PEL4VAD, GlanceVAD",
        lambda video, n, size: n // size - (video in _ROC_NG_SHORTER),
        "UCF-Crime",
    ),
    LengthRule(
        _VADCLIP_RULE,
        "VadCLIP CLIP",
        lambda video, n, size: n // size + (video in _VADCLIP_LONGER),
    ),
)


def rules_for(data_set: str) -> list[LengthRule]:
    """The rules that a data set's releases follow, the general ones where it is not known."""
    specific = data_set in ("UCF-Crime", "XD-Violence")
    return [
        rule
        for rule in RULES
        if rule.data_set in ("", data_set) and (specific or rule.name != _VADCLIP_RULE)
    ]


def rule_lengths(
    rule: LengthRule, num_frames: Mapping[str, int], frames_per_segment: int = 16
) -> dict[str, int]:
    """Frames that count of each video: frames_per_segment x T. num_frames: n of each video."""
    return {
        video: rule.num_segments(video, n, frames_per_segment) * frames_per_segment
        for video, n in num_frames.items()
    }


@dataclasses.dataclass(frozen=True)
class FrameCount:
    """Frames of a test set under one rule, and how many of them are inside a span."""

    rule: str
    users: str
    frames: int
    positives: int


def count_frames(
    num_frames: Mapping[str, int],
    spans: Mapping[str, Sequence[Span]],
    *,
    data_set: str = "",
    frames_per_segment: int = 16,
) -> list[FrameCount]:
    """Frames and positives of the videos under every rule and as raw frames.

    Args:
        num_frames: n of each video.
        spans: of each video; those absent count as without span.
        data_set: as video_names.data_set_of names it.
        frames_per_segment: frames that a segment covers.
    """
    rows = [_count("n, raw frames", "uws4vad, VERA", dict(num_frames), spans)]
    for rule in rules_for(data_set):
        lengths = rule_lengths(rule, num_frames, frames_per_segment)
        rows.append(_count(rule.name, rule.users, lengths, spans))
    return rows


def _count(
    rule: str, users: str, lengths: Mapping[str, int], spans: Mapping[str, Sequence[Span]]
) -> FrameCount:
    positives = sum(
        int(vector_of_spans(spans.get(video, ()), length).sum())
        for video, length in lengths.items()
    )
    return FrameCount(rule, users, sum(lengths.values()), positives)


@dataclasses.dataclass(frozen=True)
class RuleFit:
    """The rule that most videos follow.

    Attributes:
        rule: its name, "unknown" where no rule fits half of the videos.
        followers: videos that follow it.
        num_compared: videos with known frames and segments.
        deviants: {video: (T found, T by the rule)}.
    """

    rule: str
    followers: int
    num_compared: int
    deviants: dict[str, tuple[int, int]]


def fit_rule(
    num_frames: Mapping[str, int], segments: Mapping[str, int], *, frames_per_segment: int = 16
) -> RuleFit:
    """The rule that explains the most T of features, the first of equals in the order of RULES.

    Args:
        num_frames: n of each video, keyed as segments.
        segments: T of each video.
        frames_per_segment: frames that a segment covers.
    """
    common = [video for video in segments if video in num_frames]
    best = RuleFit("unknown", 0, len(common), {})
    for rule in RULES:
        expected = {
            video: rule.num_segments(video, num_frames[video], frames_per_segment)
            for video in common
        }
        deviants = {
            video: (segments[video], expected[video])
            for video in common
            if segments[video] != expected[video]
        }
        followers = len(common) - len(deviants)
        if followers > best.followers:
            best = RuleFit(rule.name, followers, len(common), deviants)
    if 2 * best.followers < len(common):
        return RuleFit("unknown", 0, len(common), {})
    return best


# Frames of published ground-truth arrays: what a lone array's length says of its origin.
KNOWN_FRAMES = {
    1_111_808: "UCF-Crime, raw frame counts",
    1_114_144: "UCF-Crime, ceil(n/16): RTFM I3D-ResNet50",
    1_109_824: "UCF-Crime, floor(n/16)",
    1_109_872: "UCF-Crime, VadCLIP CLIP features",
    1_109_680: "UCF-Crime, Roc-Ng I3D features (UR-DMU, PEL4VAD)",
    2_335_801: "XD-Violence, raw frame counts",
    2_331_248: "XD-Violence, floor(n/16)",
    2_331_296: "XD-Violence, VadCLIP CLIP features",
    2_330_384: "XD-Violence, Roc-Ng I3D features (UR-DMU, PEL4VAD, BN-WVAD)",
    142_912: "ShanghaiTech, RTFM and S3R",
    143_888: "ShanghaiTech, TEVAD, LAP, MSAD's gt-sh2",
    140_112: "ShanghaiTech, PEL4VAD",
    139_568: "ShanghaiTech, IEF-VAD",
    143_920: "MSAD, the authors' I3D and Swin features",
    144_144: "MSAD, IEF-VAD",
    3_200: "UCSD Ped2, weak split of MSAD's repository",
}

"""Which feature release is this? Told by width, crops, layout and file names."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class FeatureRelease:
    """A feature archive of the field.

    Attributes:
        name: encoder and who uses it.
        width: D.
        crops: crops per video.
        stacked: crops on an axis of one file, not in files of their own.
        ending: the encoder's ending in file names; "" for none.
        frames_per_segment: frames that a row covers.
        data_sets: those it was released for; () for all.
        suffix: of the files.
    """

    name: str
    width: int
    crops: tuple[int, ...]
    stacked: bool = False
    ending: str = ""
    frames_per_segment: int = 16
    data_sets: tuple[str, ...] = ()
    suffix: str = ".npy"


RELEASES = (
    FeatureRelease(
        "CLIP ViT-B/16 (VadCLIP, DSANet)", 512, (1, 10), data_sets=("UCF-Crime", "XD-Violence")
    ),
    FeatureRelease("CLIP ViT-B/16 (CLIP-TSA)", 512, (1,)),
    FeatureRelease("CLIP ViT-B/16 of every 8th frame (LaGoVAD)", 512, (1,), frames_per_segment=8),
    FeatureRelease("CLIP ViT-B/16 per frame (AnomalyCLIP)", 512, (1, 10), True, "", 1),
    FeatureRelease(
        "I3D RGB (Roc-Ng: UR-DMU, PEL4VAD, GlanceVAD)", 1024, (1, 10), data_sets=("UCF-Crime",)
    ),
    FeatureRelease(
        "I3D RGB or flow (Roc-Ng: XDVioDet, UR-DMU, BN-WVAD, PEL4VAD)",
        1024,
        (1, 5),
        data_sets=("XD-Violence",),
    ),
    FeatureRelease("I3D RGB (PEL4VAD)", 1024, (10,), data_sets=("ShanghaiTech",)),
    FeatureRelease("I3D (S3R, TEVAD for XD-Violence)", 1024, (5,), True, "_i3d"),
    FeatureRelease("VGGish audio (Roc-Ng)", 128, (1,), False, "__vggish"),
    FeatureRelease("I3D-ResNet50 (RTFM, S3R, MGFN, TEVAD)", 2048, (10,), True, "_i3d"),
    FeatureRelease("I3D (MSAD)", 1024, (10,), True, "_i3d", data_sets=("MSAD",)),
    FeatureRelease("Video Swin (MGFN, MSAD)", 1024, (10,), True, "_swin"),
    FeatureRelease("CLIP ViT-L/14 (IEF-VAD)", 768, (1, 10)),
    FeatureRelease("caption embeddings (TEVAD, LAP)", 768, (1,), False, "_emb"),
    FeatureRelease("C3D in 32 segments (Sultani, ekosman)", 4096, (1,), suffix=".txt"),
    FeatureRelease("C3D (DeepMIL)", 4096, (1,)),
)


def name_features(
    *,
    width: int,
    crops: int,
    stacked: bool,
    ending: str,
    suffix: str,
    data_set: str,
    frames_per_segment: float | None = None,
) -> str:
    """The releases that fit, joined by " or "; "unknown" where none does.

    Args:
        width: D.
        crops: crops per video.
        stacked: whether the crops are an axis of one file.
        ending: the encoder's ending in file names.
        suffix: of the files.
        data_set: as video_names.data_set_of names it.
        frames_per_segment: measured on videos with a known frame count, None where none is.
    """
    fitting = [
        release
        for release in RELEASES
        if release.width == width
        and crops in release.crops
        and (release.stacked == stacked or crops == 1)
        and release.ending == ending
        and release.suffix == suffix
        and (not release.data_sets or data_set in release.data_sets)
        and (
            frames_per_segment is None
            or suffix == ".txt"
            or 0.7 < frames_per_segment / release.frames_per_segment < 1.5
        )
    ]
    return " or ".join(release.name for release in fitting) or "unknown"

"""UCF-Crime (Sultani et al., 2018): 13 anomalies in surveillance videos."""

from data_prep.catalogue.data_set import (
    VADCLIP_FEATURES,
    DataSet,
    FeatureRelease,
    KnownList,
    LengthRule,
    vadclip_rule,
)
from refinevad_jax.data.taxonomy import Taxonomy

# Normal first, then alphabetical, is the order of VadCLIP, DSANet, PEL4VAD and UMIL; ours leaves
# normal out. `A` is what VadCLIP's gt_label writes for normal on UCF-Crime too.
_CATEGORIES = (
    "Abuse",
    "Arrest",
    "Arson",
    "Assault",
    "Burglary",
    "Explosion",
    "Fighting",
    "RoadAccidents",
    "Robbery",
    "Shooting",
    "Shoplifting",
    "Stealing",
    "Vandalism",
)
TAXONOMY = Taxonomy(
    name="ucf_crime",
    categories=_CATEGORIES,
    display_names=tuple(name.replace("RoadAccidents", "Road accident") for name in _CATEGORIES),
    normal=("Normal", "A"),
)

# `Normal_Videos586_x264` in training, `Normal_Videos_003_x264` in testing; some releases shorten.
NORMAL_NAME = r"Normal(?:_Videos_?)?(\d{3})(?:_x264)?"

# The folders of the videos: `Training_Normal_Videos_Anomaly`, `Normal_Videos_event`.
NORMAL_FOLDER = r"(?:(?:Testing|Training)[_-])?Normal[_-]Videos(?:[_-].*)?"

# Roc-Ng's archive drops the last segment of 9 of the 20 test videos whose frames are a multiple of
# 16; no rule tells which.
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
_VADCLIP_LONGER = frozenset(
    {"Normal_Videos_924_x264", "Normal_Videos_935_x264", "Normal_Videos_940_x264"}
)

DATA_SET = DataSet(
    name="UCF-Crime",
    taxonomy=TAXONOMY,
    names={
        rf"({'|'.join(TAXONOMY.categories)})\d{{3}}(_x264)?": r"\1",
        NORMAL_NAME: "Normal",
    },
    names_state_category=True,
    lists={
        "e9a8fa4134e25f3a": KnownList("train", 1610),
        "e7165e1c611b48c9": KnownList("test", 290),
    },
    orders={
        "ee371d97496bdc8a": "VadCLIP, DeepMIL, S3R, GlanceVAD",
        "4e85c53d60704d56": "Sultani, UMIL",
        "edcc42730f5a7b32": "ekosman",
        "7dac546806196cce": "VadCLIP, DSANet, UR-DMU, PEL4VAD, DeepMIL, RTFM, MGFN, S3R, GlanceVAD",
        "e7165e1c611b48c9": (
            "alphabetical: the annotation files, IEF-VAD, LaGoVAD, UMIL, VERA, uws4vad"
        ),
        "63256fdad90e2fef": "VadCLIP Anomaly_Test.txt",
        "9525059a1f436d5f": "UR-DMU's and ekosman's annotation (shuffled)",
    },
    releases=(
        VADCLIP_FEATURES,
        FeatureRelease("I3D RGB (Roc-Ng: UR-DMU, PEL4VAD, GlanceVAD)", 1024, (1, 10)),
    ),
    length_rules=(
        LengthRule(
            "floor(n/16), 9 videos less 1",
            "Roc-Ng I3D of UCF-Crime: UR-DMU, PEL4VAD, GlanceVAD",
            lambda video, n, size: n // size - (video in _ROC_NG_SHORTER),
        ),
        vadclip_rule(_VADCLIP_LONGER),
    ),
    truths={
        "9cc3da48c3e15df4c38cf8a20d6ecd5c209354eef5c1d9c9d3905f2628db2d38": "official (UCF-Crime)",
        "5b0512a9c078f41495180cd64cf8d4e246ce6631ee7e8baf87c81851a1b0b5b4": (
            "official (UCF-Crime), cut to Roc-Ng's I3D lengths as PEL4VAD ships it"
        ),
        "94e80ccf0364146ca9f0e63e1cb11408d1a61ae14f3e04fcf7586cc8ecd972bd": (
            "UMIL edits, which VERA took over (UCF-Crime)"
        ),
        "eab02d339c1ddd5b18c4c75b04cc86eb8611d9e6a6725740d384dcc12d6b880b": (
            "HIVAU events, no evaluation truth (UCF-Crime)"
        ),
    },
    official="ucf_crime_test.txt",
    array_lengths={
        1_111_808: "raw frame counts",
        1_114_144: "ceil(n/16): RTFM I3D-ResNet50",
        1_109_824: "floor(n/16)",
        1_109_872: "VadCLIP CLIP features",
        1_109_680: "Roc-Ng I3D features (UR-DMU, PEL4VAD)",
    },
)

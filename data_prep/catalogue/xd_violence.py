"""XD-Violence (Wu et al., 2020): 6 kinds of violence in films and web videos, several per video."""

from data_prep.catalogue.data_set import (
    VADCLIP_FEATURES,
    DataSet,
    FeatureRelease,
    KnownList,
    LengthRule,
    vadclip_rule,
)
from refinevad_jax.data.taxonomy import Taxonomy

# The order of VadCLIP. There is no B3.
TAXONOMY = Taxonomy(
    name="xd_violence",
    categories=("B1", "B2", "B4", "B5", "B6", "G"),
    display_names=("Fighting", "Shooting", "Riot", "Abuse", "Car accident", "Explosion"),
    normal=("A", "Normal"),
    separator="-",
    ignored=("0",),
)

# `B1-0-0`, `B2-B6-G`, `A`.
LABEL = r"(?:A|B[12456]|G|0)(?:-(?:A|B[12456]|G|0))*"

_VADCLIP_LONGER = frozenset(
    {
        "v=KERh4R2BbS0__#1_label_A",
        "v=vHnAmx0UYbM__#1_label_A",
        "v=wQrV75N2BrI__#1_label_A",
    }
)

DATA_SET = DataSet(
    name="XD-Violence",
    taxonomy=TAXONOMY,
    names={rf".+_label_({LABEL})": r"\1"},
    recordings=r"(.+)__#.+",
    names_state_category=True,
    lists={
        "04069c20c459ff82": KnownList("train", 3954),
        "d24be58aa979a017": KnownList("test", 800),
        "af77863be5e46eb7": KnownList(
            "test",
            753,
            "IEF-VAD's list: it lacks the 47 videos with several labels, results are not "
            "comparable",
            complete=False,
        ),
    },
    orders={
        "1d419805090a8bf0": "VadCLIP, XDVioDet, GlanceVAD",
        "04069c20c459ff82": "alphabetical: uws4vad",
        "efab4945f1dc7bf0": "VadCLIP, DSANet, UR-DMU, PEL4VAD, XDVioDet",
        "d24be58aa979a017": "alphabetical: GlanceVAD, uws4vad",
        "ba58b4f05a69931b": "LaGoVAD",
        "1ac272212280f988": "VERA",
        "af77863be5e46eb7": "IEF-VAD",
    },
    releases=(
        VADCLIP_FEATURES,
        FeatureRelease(
            "I3D RGB or flow (Roc-Ng: XDVioDet, UR-DMU, BN-WVAD, PEL4VAD)", 1024, (1, 5)
        ),
    ),
    length_rules=(
        LengthRule(
            "(n-1)//16",
            "Roc-Ng I3D of XD-Violence: UR-DMU, PEL4VAD, BN-WVAD",
            lambda video, n, size: (n - 1) // size,
        ),
        vadclip_rule(_VADCLIP_LONGER),
    ),
    truths={
        "4877eb966cf4f24bca0e2495c0134dfdf30107d639dfbe56ecf49d83737d5c88": (
            "official (XD-Violence)"
        ),
        "75d7916022e4e8a5e1878036bdc6b532418c36c58ff05d594757bf8d0e60c2a7": (
            "official (XD-Violence), cut to Roc-Ng's I3D lengths as PEL4VAD ships it"
        ),
        "d68bed15583b76f7fa1844207f142dd941049facebd960d8bf72cefe4cdf5e88": (
            "official, spans by class (XD-Violence): 5 videos differ from annotations.txt"
        ),
        "35896402551354984739ec3ce5125634a0eadef79c37dbf31f16ffa1d926c121": (
            "official, without the 47 videos of several labels (IEF-VAD, XD-Violence)"
        ),
        "88dbaada44799c7cd965964169bfb67358633e9dde8f3e317f0ca7f96220bd55": (
            "VERA edits: 14 anomalous videos without their spans (XD-Violence)"
        ),
    },
    official="xd_violence_test.txt",
    array_lengths={
        2_335_801: "raw frame counts",
        2_331_248: "floor(n/16)",
        2_331_296: "VadCLIP CLIP features",
        2_330_384: "Roc-Ng I3D features (UR-DMU, PEL4VAD, BN-WVAD)",
    },
)

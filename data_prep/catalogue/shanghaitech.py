"""ShanghaiTech Campus (Luo et al., 2017) in the weak split (Zhong et al., 2019)."""

from data_prep.catalogue.data_set import DataSet, FeatureRelease, KnownList
from refinevad_jax.data.taxonomy import Taxonomy

# The lists say 0 or 1, or nothing but the name: both are read as Normal and Abnormal. Classes are
# not agreed on (AnomalyCLIP has 17, IEF-VAD 16, PEL4VAD 13); they need a taxonomy file.
TAXONOMY = Taxonomy(
    name="shanghaitech",
    categories=("Abnormal",),
    display_names=("Anomaly",),
    normal=("Normal", "0"),
)

# PEL4VAD's files carry the crop after a single underscore. IEF-VAD's `04_0012_1` is a piece of a
# video: crops are those that are complete.
CROP_NAME = r"(\d\d_\d{3,4})_(\d)"

DATA_SET = DataSet(
    name="ShanghaiTech",
    taxonomy=TAXONOMY,
    # 13 scenes.
    names={
        r"(0[1-9]|1[0-3])_\d{3}": "Normal",
        r"(0[1-9]|1[0-3])_\d{3,4}(_\d)?": "Abnormal",
    },
    recordings=r"(\d\d)_.+",
    lists={
        "8a2728f6952cddb8": KnownList("train", 238),
        "3afcb18f2f893da9": KnownList("test", 199),
        "8c6a20e45262d837": KnownList(
            "test", 203, "IEF-VAD's annotation: two videos are cut into pieces", complete=False
        ),
        "766b9ab717d702c5": KnownList(
            "test",
            197,
            "IEF-VAD's list: it lacks 04_0012 and 05_0023, results are not comparable",
            complete=False,
        ),
    },
    orders={
        "f13991438e6b4314": "RTFM, S3R, MSAD",
        "8a2728f6952cddb8": "alphabetical: SH_Train.txt, PEL4VAD",
        "3e60146bd2f2b0db": "MIST",
        "eef149bca0fa3617": "RTFM, S3R, MSAD, PEL4VAD",
        "3afcb18f2f893da9": "alphabetical: SH_Test.txt",
        "6913e66e1f508ec2": "MIST",
        "26f241364d5fbab9": "IEF-VAD",
    },
    releases=(FeatureRelease("I3D RGB (PEL4VAD)", 1024, (10,)),),
    truths={
        "7e3176f5fee31a77904795b33155e1f283e2c54b4272cc3cdae89feebd6e10eb": (
            "IEF-VAD (ShanghaiTech)"
        ),
        "cfca289a16e90bba68fef2198e1050147536e65ab5266f0872ef422db74f5ecb": "S3R (ShanghaiTech)",
        "1e87a342b8890961c90e7c9b13c30d0364cd4915a8aaab885851bdad1d0241eb": (
            "the authors' frame masks of 107 videos (ShanghaiTech)"
        ),
    },
    array_lengths={
        142_912: "RTFM and S3R",
        143_888: "TEVAD, LAP, MSAD's gt-sh2",
        140_112: "PEL4VAD",
        139_568: "IEF-VAD",
    },
)

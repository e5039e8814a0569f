"""MSAD, the Multi-Scenario Anomaly Detection data set (Zhu et al., 2024), both protocols."""

from data_prep.catalogue.data_set import DataSet, FeatureRelease, KnownList
from refinevad_jax.data.taxonomy import Taxonomy

_CATEGORIES = (
    "Assault",
    "Explosion",
    "Fighting",
    "Fire",
    "Object_falling",
    "People_falling",
    "Robbery",
    "Shooting",
    "Traffic_accident",
    "Vandalism",
    "Water_incident",
)
TAXONOMY = Taxonomy(
    name="msad",
    categories=_CATEGORIES,
    display_names=tuple(name.replace("_", " ") for name in _CATEGORIES),
)

DATA_SET = DataSet(
    name="MSAD",
    taxonomy=TAXONOMY,
    names={
        rf"({'|'.join(TAXONOMY.categories)})_\d+": r"\1",
        r"MSAD_normal_(testing_)?\w+": "Normal",
    },
    names_state_category=True,
    lists={
        "69e5fbd5c573343c": KnownList("train", 480),
        "cf16e41d11d564b1": KnownList("test", 240),
        "70b083246383eaa0": KnownList(
            "test",
            241,
            "IEF-VAD's list: it has Robbery_10 more than the authors' list",
            complete=False,
        ),
        # Protocol i trains on the 360 normal videos alone, and tests on all anomalous ones.
        "a9cf72baf41474de": KnownList(
            "test_protocol_i",
            360,
            "protocol i: 120 of its anomalous videos are in the training list of protocol ii",
        ),
    },
    orders={
        "4ee20b797ef65ade": "MSAD",
        "79726f9bda4f3b95": "MSAD, LaGoVAD",
        "c50e271d23a70ed0": "IEF-VAD",
    },
    releases=(FeatureRelease("I3D (MSAD)", 1024, (10,), True, "_i3d"),),
    truths={
        "e0c6b41beb6cd8ceb8b1d564ebbd5d19b88077639b274db5947dd3beb577e884": "IEF-VAD (MSAD)",
    },
    array_lengths={143_920: "the authors' I3D and Swin features", 144_144: "IEF-VAD"},
)

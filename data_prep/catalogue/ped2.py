"""UCSD Ped2 (Li et al., 2014) in the weak split of MSAD's repository."""

from data_prep.catalogue.data_set import DataSet, KnownList
from refinevad_jax.data.taxonomy import Taxonomy

_SPLIT = "weak split of MSAD's repository"

# The lists hold names alone: `Train001` is normal, `Test001` is not.
TAXONOMY = Taxonomy(
    name="ped2",
    categories=("Abnormal",),
    display_names=("Anomaly",),
    normal=("Normal", "0"),
)

DATA_SET = DataSet(
    name="UCSD Ped2",
    taxonomy=TAXONOMY,
    names={r"Train\d{3}": "Normal", r"Test\d{3}": "Abnormal"},
    lists={
        "60d491de0fdd1b12": KnownList("train", 10, _SPLIT),
        "f561a3909a63dc09": KnownList("test", 18, _SPLIT),
    },
    orders={"60d491de0fdd1b12": "MSAD", "f561a3909a63dc09": "MSAD"},
    array_lengths={3_200: _SPLIT},
)

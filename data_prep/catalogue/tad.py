"""TAD, Traffic Anomaly Detection (Lv et al., 2021): 7 kinds of trouble on roads."""

from data_prep.catalogue.data_set import DataSet, KnownList
from refinevad_jax.data.taxonomy import Taxonomy

# As the video names state them, `01_Accident_006`, in the order of their numbers, which are the
# class ids of UMIL's lists too. LaGoVAD calls all seven "Car Accident", so its labels need a
# taxonomy file.
TAXONOMY = Taxonomy(
    name="tad",
    categories=(
        "Accident",
        "IllegalTurn",
        "IllegalOccupation",
        "Retrograde",
        "else",
        "PedestrianOnRoad",
        "RoadSpills",
    ),
    display_names=(
        "Traffic accident",
        "Illegal turn",
        "Illegal occupation",
        "Retrograde",
        "Else",
        "Pedestrian on road",
        "Road spills",
    ),
)

DATA_SET = DataSet(
    name="TAD",
    taxonomy=TAXONOMY,
    names={
        rf"0[1-7]_({'|'.join(TAXONOMY.categories)})_\d{{3}}": r"\1",
        r"Normal_\d{3}": "Normal",
    },
    lists={
        "7f0af6a26aef1c65": KnownList("train", 400),
        "37e506cb753c3bf6": KnownList("test", 100),
        "61d7b168cc3da12c": KnownList(
            "test",
            100,
            "LaGoVAD's list: 76 of its videos are training videos of the other split in use "
            "(UMIL's)",
        ),
    },
    orders={
        "22bdc5ac9daffbbd": "UMIL",
        "37e506cb753c3bf6": "UMIL",
        "61d7b168cc3da12c": "LaGoVAD",
    },
    truths={
        "c418f27c4c7c8cdea41a358c35c2bfb49bee8fcfabcadbe4bb7f85712bd214d9": "UMIL (TAD)",
    },
)

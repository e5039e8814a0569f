"""The configuration that the printed next command recommends, by kind and size of the data."""

import shlex

import pytest

from data_prep.catalogue import ucf_crime, xd_violence
from data_prep.dataset import summary
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy

OWN = Taxonomy("gate", ("fall",), ("Fall",))
VISUAL, TEXT = Modality("visual", 8), Modality("text", 8)


@pytest.mark.parametrize(
    ("name", "taxonomy", "modality", "num_training", "expected"),
    [
        ("ucf", ucf_crime.TAXONOMY, VISUAL, 1610, "ucf"),
        ("ucf", ucf_crime.TAXONOMY, VISUAL, 499, "own"),
        ("xd", xd_violence.TAXONOMY, VISUAL, 500, "xd"),
        ("xd", xd_violence.TAXONOMY, TEXT, 4, "own"),
        ("words", ucf_crime.TAXONOMY, TEXT, 12, "ucf_text"),
        ("gate", OWN, VISUAL, 5000, "own"),
        ("survfight", OWN, VISUAL, 200, "own"),
    ],
)
def test_the_configuration_fits_the_data(
    name: str, taxonomy: Taxonomy, modality: Modality, num_training: int, expected: str
) -> None:
    info = BagsInfo(name, taxonomy, (modality,))
    line = summary._next_line(info, "my data", {"train": num_training, "val": 4})
    words = shlex.split(line)
    assert words[:4] == ["next:", "python", "-m", "refinevad_jax.main"]
    assert words[4:] == [
        f"--config={expected}",
        f"--config.data.dataset={name}",
        "--config.data.data_dir=my data",
        f"--workdir=runs/{name}",
    ]


def test_the_built_in_set_gets_its_own_under_any_name() -> None:
    info = BagsInfo("fights", OWN, (VISUAL,), provenance={"source": "survfight"})
    line = summary._next_line(info, "data", {"train": 400, "val": 160})
    assert "--config=survfight --config.data.dataset=fights " in line


def test_made_up_data_get_the_demonstration() -> None:
    info = BagsInfo("sim", OWN, (VISUAL,), simulated=True)
    line = summary._next_line(info, "data", {"train": 5000})
    assert "--config=demo " in line and "--config.data.selection_split=train" in line

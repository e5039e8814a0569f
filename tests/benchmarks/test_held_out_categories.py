"""What is right among which categories, and the table of draws."""

import numpy as np

from benchmarks.held_out_categories import AMONG, RULES, Asked, right, table
from refinevad_jax.data.bags import Bag


def bag(*categories: int) -> Bag:
    labels = np.isin(np.arange(4), categories)
    return Bag("", "", labels, np.zeros((1, 1, 1)), 0, 0.0, np.zeros((0, 3)), False)


def test_right_is_a_category_of_the_video_among_those_asked_for() -> None:
    values = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    bags = [bag(3), bag(3), bag(1, 3)]
    assert right(values, bags, np.array([1, 3])) == 2 / 3
    assert right(values, bags, np.array([3, 1])) == 2 / 3
    assert right(values, bags, np.array([0, 2])) == 0


def test_the_table_has_every_rule_and_every_draw() -> None:
    accuracy = {rule: dict.fromkeys(AMONG, 0.5) for rule in RULES}
    draws = [Asked(("A", "B"), 4, {"train": 7}, {"train": accuracy}, known) for known in (0.2, 0.4)]
    lines = table(draws).splitlines()
    assert [line.split("|")[1].strip() for line in lines if "|" in line][2:] == [*RULES, "chance"]
    assert "0.500" in lines[2] and "| 0.250 |" in lines[6]
    assert lines[-3].startswith("Trained categories, on train: 0.300")
    assert lines[-1] == "- draw 1: A, B; 7 of train; train 0.500 / 0.500 / 0.500"

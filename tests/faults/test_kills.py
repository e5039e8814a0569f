"""SIGKILL at random moments: what is visible is whole, and the same command ends the same."""

import pathlib
import random
import shutil

import pytest

from tests.conftest import LONG
from tests.faults.conftest import Record, Zygote
from tests.faults.scenarios import SCENARIOS, Ground, leftovers, outputs

KILLS = 50 if LONG else 5
CHAIN = 3  # kills at most, in the long form, before the command is left to end
MAX_TRIES = 10 * KILLS
SHORT = ("packaging", "extraction", "detection", "report")  # each try of the others takes seconds


@pytest.mark.parametrize("name", SCENARIOS if LONG else SHORT)
def test_killed_at_random_moments(
    name: str, ground: Ground, zygote: Zygote, tmp_path: pathlib.Path, record: Record
) -> None:
    scenario, rng = SCENARIOS[name], random.Random(name)
    reference_dir = fresh(ground, name, tmp_path / "out")
    arguments = scenario.arguments(ground, reference_dir)
    status, duration = zygote.run(arguments)
    assert status == 0, zygote.said()
    reference = outputs(reference_dir)
    assert reference and not leftovers(reference_dir)
    earlier: list[dict[str, str]] = []
    kills = tries = completions = 0
    while kills < KILLS:
        out = fresh(ground, name, tmp_path / "out")
        earlier = [outputs(out)]
        if scenario.whole and completions % 2:  # with an earlier result in its place
            assert zygote.run(arguments)[0] == 0
            earlier = [outputs(out)]
        for _ in range(rng.randint(1, CHAIN) if LONG else KILLS):
            tries += 1
            assert tries < MAX_TRIES, f"{kills} kills of {tries} fell into the run"
            status, _ = zygote.run(arguments, after=rng.uniform(0, duration))
            assert status in (0, -9), zygote.said()
            kills += status == -9
            check_visible(name, out, reference, earlier)
        status, duration = zygote.run(arguments)
        assert status == 0, zygote.said()
        completions += 1
        assert outputs(out) == reference
        assert leftovers(out) == []
    record.add("SIGKILL", name, kills=kills, completed=completions, different=0, half_files=0)


def fresh(ground: Ground, name: str, out: pathlib.Path) -> pathlib.Path:
    """The same folder each time: some outputs name it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    SCENARIOS[name].prepare(ground, out)
    return out


def check_visible(
    name: str, out: pathlib.Path, reference: dict[str, str], earlier: list[dict[str, str]]
) -> None:
    """What a kill left under final names is what the whole command leaves."""
    found = outputs(out)
    if SCENARIOS[name].whole:
        assert found in (reference, *earlier)
        return
    for path, digest in found.items():
        if path.endswith("metrics.jsonl"):
            continue  # a journal: what lies past the last checkpoint is dropped by the next call
        if " " in path and path not in reference:
            continue  # a checkpoint that is not kept to the end; it was read whole
        assert digest == reference[path], path

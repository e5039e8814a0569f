"""Writes that fail, one after the other: one line, nothing half, and the next call mends it."""

import errno
import itertools
import os
import pathlib
import re

import pytest

from tests.conftest import LONG
from tests.faults.conftest import Record, Zygote
from tests.faults.scenarios import SCENARIOS, Ground, check_visible, fresh, leftovers, outputs

FAULTS = 50 if LONG else 3
SHORT = ("extraction", "report")
# A disk that is full stays so; a sector that is bad is met once; a folder may not be written to.
KINDS = [(errno.ENOSPC, True), (errno.EIO, False), (errno.EROFS, True), (errno.EACCES, True)]


@pytest.mark.parametrize("name", SCENARIOS if LONG else SHORT)
def test_a_write_that_fails(
    name: str,
    ground: Ground,
    zygote: Zygote,
    shim: pathlib.Path | None,
    tmp_path: pathlib.Path,
    record: Record,
) -> None:
    if shim is None:
        pytest.skip("no C compiler to build tests/faults/disk.c with")
    disk = Disk(tmp_path / "out", tmp_path / "counter")
    scenario, out = SCENARIOS[name], fresh(ground, name, disk.folder)
    arguments = scenario.arguments(ground, out)
    status, _ = zygote.start(arguments, env=disk.failing(0))
    assert status == 0, zygote.said()
    reference, calls = outputs(out), disk.calls()
    refused = completed = 0
    faults = plan(calls)
    for index, (number, (code, for_ever)) in enumerate(faults):
        out = fresh(ground, name, disk.folder)
        if scenario.whole and index % 3 == 2:  # with an earlier result in its place
            assert zygote.start(arguments)[0] == 0
        earlier = [outputs(out)]
        status, _ = zygote.start(arguments, env=disk.failing(number, code, for_ever=for_ever))
        where = f"{errno.errorcode[code]} at call {number} of {calls}: {zygote.said()}"
        check_said(status, zygote.said(), where)
        check_visible(name, out, reference, earlier)
        if status == 0:
            assert outputs(out) == reference, where
        refused, completed = refused + (status != 0), completed + (status == 0)
        status, _ = zygote.start(arguments)
        assert status == 0, f"after {where}\n{zygote.said()}"
        assert outputs(out) == reference, where
        assert leftovers(out) == [], where
    assert refused
    record.add(
        "Failing writes",
        name,
        writes=calls,
        failed=len(faults),
        refused=refused,
        completed=completed,
        different=0,
        half_files=0,
    )


def plan(calls: int) -> list[tuple[int, tuple[int, bool]]]:
    """Every call in every way, or as many as fit into the time, evenly spread."""
    if calls * len(KINDS) <= FAULTS:
        return list(itertools.product(range(1, calls + 1), KINDS))
    return [
        (1 + calls * index // FAULTS, KINDS[(index + index // len(KINDS)) % len(KINDS)])
        for index in range(FAULTS)
    ]


class Disk:
    """The settings of tests/faults/disk.c for one folder."""

    def __init__(self, folder: pathlib.Path, counter: pathlib.Path) -> None:
        self.folder, self._counter = folder, counter

    def failing(self, number: int, code: int = 0, *, for_ever: bool = False) -> dict[str, str]:
        """Environment of a command whose write of that number fails; 0 counts them."""
        self._counter.write_bytes(bytes(8))
        return {
            "FAULT_FOLDER": str(self.folder),
            "FAULT_AT": str(number),
            "FAULT_ERRNO": str(code),
            "FAULT_FOR_EVER": str(int(for_ever)),
            "FAULT_COUNTER": str(self._counter),
        }

    def calls(self) -> int:
        """How many writes the last command made."""
        return int.from_bytes(self._counter.read_bytes(), "little")


def check_said(status: int, said: str, where: str) -> None:
    """A command ended well, or with one line that says what failed."""
    assert status in (0, 2), where
    assert "Traceback" not in said, where
    errors = re.findall("^error: .*$", said, re.MULTILINE)
    assert len(errors) == (status != 0), where
    if status:
        reasons = (os.strerror(code) for code, _ in KINDS)
        assert "cannot be written" in errors[0] or any(map(errors[0].count, reasons)), where

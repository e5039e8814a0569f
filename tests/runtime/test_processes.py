"""Which faults mean that another process has gone; test_placement.py has real ones."""

import os

import jax
import pytest

from refinevad_jax.runtime import processes


class EndedError(Exception):
    """In place of the end of this process; carries the exit code."""


def ended(code: int) -> None:
    raise EndedError(code)


@pytest.mark.parametrize(
    "text",
    [
        "UNKNOWN: Gloo AllGather failed: [pair.cc:538] Read error [10.0.0.1]:396: Connection reset",
        "UNAVAILABLE: Failed to send RPC to coordination service.",
        "INTERNAL: NCCL operation ncclAllReduce failed: remote process exited",
    ],
)
@pytest.mark.parametrize("kind", [ValueError, jax.errors.JaxRuntimeError])
def test_a_broken_connection_ends_with_one_line(
    text: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(os, "_exit", ended)
    with pytest.raises(kind), processes.together():  # alone, nobody can have gone
        raise kind(text)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(EndedError, match="75"), processes.together():
        raise kind(text)
    said = capfd.readouterr().err
    assert said.startswith("error: another process of this run has ended or cannot be reached; ")
    assert said.count("\n") == 1 and text[:60] in said


@pytest.mark.parametrize(
    "text", ["RESOURCE_EXHAUSTED: Out of memory", "INTERNAL: Failed to load", "no connection"]
)
def test_other_faults_are_themselves(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match=text), processes.together():
        raise ValueError(text)

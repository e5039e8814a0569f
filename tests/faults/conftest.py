"""What the commands read, a process that starts them, and the record of faults survived."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from refinevad_jax.evaluation.run import evaluate_seeds
from tests import zygote as zygote_lib
from tests.conftest import ROOT
from tests.faults.scenarios import Ground, make_ground

# Those of ours too, so that kills and failing writes fall on the work.
LIBRARIES = (
    "tests.conftest",
    *zygote_lib.LIBRARIES,
    "refinevad_jax.detection.run_detection",
    "refinevad_jax.evaluation.run",
    "refinevad_jax.training.loop",
    "data_prep.sources.package",
)


class Zygote(zygote_lib.Zygote):
    """Starts commands that write both streams to one log, and sends them signals."""

    def __init__(self, log: pathlib.Path, preloaded: pathlib.Path | None) -> None:
        self.log = log
        loaded = {"LD_PRELOAD": str(preloaded)} if preloaded else {}
        super().__init__(LIBRARIES, {"OPENBLAS_NUM_THREADS": "1", **loaded})

    def start(
        self,
        arguments: list[str],
        *,
        after: float = zygote_lib.END,
        number: signal.Signals = signal.SIGKILL,
        env: dict[str, str] | None = None,
    ) -> tuple[int, float]:
        """Runs a command, with a signal after so many seconds. Exit code and seconds it took."""
        self.log.unlink(missing_ok=True)
        return self.run(arguments, self.log, self.log, after=after, number=number, env=env)

    def said(self) -> str:
        """What the last command printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path | None:
    """disk.c as a library to preload, None without a C compiler; it sleeps until asked."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = tmp_path_factory.mktemp("shim") / "disk.so"
    source = ROOT / "tests" / "faults" / "disk.c"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory, shim: pathlib.Path | None) -> Iterator[Zygote]:
    zygote = Zygote(tmp_path_factory.mktemp("log") / "log.txt", shim)
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def ground(
    tmp_path_factory: pytest.TempPathFactory, tiny_data: pathlib.Path, trained: pathlib.Path
) -> Ground:
    pytest.importorskip("av", reason="pip install av")
    folder = tmp_path_factory.mktemp("ground")
    shutil.copytree(trained, folder / "run")
    options = {"dataset": "", "data_dir": "", "num_segments": None, "allow_mismatch": False}
    evaluate_seeds(folder / "run", split="test", step="best", **options)
    return make_ground(folder, tiny_data, trained)


class Record:
    """Counts of faults, added to the file that docs/reliability.md is written from."""

    def __init__(self) -> None:
        path = os.environ.get("REFINEVAD_FAULTS_RECORD")
        self._path = pathlib.Path(path) if path else None

    def add(self, group: str, name: str, **counts: Any) -> None:
        print(f"{group}, {name}: {counts}")
        if self._path:
            found = json.loads(self._path.read_text()) if self._path.exists() else {}
            found.setdefault(group, {})[name] = counts
            self._path.write_text(json.dumps(found, indent=1) + "\n")


@pytest.fixture(scope="session")
def record() -> Record:
    return Record()

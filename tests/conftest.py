"""Fixtures that every test room shares."""

import atexit
import functools
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

# Many tests run the same small programs, some in processes of their own: compile each once.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "compiled"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Nearly all the time of a first run goes into compiling; JAX_DISABLE_MOST_OPTIMIZATIONS=0 tests the
# programs as users run them.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Without XLA's emitters of fusions, compiling for processors takes a quarter of the time. Another
# version of XLA may not know a flag, and would end the process.
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1" and version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = (
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 "
        + os.environ.get("XLA_FLAGS", "")
    )

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.training import loop
from tests.zygote import END, ROOT, Zygote

LOCAL = ("localhost", "127.0.0.1", "::1", None)
# `make test-faults` sets it: more faults, more inputs, all variants.
LONG = os.environ.get("REFINEVAD_FAULTS") == "long"
SHARED_DATA, NO_DATA = "REFINEVAD_SHARED_DATA", "no real data at"


@functools.cache
def _zygote() -> tuple[Zygote, dict[str, str]]:
    """The process that `call` asks, and what its libraries read when they were imported."""
    zygote = Zygote()
    atexit.register(zygote.close)
    return zygote, _read_on_import()


def _read_on_import() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith(("JAX_", "XLA_"))}


def call(module: str, *flags: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a command of the project as a user does, from the repository's root or from cwd.

    module: "-c" for a program, which is the first of flags. The libraries are already imported,
    unless JAX's variables have changed since: those are read then.
    """
    zygote, read = _zygote()
    if read != _read_on_import():
        words = [sys.executable, *(["-m"] * (module != "-c")), module, *flags]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=END
        )
    with tempfile.TemporaryDirectory() as folder:
        streams = [pathlib.Path(folder, name) for name in ("stdout", "stderr")]
        code, _ = zygote.run([module, *flags], *streams, cwd=cwd)
        said = [stream.read_text() for stream in streams]
    return subprocess.CompletedProcess([module, *flags], code, *said)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Nothing calls another machine at run time: Python's sockets refuse it in every test."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def refuse(host: object) -> None:
        assert host in LOCAL, f"a call to {host}; nothing here may use the network"

    def local_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            refuse(address[0])
        connect(self, address)

    def local_resolve(host: Any, *arguments: Any, **words: Any) -> Any:
        refuse(host)
        return resolve(host, *arguments, **words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_connect)
        patch.setattr(socket, "getaddrinfo", local_resolve)
        yield


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real data beside the checkout; tests that need it skip without it."""
    default = ROOT.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get(SHARED_DATA, default))
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA} {folder}; set {SHARED_DATA} to run this test")
    return folder


def skipped_golden(skipped: Sequence[Any]) -> str:
    """One line of how many tests skipped for want of real data; "" for none. skipped: reports."""
    count = sum(NO_DATA in str(report.longrepr) for report in skipped)
    if not count:
        return ""
    folder = os.environ.get(SHARED_DATA)
    reason = "is not set" if folder is None else f"names no folder ({folder})"
    tests = "golden test was" if count == 1 else "golden tests were"
    return f"{count} {tests} skipped: {SHARED_DATA} {reason}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says at the end what is easily overlooked: golden tests that did not run."""
    line = skipped_golden(terminalreporter.stats.get("skipped", []))
    if line:
        terminalreporter.write_line(line, yellow=True)


def write_uneven(path: pathlib.Path, milliseconds: list[int]) -> None:
    """A video of a variable frame rate: grey frames at these times."""
    import fractions

    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for index, time in enumerate(milliseconds):
            pixels = np.full((48, 64, 3), 40 + 2 * index, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = time, stream.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


NUM_CHANNELS = 24
TAXONOMY = Taxonomy("tiny", ("a", "b", "c"), ("A", "B", "C"), separator="+")


def tiny_videos(split: str, count: int, seed: int, *, num_crops: int = 2) -> list[Video]:
    """Bags whose anomalous stretch points in the direction of its category."""
    rng = np.random.default_rng(seed)
    directions = np.eye(NUM_CHANNELS)[:3] * 4
    videos = []
    for i in range(count):
        length = int(rng.integers(5, 40))
        features = rng.normal(size=(num_crops, length, NUM_CHANNELS))
        label, spans = "Normal", ()
        if i % 2:
            category = i // 2 % 3
            start = int(rng.integers(0, length - 3))
            features[:, start : start + 3] += directions[category]
            label, spans = "abc"[category], (Span(16 * start, 16 * (start + 3)),)
        videos.append(
            Video(
                video_id=f"{split}{i:03d}",
                split=split,
                label=label,
                load_features=lambda features=features: features,
                source=f"{split}{i:03d}.npy",
                fps=25.0,
                spans=None if split == "train" else spans,
            )
        )
    return videos


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A data folder with the data set "tiny": two modalities, two crops, three splits."""
    folder = tmp_path_factory.mktemp("data")
    info = BagsInfo(
        name="tiny",
        taxonomy=TAXONOMY,
        modalities=(Modality("visual", 16), Modality("text", 8)),
        encoder="random",
        simulated=True,
        provenance={"seed": 0},
    )
    videos = [
        *tiny_videos("train", 24, seed=1),
        *tiny_videos("val", 12, seed=2),
        *tiny_videos("test", 12, seed=3),
    ]
    write_dataset(str(folder), info, videos)
    return folder


def make_tiny_config(data_dir: pathlib.Path) -> ConfigDict:
    """A configuration that trains on "tiny" in seconds."""
    config = config_lib.default()
    config.data.update(
        data_dir=str(data_dir), dataset="tiny", selection_split="val", num_segments=16
    )
    config.model.update(width=16, num_layers=1, num_heads=2, mlp_width=32, scorer_width=8)
    config.train.update(batch_size=8, num_epochs=3)
    config.optimizer.learning_rate = 3e-3
    return config


@pytest.fixture
def tiny_config(tiny_data: pathlib.Path) -> ConfigDict:
    """A configuration of one's own, to change."""
    return make_tiny_config(tiny_data)


@pytest.fixture(scope="session")
def trained(tiny_data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The workdir of a finished run on "tiny"."""
    workdir = tmp_path_factory.mktemp("run")
    loop.train(make_tiny_config(tiny_data), workdir)
    return workdir


@pytest.fixture(scope="session")
def named(trained: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An untrained run on "tiny" whose categories are sentences, as a published one."""
    from refinevad_jax.encoders.text import WIDTH
    from refinevad_jax.model.refinevad import create
    from refinevad_jax.runs.run import WEIGHTS, read_run, write_run
    from refinevad_jax.runs.weights import write_weights

    folder = tmp_path_factory.mktemp("named")
    run = read_run(trained)
    run.config.model.category_names = "sentences"
    _, params = create(run.model_config, jax.random.key(0))
    core = params["core"] | {"names": jax.numpy.eye(3, WIDTH)}
    core["category_head"]["query"]["kernel"] = 0.1 * jax.random.normal(
        jax.random.key(1), (NUM_CHANNELS, WIDTH)
    )
    write_run(folder, run)
    write_weights(folder / WEIGHTS, params | {"core": core}, 7)
    return folder

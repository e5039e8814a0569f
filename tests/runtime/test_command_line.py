"""Every command as a user meets it: help, misuse, exit codes."""

import signal
import subprocess
import sys

import pytest

from refinevad_jax.runtime.compiler import enable_cache
from tests.conftest import ROOT, call

COMMANDS = [
    "refinevad_jax.main",
    "refinevad_jax.evaluate",
    "benchmarks.choose_events",
    "refinevad_jax.compare",
    "refinevad_jax.ladder",
    "refinevad_jax.detect",
    "refinevad_jax.export",
    "data_prep.package",
    "data_prep.extract",
    "data_prep.simulate",
]


@pytest.mark.parametrize("module", COMMANDS)
def test_help_teaches(module: str) -> None:
    result = call(module, "--help")
    assert result.returncode == 0
    assert f"python -m {module}" in result.stdout
    assert "--" in result.stdout


@pytest.mark.parametrize(
    ("module", "flags", "reason"),
    [
        ("refinevad_jax.main", [], "--config"),
        ("refinevad_jax.main", ["--config=configs/ucf.py"], "--workdir"),
        ("refinevad_jax.main", ["--config=no.py", "--workdir=x"], "no.py"),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--workdir=x", "--config.model.depth=3"],
            "depth",
        ),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--workdir=x", "--config.model.tau=0.0"],
            "config.model.tau=0.0",
        ),
        ("refinevad_jax.ladder", ["--config=no.py", "--workdir=x"], "no.py"),
        ("refinevad_jax.ladder", ["--config=configs", "--workdir=x"], "configs"),
        ("refinevad_jax.evaluate", [], "--workdir"),
        ("refinevad_jax.evaluate", ["--workdir=w", "--output=x"], "--output has no effect"),
        (
            "refinevad_jax.evaluate",
            ["--scores=s.npz", "--dataset=d", "--step=last"],
            "--step has no effect with --scores",
        ),
        (
            "refinevad_jax.detect",
            ["--workdir=w", "--input=a", "--stream", "--annotate"],
            "--annotate has no effect",
        ),
        ("refinevad_jax.evaluate", ["--workdir=nowhere"], "nowhere"),
        ("refinevad_jax.evaluate", ["--num_segments=many"], "num_segments"),
        ("refinevad_jax.evaluate", ["surplus"], "surplus"),
        ("refinevad_jax.export", ["--workdir=nowhere"], "--output"),
        ("refinevad_jax.export", ["--workdir=nowhere", "--output=x"], "nowhere"),
        ("refinevad_jax.ladder", ["--config=configs/demo.py", "--config.data.data_dir=no"], "no"),
        ("benchmarks.choose_events", [], "evaluation folders are needed"),
        ("benchmarks.choose_events", ["nowhere"], "nowhere: no metrics.json"),
        ("refinevad_jax.compare", ["nowhere"], "two runs"),
        ("refinevad_jax.compare", ["nowhere", "a=b", "--output=x"], "nowhere: no metrics.json"),
    ],
)
def test_misuse_is_one_line_and_code_two(module: str, flags: list[str], reason: str) -> None:
    result = call(module, *flags)
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert reason in lines[0]
    assert not (ROOT / "x").exists()


def test_the_compilation_cache_can_be_moved_and_turned_off() -> None:
    import jax

    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    try:
        for folder, expected in (("/elsewhere", "/elsewhere"), ("", None)):
            enable_cache(folder)
            assert jax.config.jax_compilation_cache_dir == expected
            # JAX's own second would leave out most programs of a short command.
            assert jax.config.jax_persistent_cache_min_compile_time_secs < 0.5
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def test_the_package_imports_at_once() -> None:
    program = (
        "import sys, refinevad_jax, refinevad_jax.config\n"
        "heavy = {'jax', 'flax', 'orbax', 'tensorflow_datasets', 'matplotlib', 'grain', 'av'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("with_reader", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_inside_one_long_call(
    number: signal.Signals, *, with_reader: bool
) -> None:
    """As a compiled program is: no Python instruction in which a handler could run."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as nohup and & have it")
    script = (
        "import hashlib\n"
        "from refinevad_jax.runtime import command_line\n"
        "def main():\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
        "command_line.run(main)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "ready\n"
        if not with_reader:  # who started it has ended
            process.stdout.close()
            process.stderr.close()
        process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        if with_reader:
            assert process.stderr.read().count("run the same command again") == 1

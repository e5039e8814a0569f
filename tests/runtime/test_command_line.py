"""Every command as a user meets it: help, misuse, exit codes."""

import ast
import pathlib
import re
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
    "refinevad_jax.results",
    "data_prep.own",
    "data_prep.package",
    "data_prep.extract",
    "data_prep.caption",
    "data_prep.simulate",
    "benchmarks.packaging",
]


ENTRY_POINTS = [
    path
    for folder in ("refinevad_jax", "data_prep", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]


DETECTOR_FLAGS = (
    "workdir",
    "threshold",
    "false_alarm_rate",
    "window",
    "step",
    "encoder",
    "weights",
    "num_crops",
    "batch_size",
    "allow_mismatch",
)


def defined_flags(source: str) -> dict[str, bool]:
    """Flags in the order in which a command defines them, and whether each is required."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = {}
    for node in sorted(nodes, key=lambda node: node.lineno):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name.startswith("DEFINE"):
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            found[ast.literal_eval(node.args[0])] = words.get("required") == "True"
        elif name == "mark_flag_as_required":
            found[ast.literal_eval(node.args[0])] = True
        elif name == "config_flag":
            found["config"] = True
        elif name == "detector_flags":
            found |= dict.fromkeys(DETECTOR_FLAGS, False)
        elif name == "cache_flag":
            found["compilation_cache"] = False
        elif ast.unparse(node.func) == "records.finish":
            found["save"] = False
    return found


@pytest.mark.parametrize("module", COMMANDS)
def test_help_teaches(module: str) -> None:
    """The docstring as it is written, then the command's own flags in their order."""
    result = call(module, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    path = ROOT / f"{module.replace('.', '/')}.py"
    source = path.read_text(encoding="utf-8")
    text, _, rest = result.stdout.partition("\n\nFlags:\n")
    assert text == source.removeprefix("r").split('"""')[1].strip()
    assert f"python -m {module}" in text
    rest = rest.partition("\n\nConfigurations")[0]
    shown = dict(re.findall(r"^  --(?:\[no\])?(\w+)(.*)$", rest, re.MULTILINE))
    assert {name: "(required" in line for name, line in shown.items()} == defined_flags(source)
    assert list(shown) == list(defined_flags(source))


def test_help_shows_choices_limits_and_defaults() -> None:
    text = call("data_prep.extract", "--help").stdout
    assert "--encoder=i3d|i3d_bfloat16|clip|minilm|clip_text  (required)\n" in text
    assert "--workers=N  (an integer in the range [1, 256], default: 2)\n" in text
    text = call("refinevad_jax.detect", "--help").stdout
    assert "--input=TEXT  (required, may be repeated)\n" in text
    assert "--[no]stream\n" in text
    assert (
        "--encoder=i3d|i3d_bfloat16|clip\n      Encoder of videos" in text
    )  # its choices are shown once


@pytest.mark.parametrize("path", ENTRY_POINTS, ids=lambda path: path.stem)
def test_examples_keep_their_line_continuations(path: pathlib.Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.startswith('r"""') or "\\" not in source.split('"""')[1]


def test_required_flags_that_are_missing_are_named() -> None:
    result = call("data_prep.simulate_video", "--num_clips=20")
    assert (result.returncode, result.stdout) == (2, "")
    said = "error: --output (folder of the clips, or .npz file) is needed; --help lists the flags\n"
    assert result.stderr == said


@pytest.mark.parametrize(
    ("module", "flags", "reason"),
    [
        ("refinevad_jax.main", [], "--config"),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--config.data.data_dir=no"],
            "no data set 'ucf' in no",
        ),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--workdir=README.md"],
            "--workdir=README.md: is a file; choose a folder",
        ),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--config.train.learning_rate=1"],
            "no key config.train.learning_rate; did you mean config.optimizer.learning_rate?",
        ),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--work_dir=x"],
            "no flag --work_dir; did you mean --workdir? --help lists the flags",
        ),
        (
            "refinevad_jax.main",
            ["--config=configs/ucf.py", "--num_epochs=3"],
            "no flag --num_epochs; did you mean --config.train.num_epochs?",
        ),
        ("refinevad_jax.evaluate", ["--zzz"], "no flag --zzz; --help lists the flags"),
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
        (
            "refinevad_jax.main",
            ["--config=no.py", "--workdir=x", "--config.seed=1"],
            "--config=no.py: neither a file nor a configuration that ships; there are demo,",
        ),
        ("refinevad_jax.main", ["--config=README.md", "--workdir=x"], "--config: SyntaxError"),
        ("refinevad_jax.results", [], "--row (NAME=PATTERN"),
        ("refinevad_jax.results", ["--row=x"], "--row=x: expected NAME=PATTERN"),
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
        (
            "refinevad_jax.evaluate",
            ["--workdir=w", "--stream", "--num_segments=0"],
            "--num_segments has no effect with --stream",
        ),
        (
            "refinevad_jax.evaluate",
            ["--workdir=x", "--probes", "--stream"],
            "--stream has no effect with --probes",
        ),
        ("refinevad_jax.evaluate", ["--workdir=nowhere"], "nowhere"),
        ("refinevad_jax.evaluate", ["--num_segments=many"], "num_segments"),
        ("refinevad_jax.evaluate", ["surplus"], "surplus"),
        ("refinevad_jax.export", ["--workdir=nowhere"], "--output"),
        ("refinevad_jax.export", ["--workdir=nowhere", "--output=x"], "nowhere"),
        (
            "refinevad_jax.export",
            ["--workdir=w", "--output=x", "--from_frames", "--format=onnx"],
            "--from_frames",
        ),
        ("refinevad_jax.ladder", ["--config=configs/demo.py", "--config.data.data_dir=no"], "no"),
        ("benchmarks.choose_events", [], "evaluation folders are needed"),
        ("benchmarks.choose_events", ["nowhere"], "nowhere: no metrics.json"),
        ("refinevad_jax.ladder", ["--config=demo", "--rows="], "--rows= names no row"),
        (
            "refinevad_jax.ladder",
            ["--config=demo", "--workdir=README.md"],
            "--workdir=README.md: is a file; choose a folder",
        ),
        ("refinevad_jax.compare", ["nowhere"], "two runs"),
        ("refinevad_jax.compare", ["a=", "nowhere"], "'a=' names no run; give RUN or NAME=RUN"),
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


@pytest.mark.parametrize(
    ("flags", "folder"),
    [
        ([], "runs/ucf"),
        (["--config.data.dataset=ucf"], "runs/ucf"),
        (["--config.data.dataset=small"], "runs/ucf_small"),
    ],
)
def test_a_run_has_a_folder_of_its_own_name(flags: list[str], folder: str) -> None:
    script = (
        "import sys\n"
        "from absl import flags\n"
        "from refinevad_jax import main\n"
        "from refinevad_jax.runtime import command_line\n"
        "flags.FLAGS(sys.argv)\n"
        "print(command_line.default_workdir())\n"
    )
    done = call("-c", script, "--config=configs/ucf.py", *flags)
    assert (done.returncode, done.stdout) == (0, f"{folder}\n"), done.stderr


def test_missing_data_is_one_line_that_offers_nothing_made_up() -> None:
    said = call(
        "refinevad_jax.main", "--config=configs/ucf.py", "--config.data.data_dir=my d"
    ).stderr
    command = "python -m data_prep.package --name=ucf --data_dir='my d' --list=train=LIST"
    ships = "python -m data_prep.package --builtin=survfight --data_dir='my d'"
    for words in (str(ROOT / "my d"), "docs/data.md", command, "'make demo'", ships):
        assert words in said
    assert "simulate" not in said and said.count("\n") == 1


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


def test_a_lost_source_has_a_code_of_its_own() -> None:
    """Its line shows no password, whoever wrote it."""
    program = (
        "from refinevad_jax.errors import SourceLostError\n"
        "from refinevad_jax.runtime import command_line\n"
        "def main():\n"
        "    raise SourceLostError('rtsp://u:pw@h/1: broke off')\n"
        "command_line.run(main)\n"
    )
    done = call("-c", program)
    assert (done.returncode, done.stderr) == (3, "error: rtsp://u:***@h/1: broke off\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: 9 GB')", "not enough memory (RES"),
        ("jax.errors.JaxRuntimeError('INTERNAL: Out of memory')", "not enough memory (INTERNAL"),
        ("MemoryError('Unable to allocate 9 GiB')", "not enough memory (Unable to allocate 9 GiB)"),
        ("OSError(12, 'Cannot allocate memory')", "not enough memory ([Errno 12] Cannot allocate"),
        ("jax.errors.JaxRuntimeError('INTERNAL: ptxas')", "its compiler failed (INTERNAL: ptxas);"),
        ("ImportError('no libfoo', name='matplotlib._path')", "reinstall matplotlib"),
        ("jax.errors.JaxRuntimeError('INVALID_ARGUMENT: x')", "Traceback"),
        ("OSError(22, 'Invalid argument')", "Traceback"),
    ],
)
def test_a_fault_of_the_machine_is_one_line_that_says_what_to_do(error: str, said: str) -> None:
    program = (
        "import jax\n"
        "from refinevad_jax.runtime import command_line\n"
        "command_line.config_flag()\n"
        "def main():\n"
        f"    raise {error}\n"
        "command_line.run(main)\n"
    )
    done = call("-c", program, "--config=ucf")
    if said == "Traceback":
        assert done.returncode == 1 and said in done.stderr
        return
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr
    if "not enough" in said:
        assert "--config.train.batch_size" in done.stderr and "bfloat16" in done.stderr


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

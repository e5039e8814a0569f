"""Which room may import which: the arrows of docs/architecture.md, read from the source."""

import ast
import itertools
import pathlib
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("refinevad_jax", "data_prep", "configs")
    for path in (ROOT / folder).rglob("*.py")
)


def imports(path: pathlib.Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of what a file imports: `from a.b import c` gives a.b and a.b.c."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_files(*rooms: str) -> list[pathlib.Path]:
    found = [
        path
        for path in FILES
        if any(within(".".join(path.relative_to(ROOT).with_suffix("").parts), r) for r in rooms)
    ]
    assert found, rooms
    return found


# Files of a room, and what they may not import.
FORBIDDEN = {
    "refinevad_jax": ["data_prep", "benchmarks"],
    "data_prep": [
        "refinevad_jax.model",
        "refinevad_jax.training",
        "refinevad_jax.runs",
        "refinevad_jax.evaluation",
        "refinevad_jax.config",
        "benchmarks",
        "jax",
        "flax",
    ],
    "refinevad_jax.model": [
        "refinevad_jax.training",
        "refinevad_jax.runs",
        "refinevad_jax.data",
        "refinevad_jax.metrics",
        "refinevad_jax.evaluation",
        "refinevad_jax.files",
        "refinevad_jax.config",
        "ml_collections",
        "absl",
        "pathlib",
    ],
    "refinevad_jax.training.losses": [
        *(f"refinevad_jax.{room}" for room in ("data", "evaluation", "files", "runs", "training")),
        "ml_collections",
        "absl",
        "pathlib",
    ],
    "refinevad_jax.report": [
        "refinevad_jax.model",
        "refinevad_jax.training",
        "refinevad_jax.runs",
        "refinevad_jax.evaluation",
        "refinevad_jax.data",
    ],
    "refinevad_jax.encoders": [
        "refinevad_jax.model",
        "refinevad_jax.training",
        "refinevad_jax.runs",
        "refinevad_jax.evaluation",
        "refinevad_jax.detection",
        "refinevad_jax.data",
    ],
    "refinevad_jax.runs": [
        "refinevad_jax.evaluation",
        "refinevad_jax.training",
        "refinevad_jax.report",
    ],
    "refinevad_jax.evaluation": ["refinevad_jax.detection", "refinevad_jax.experiments"],
    "refinevad_jax.training": ["refinevad_jax.detection", "refinevad_jax.experiments"],
    "refinevad_jax.data": ["refinevad_jax.model", "refinevad_jax.training"],
    "refinevad_jax.config": ["jax", "numpy", "absl"],
    "refinevad_jax.files": ["jax", "flax", "absl", "ml_collections"],
}
# Library, and the only files or folders that may import it.
OWNERS = {
    "orbax": ["refinevad_jax/runs/checkpoints.py"],
    "tensorflow_datasets": ["refinevad_jax/data/bags.py", "data_prep/"],
}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_keep_their_arrows(room: str) -> None:
    for path in room_files(room):
        for name in imports(path):
            broken = [ban for ban in FORBIDDEN[room] if within(name, ban)]
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


def room_of(name: str) -> str:
    """The room of a module: its folder or, at the root of a package, the module itself."""
    return ".".join(name.split(".")[:2])


def test_no_rooms_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    arrows: dict[str, dict[str, str]] = {}
    for module, path in modules.items():
        for name in imports(path):
            imported = next((m for m in (name, name.rpartition(".")[0]) if m in modules), "")
            if imported and room_of(imported) != room_of(module):
                arrow = f"{module} -> {imported}"
                arrows.setdefault(room_of(module), {})[room_of(imported)] = arrow
    done: set[str] = set()

    def walk(room: str, way: list[str]) -> None:
        assert room not in way, [arrows[a][b] for a, b in itertools.pairwise([*way, room])]
        if room not in done:
            for other in arrows.get(room, {}):
                walk(other, [*way, room])
            done.add(room)

    for room in arrows:
        walk(room, [])
    assert len(done) > 20


def test_metrics_import_numpy_alone() -> None:
    for path in room_files("refinevad_jax.metrics"):
        for name in imports(path):
            own = within(name, "refinevad_jax.metrics") or name == "refinevad_jax"
            root = name.split(".")[0]
            assert own or root == "numpy" or root in sys.stdlib_module_names, f"{path.name}: {name}"


@pytest.mark.parametrize("library", OWNERS)
def test_libraries_have_one_owner(library: str) -> None:
    for path in FILES:
        if any(within(name, library) for name in imports(path)):
            place = str(path.relative_to(ROOT))
            assert any(place.startswith(owner) for owner in OWNERS[library]), place


def test_nothing_imports_an_entry_point() -> None:
    """Nor do tests: two commands with a flag of one name cannot live in one process."""
    entry_points = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in FILES
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    assert len(entry_points) > 10
    for path in [*FILES, *(ROOT / "tests").rglob("*.py")]:
        for name in imports(path):
            broken = [entry for entry in entry_points if within(name, entry)]
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


def test_absl_flags_are_read_in_entry_points_only() -> None:
    for path in FILES:
        if any(within(name, "absl.flags") for name in imports(path)):
            text = path.read_text(encoding="utf-8")
            if path.name != "command_line.py":
                assert '__name__ == "__main__"' in text, path


def test_configurations_import_the_schema_only() -> None:
    for path in room_files("configs"):
        ours = [name for name in imports(path) if within(name, "refinevad_jax")]
        assert set(ours) <= {"refinevad_jax", "refinevad_jax.config"}, path


@pytest.mark.parametrize(
    "library",
    ["torch", "av", "open_clip", "transformers", "scipy", "sklearn", "tensorboardX", "apache_beam"],
)
def test_extras_are_imported_where_they_are_used(library: str) -> None:
    for path in FILES:
        assert not [n for n in imports(path, top_level_only=True) if within(n, library)], path

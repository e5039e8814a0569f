"""Which room may import which: the arrows of docs/architecture.md, read from the source."""

import ast
import functools
import itertools
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("refinevad_jax", "data_prep", "configs")
    for path in (ROOT / folder).rglob("*.py")
)


@functools.cache
def imports(path: pathlib.Path, *, top_level_only: bool = False) -> tuple[str, ...]:
    """Full names of what a file imports: `from a.b import c` gives a.b and a.b.c."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[str] = []
    for node in on_import(tree) if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)


def on_import(node: ast.AST) -> Iterator[ast.AST]:
    """What Python runs when a file is imported: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from on_import(child)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_files(*rooms: str) -> list[pathlib.Path]:
    found = [path for path in FILES if any(within(module_of(path), room) for room in rooms)]
    assert found, rooms
    return found


# A package, room or file, and what it may not import in addition to the table of the docs.
FORBIDDEN = {
    "refinevad_jax": ["data_prep", "benchmarks", "tests"],
    "data_prep": ["benchmarks", "tests", "jax", "flax"],
    "refinevad_jax.model": ["ml_collections", "absl", "pathlib"],
    "refinevad_jax.training.losses": ["ml_collections", "absl", "pathlib"],
    "refinevad_jax.config": ["jax", "numpy", "absl"],
    "refinevad_jax.files": ["jax", "flax", "absl", "ml_collections"],
    "data_prep.checks": ["data_prep.sources.package"],
}
# An entry point that scores of others take to the readers of lists and truths.
EXCEPTIONS = {"refinevad_jax.evaluate": ["data_prep.sources.listed"]}
# Library, and the only files or folders that may import it.
OWNERS = {
    "orbax": ["refinevad_jax/runs/checkpoints.py"],
    "tensorflow_datasets": ["refinevad_jax/data/bags.py", "data_prep/"],
}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_libraries_and_packages_stay_where_they_belong(room: str) -> None:
    for path in room_files(room):
        allowed = EXCEPTIONS.get(module_of(path), [])
        for name in imports(path):
            if any(within(name, module) for module in allowed):
                continue
            broken = [ban for ban in FORBIDDEN[room] if within(name, ban)]
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


def module_of(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room of a module: its folder or, at the root of a package, the module itself."""
    return ".".join(module.split(".")[:2])


def is_entry_point(path: pathlib.Path) -> bool:
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def arrows() -> Iterator[tuple[str, str]]:
    """Importing and imported module of every import between two rooms."""
    modules = {module_of(path) for path in FILES}
    for path in FILES:
        for name in imports(path):
            imported = next((m for m in (name, name.rpartition(".")[0]) if m in modules), "")
            # A package itself holds its version alone, and every import of a part names it too.
            if "." in imported and room_of(imported) != room_of(module_of(path)):
                yield module_of(path), imported


def table_of_rooms() -> dict[str, set[str]]:
    """Which room may import which, from docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split("\n## Who may import whom\n")[1].split("\n## ")[0]
    found = {}
    for left, right in re.findall(r"^\| (`.*) \| (.*) \|$", section, re.MULTILINE):
        for room in re.findall(r"`(\w+)`", left):
            assert room not in found, f"{room} appears twice"
            found[room] = set(re.findall(r"`(\w+)`", right))
    return found


def test_rooms_keep_their_arrows() -> None:
    table = table_of_rooms()
    commands = {module_of(path) for path in FILES if is_entry_point(path)}
    packages = ("refinevad_jax.", "data_prep.")
    rooms = {room_of(module_of(path)) for path in FILES} - commands
    assert {room.split(".")[1] for room in rooms if room.startswith(packages)} == set(table)
    for importing, imported in arrows():
        if importing not in commands and importing.startswith(packages):
            allowed = table[importing.split(".")[1]]
            assert imported.split(".")[1] in allowed, f"{importing} imports {imported}"


def test_data_prep_needs_no_network() -> None:
    allowed = {"data", "encoders", "errors", "files", "metrics", "runtime"}
    for importing, imported in arrows():
        if within(importing, "data_prep") and within(imported, "refinevad_jax"):
            assert imported.split(".")[1] in allowed, f"{importing} imports {imported}"


def test_losses_import_the_model_alone() -> None:
    (path,) = room_files("refinevad_jax.training.losses")
    ours = [name for name in imports(path) if within(name, "refinevad_jax")]
    assert all(within(name, "refinevad_jax.model") for name in ours), ours


def circle(edges: Iterable[tuple[str, str]]) -> list[str]:
    """A way from a node along the edges to itself; [] if there is none."""
    following: dict[str, set[str]] = {}
    for one, other in edges:
        following.setdefault(one, set()).add(other)
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        found = (walk(other, [*way, node]) for other in sorted(following.get(node, ())))
        first = next(filter(None, found), [])
        done.add(node)
        return first

    return next(filter(None, (walk(node, []) for node in sorted(following))), [])


def test_no_rooms_import_each_other_in_a_circle() -> None:
    found = {(room_of(one), room_of(other)): (one, other) for one, other in arrows()}
    assert len(found) > 50
    way = circle(found)
    assert not way, [found[arrow] for arrow in itertools.pairwise(way)]


def test_circles_are_found() -> None:
    line = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "b")]
    assert circle(line) == []
    assert circle([*line, ("c", "d")]) == ["b", "c", "d", "b"]


def test_imports_inside_functions_are_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "def f():\n    from p.q import r\ntry:\n    import s.t as u\nfinally:\n    pass\n"
    )
    assert sorted(imports(path)) == ["p.q", "p.q.r", "s.t"]
    assert list(imports(path, top_level_only=True)) == ["s.t"]


@pytest.mark.parametrize(("package", "most"), [("refinevad_jax", 14), ("data_prep", 10)])
def test_few_modules_lie_at_the_root(package: str, most: int) -> None:
    found = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    assert len(found) <= most, sorted(found)


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
    entry_points = [module_of(path) for path in FILES if is_entry_point(path)]
    assert len(entry_points) > 10
    for path in [*FILES, *(ROOT / "tests").rglob("*.py")]:
        for name in imports(path):
            broken = [entry for entry in entry_points if within(name, entry)]
            assert not broken, f"{path.relative_to(ROOT)} imports {name}"


def test_absl_flags_are_read_in_entry_points_only() -> None:
    allowed = {"command_line.py", "detector_flags.py"}
    for path in FILES:
        if any(within(name, "absl.flags") for name in imports(path)):
            assert is_entry_point(path) or path.name in allowed, path


def test_configurations_import_the_schema_only() -> None:
    for path in room_files("configs"):
        ours = [name for name in imports(path) if within(name, "refinevad_jax")]
        assert set(ours) <= {"refinevad_jax", "refinevad_jax.config"}, path


@pytest.mark.parametrize(
    "library",
    [
        "torch",
        "av",
        "open_clip",
        "openvino",
        "transformers",
        "scipy",
        "sklearn",
        "tensorboardX",
        "wandb",
        "mlflow",
        "jax2onnx",
        "onnxruntime",
        "apache_beam",
        "paho",
    ],
)
def test_extras_are_imported_where_they_are_used(library: str) -> None:
    for path in FILES:
        assert not [n for n in imports(path, top_level_only=True) if within(n, library)], path

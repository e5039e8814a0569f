"""Writes counts of the fault harness and figures of benchmarks.load into docs/reliability.md.

  make test-faults

does it at its end; by hand: python -m tests.faults.table runs/faults.json. Without a file it writes
what `python -m benchmarks.load --save` has left in docs/benchmarks/load.json.
"""

import json
import pathlib
import sys
from typing import Any

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"
LOAD = PAGE.parent / "benchmarks" / "load.json"
LOAD_START, LOAD_END = "<!-- load: written by tests.faults.table -->\n", "<!-- end of load -->\n"
START, END = "<!-- counts: written by make test-faults -->\n", "<!-- end of counts -->\n"


def table(record: dict[str, dict[str, dict[str, int]]]) -> str:
    """One table per kind of fault. Of fuzzing the sum alone: the record has a row per reader."""
    lines = []
    for group, rows in record.items():
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        if group == "Fuzzing":
            total = {key: sum(row.get(key, 0) for row in rows.values()) for key in columns}
            rows = {f"{len(rows)} readers, writers and flags": total}
        names = [column.replace("_", " ") for column in columns]
        lines += [f"| {group} | " + " | ".join(names) + " |", "|---|" + "---:|" * len(columns)]
        for name, row in rows.items():
            cells = " | ".join(str(row.get(key, "")) for key in columns)
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def load_table(found: dict[str, Any]) -> str:
    """What commands took under load."""
    lines = ["| load | clock, s | peak memory, GB | |", "|---|---:|---:|---|"]
    for row in found["rows"]:
        more = ", ".join(
            f"{key.replace('_', ' ')} {row[key]}"
            for key in row
            if key not in ("name", "seconds", "peak_gb")
        )
        lines.append(f"| {row['name']} | {row['seconds']} | {row['peak_gb']} | {more} |")
    machine = f"{found['cores']} cores ({found['machine']}); load average: how busy they were"
    return "\n".join(["", *lines, "", f"Measured on {machine}.", "", ""])


def write(start: str, end: str, text: str) -> None:
    """Replaces what stands between two marks of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(start)
    PAGE.write_text(before + start + text + end + rest.split(end)[1], encoding="utf-8")


def main(*paths: str) -> None:
    """Writes the tables."""
    for path in paths:
        write(START, END, table(json.loads(pathlib.Path(path).read_text(encoding="utf-8"))))
    if LOAD.exists():
        found = json.loads(LOAD.read_text(encoding="utf-8"))
        write(LOAD_START, LOAD_END, load_table(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

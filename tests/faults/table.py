"""Writes the counts of a run of the fault harness into docs/reliability.md.

  make test-faults

does it at its end; by hand: python -m tests.faults.table runs/faults.json
"""

import json
import pathlib
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"
START, END = "<!-- counts: written by make test-faults -->\n", "<!-- end of counts -->\n"


def table(record: dict[str, dict[str, dict[str, int]]]) -> str:
    """One table a kind of fault."""
    lines = []
    for group, rows in record.items():
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        names = [column.replace("_", " ") for column in columns]
        lines += [f"| {group} | " + " | ".join(names) + " |", "|---|" + "---:|" * len(columns)]
        for name, row in rows.items():
            cells = " | ".join(str(row.get(key, "")) for key in columns)
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def main(path: str) -> None:
    """Replaces what stands between the two marks."""
    record = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    PAGE.write_text(before + START + table(record) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

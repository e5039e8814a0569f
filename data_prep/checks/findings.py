"""What a check found: facts, tables and findings of each input, and how they are shown."""

import dataclasses
from collections.abc import Sequence
from typing import Any

SHOWN_VIDEOS = 6


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something to know about an input.

    Attributes:
        kind: a few words, the same for the same sort of finding.
        message: what is the matter and what to do, one line.
        videos: the videos or files concerned, each with what is the matter there, or just its name.
        problem: False for what is worth knowing but not a fault, such as the five UCF-Crime spans
            that end a frame or two late in the official file.
    """

    kind: str
    message: str
    videos: tuple[str, ...] = ()
    problem: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text under a heading."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass
class Section:
    """One input's part of the report.

    Attributes:
        title: what was checked.
        facts: (name, value) in order.
        tables: further numbers.
        findings: problems and remarks.
    """

    title: str
    facts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def problem(self, kind: str, message: str, videos: Sequence[str] = ()) -> None:
        """Adds a finding that makes the check fail."""
        self.findings.append(Finding(kind, message, tuple(videos)))

    def remark(self, kind: str, message: str, videos: Sequence[str] = ()) -> None:
        """Adds a finding that does not make it fail."""
        self.findings.append(Finding(kind, message, tuple(videos), problem=False))

    def problem_of(
        self, kind: str, videos: Sequence[str], message: str, noun: str = "video"
    ) -> None:
        """Adds a problem if any video has it; their number is put before the message."""
        if videos:
            self.problem(kind, f"{counted(len(videos), noun)}: {message}", videos)

    def remark_of(
        self, kind: str, videos: Sequence[str], message: str, noun: str = "video"
    ) -> None:
        """The same as a remark."""
        if videos:
            self.remark(kind, f"{counted(len(videos), noun)}: {message}", videos)


def counted(number: int, noun: str) -> str:
    """`1 video`, `1,610 videos`, `2 classes`."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else ending}"


def to_dict(sections: Sequence[Section]) -> dict[str, Any]:
    """The JSON form; every video of every finding is in it."""
    return {
        "clean": not num_problems(sections),
        "num_problems": num_problems(sections),
        "sections": [dataclasses.asdict(section) for section in sections],
    }


def num_problems(sections: Sequence[Section]) -> int:
    """How many findings are problems."""
    return sum(finding.problem for section in sections for finding in section.findings)


def render(sections: Sequence[Section]) -> str:
    """The report for people, a few videos of each finding."""
    lines: list[str] = []
    for section in sections:
        lines += ["", section.title, "-" * len(section.title)]
        width = max((len(name) for name, _ in section.facts), default=0)
        lines += [f"{name:<{width}}  {value}" for name, value in section.facts]
        for table in section.tables:
            lines += ["", *_table_lines(table)]
        for finding in section.findings:
            mark = "PROBLEM" if finding.problem else "remark "
            lines.append(f"{mark} {finding.kind}: {finding.message}")
            lines += [f"        {video}" for video in finding.videos[:SHOWN_VIDEOS]]
            hidden = len(finding.videos) - SHOWN_VIDEOS
            if hidden > 0:
                lines.append(f"        and {hidden} more (--output=report.json has them all)")
    count = num_problems(sections)
    lines += ["", counted(count, "problem") if count else "clean"]
    return "\n".join(lines[1:])


def _table_lines(table: Table) -> list[str]:
    """Columns of equal width, numbers to the right."""
    columns = []
    for heading, *cells in zip(table.columns, *table.rows, strict=True):
        width = max(map(len, (heading, *cells)))
        numeric = all(cell.replace(",", "").isdigit() for cell in cells)
        columns.append([f"{cell:{'>' if numeric else '<'}{width}}" for cell in (heading, *cells)])
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]

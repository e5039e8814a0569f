"""Which commit of this project runs, so that a result can be made again."""

import functools
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


@functools.cache
def source_commit(root: pathlib.Path = ROOT) -> str:
    """The commit that is checked out at root, with "+" if tracked files differ from it.

    Twelve digits; "" if root is not a checkout (an installed package) or git is not there.
    """
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""

    def ask(*words: str) -> str | None:
        try:
            asked = subprocess.run(
                [git, "-C", str(root), *words],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return asked.stdout.strip()

    commit = ask("rev-parse", "--short=12", "HEAD")
    if not commit:
        return ""
    changed = ask("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return commit if changed == "" else f"{commit}+"

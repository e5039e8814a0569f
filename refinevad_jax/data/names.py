"""Which names of videos, categories and data sets are taken: whatever a file name may be."""

import unicodedata

# File systems allow 255 bytes; suffixes are added.
MAX_BYTES = 240
# Control characters, halves of surrogate pairs, and what ends a line.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")


def shown(name: str) -> str:
    """A name as errors quote it, cut where it is long."""
    return repr(name if len(name) <= 60 else f"{name[:60]}...")


def fault_of_name(name: str, *, of_file: bool = False) -> str:
    """What is wrong with a name, in words; "" where nothing is.

    of_file: whether files are called by it, so that it may not lead to another folder.
    """
    if any(unicodedata.category(character) in _REFUSED for character in name):
        return "holds control characters or line ends; remove them"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes; shorten it"
    if of_file and (name in (".", "..") or "/" in name or "\\" in name):
        return "would lead to another folder; leave slashes out"
    return ""

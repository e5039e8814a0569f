"""Addresses of live sources as messages may show them: without what lets a stranger in."""

import re

_SCHEME = re.compile(r"(?P<scheme>[\w+.-]+(?::[\w+.-]+)*:/{1,2}(?=[^/]))(?P<rest>.*)", re.DOTALL)
_VALUES = re.compile(r"[/?#;&][\w.%~-]+=")  # name=value, as after the ? of an address
# `user:password@host`, which lacks its rtsp://
_BARE = re.compile(r"(?P<user>[^\s/\\:@]+):[^\s/\\]*@(?P<place>[^\s\\]+)")
_HIDDEN = "***"
# Parts of a path that are as long and have digits, or are longer yet, may be keys.
_KEY, _LONG = 12, 24
_QUOTED = re.compile(r"[^\s'\"(=]*:/{1,2}[^\s'\"]*[^\s'\"),;:.]")


def is_address(source: str) -> bool:
    """Whether a source is an address, not a file."""
    return "://" in source


def shown(source: str) -> str:
    """A path or address for messages.

    Of an address stay scheme, user name, host, port, and those parts of its path that cannot be
    keys. Hidden are the password, or all before the @ if there is no colon; everything after ?, #
    or ;, and parts of the path with = or & or that look like keys; of RTMP the last part, which is
    one. A password may hold any of these signs unescaped. Paths of files stay as they are.
    """
    found = _SCHEME.match(source)
    if not found:
        bare = _BARE.fullmatch(source)
        return f"{bare['user']}:{_HIDDEN}@{_place(bare['place'], '')}" if bare else source
    scheme, rest = found["scheme"], found["rest"]
    if not scheme.endswith("//") and "@" not in rest:
        return source
    values = _VALUES.search(rest)
    head, tail = (rest[: values.start()], rest[values.start() :]) if values else (rest, "")
    user, at, place = head.rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        named = colon and not re.search(r"[^\w.%-]", name)
        scheme += f"{name}:{_HIDDEN}@" if named else f"{_HIDDEN}@"
    elif "@" in tail and ":" in head:  # a password that looks like the end of an address
        return f"{scheme}{_HIDDEN}"
    mark = re.search(r"[?#;]", place)
    if mark:
        place, tail = place[: mark.start()], place[mark.start() :]
    return scheme + _place(place, scheme) + (f"{tail[0]}{_HIDDEN}" if tail else "")


def without_secrets(text: str) -> str:
    """A message, in which words that are addresses with secrets are as `shown` shows them."""

    def hide(match: re.Match[str]) -> str:
        word = match[0]
        return shown(word) if re.search(r"[@?#;]", word) else word

    return _QUOTED.sub(hide, text)


def _place(place: str, scheme: str) -> str:
    """Host, port and path."""
    host, *parts = place.split("/")
    if not re.fullmatch(r"(\[[\w:.%]+\]|[\w.*-]*)(:\d*)?", host):
        host = _HIDDEN
    kept = [_HIDDEN if _may_be_key(part) else part for part in parts]
    if re.match("rtmp", scheme, re.IGNORECASE) and len(kept) > 1 and kept[-1]:
        kept[-1] = _HIDDEN
    return "/".join([host, *kept])


def _may_be_key(part: str) -> bool:
    if re.search(r"[=&]", part):
        return True
    words = re.split(r"[\W_]", part)
    return any(
        len(word) > _LONG or (len(word) >= _KEY and re.search(r"\d", word)) for word in words
    )

"""Addresses that events are sent to: encrypted, unless they are on this computer."""

import ipaddress
import urllib.parse

from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import shown


def read_endpoint(
    flag: str, address: str, safe: str, plain_scheme: str, *, plain: bool
) -> urllib.parse.SplitResult:
    """The parts of an address.

    safe, plain_scheme: the scheme that encrypts and the one that does not; plain: whether the
    latter may lead to another computer. Raises UserError if it is another address, or holds a
    password, which everybody would see in the list of processes.
    """
    name = f"--{flag}={shown(address)}"
    try:
        parts = urllib.parse.urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"{name}: {error}; give {safe}://HOST/PATH") from error
    if parts.scheme not in (safe, plain_scheme) or not host or not address.isprintable():
        raise UserError(f"{name}: is not an address; give {safe}://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise UserError(f"{name}: holds a user name; give secrets by the environment, see --help")
    if parts.scheme == plain_scheme and not (plain or is_loopback(host)):
        raise UserError(
            f"{name}: is not encrypted, and leads to another computer; give {safe}://, or "
            "--allow_plain if the network is safe"
        )
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host is this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

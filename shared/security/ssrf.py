"""Where a URL that somebody gave us may lead: public addresses, and networks that an operator has allowed by name."""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from shared.errors import Invalid
from shared.settings import get_settings

IPAddress = IPv4Address | IPv6Address
INSIDE = (".localhost", ".local", ".internal", ".home.arpa")

# `is_global` lets multicast, NAT64, 6to4, Teredo and more through, so the list is written out (IANA's registries).
# Of IPv6 only 2000::/3 is given out to anybody: the first line of it is everything else.
_RESERVED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    ::/3 4000::/2 8000::/1
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
_REFUSED = tuple(ip_network(network) for network in _RESERVED.split())
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True)
class Target:
    """Where a URL leads: what is resolved, dialled and asked for, all from one reading of it.

    `host` is in lower case, without brackets and without a final dot; `address` is set when it is no name.
    """

    scheme: str
    host: str
    address: IPAddress | None
    port: int
    path: str


def check_url(url: str) -> None:
    """Refuse what no attempt could deliver to. Names are judged when they are resolved, at each attempt."""
    target(url)


def target(url: str) -> Target:
    """Read a URL. Raises `Invalid` for what is refused before anything is resolved."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _refuse("The address must be plain ASCII, percent-encoded and punycoded where needed")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        _refuse(f"The address cannot be read: {error}")
    if parts.scheme not in ("https", "http") or not parts.netloc:
        _refuse("The address must be a full https:// URL")
    if "@" in parts.netloc:
        _refuse("The address must not contain a user name or a password")
    found = _where(parts)
    _judge(found)
    return found


def _where(parts: SplitResult) -> Target:
    read = _AUTHORITY.fullmatch(parts.netloc)
    if read is None:
        _refuse("The address must name a host, and after it nothing but a port")
    port = int(read["port"] or (443 if parts.scheme == "https" else 80))
    if not 0 < port < 65536:
        _refuse("The port must be a number from 1 to 65535")
    address = _literal(read["six"], read["name"])
    host = str(address) if address else _name(read["name"])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, address, port, path)


def _literal(six: str | None, name: str) -> IPAddress | None:
    try:
        return unmapped(IPv6Address(six)) if six is not None else ip_address(_without_final_dot(name))
    except ValueError:
        if six is not None:
            _refuse("What stands in brackets must be an IPv6 address")
        return None


def _name(written: str) -> str:
    host = _without_final_dot(written)
    if _ENDS_IN_A_NUMBER.fullmatch(host):  # resolvers read 0x7f.1, 0177.1 and 2130706433 as addresses too
        _refuse("An IPv4 address must be written as four decimal numbers without leading zeros")
    if not _NAME.fullmatch(host):
        _refuse("The host's name must consist of labels of 1 to 63 letters, digits and hyphens")
    return host


def _without_final_dot(name: str) -> str:
    return name.lower().removesuffix(".")


def _judge(found: Target) -> None:
    settings = get_settings()
    if found.address:
        if why := refusal(found.address, found.scheme, found.port):
            _refuse(f"The address must not lead to {why}")
        return
    if found.host in settings.own_hosts:
        _refuse("The address must not be one of this installation's own")
    if settings.dangerous_allow_private_urls:
        return  # plain http and other ports may be right: that is known when the name is resolved
    if "." not in found.host or found.host.endswith(INSIDE):
        _refuse("The address must be a public name: this one is only known inside of a network")
    if found.scheme != "https":
        _refuse("The address must be a full https:// URL")
    if found.port not in settings.webhook_ports:
        _refuse(f"The port must be {_ports()}, not {found.port}")


def judged(asked: Target, resolved: Iterable[str]) -> list[IPAddress]:
    """What a name was resolved to, as addresses. Raises `Invalid` if a single one may not be dialled."""
    addresses = list(dict.fromkeys(unmapped(ip_address(each.split("%")[0])) for each in resolved))
    for address in addresses:
        if why := refusal(address, asked.scheme, asked.port):
            _refuse(f"The address must not lead to {why}")
    return addresses


def is_allowed(address: IPAddress, scheme: str, port: int = 443) -> bool:
    """Whether this resolved address may be dialled. Plain http is for the networks that the operator allowed."""
    return refusal(address, scheme, port) is None


def refusal(address: IPAddress, scheme: str, port: int) -> str | None:
    """What this resolved address is, that it may not be dialled: ends a sentence. None when it may be."""
    address, settings = unmapped(address), get_settings()
    if str(address) in settings.own_hosts:
        return "this installation itself"
    if _within(address, settings.dangerous_allow_private_urls):
        return None
    if _within(address, _REFUSED):
        return "a private or reserved network"
    if is_ours(address):
        return "this installation itself"
    if scheme != "https":
        return "a public address without TLS"
    if port not in settings.webhook_ports:
        return f"port {port} of a public address, where only {_ports()} may be dialled"
    return None


def is_ours(address: IPAddress) -> bool:
    """Whether the address is one of this machine's: who speaks to himself does so from the same address.

    Nothing is sent. Binding to it would not tell: some machines let processes bind to addresses of others.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as speaker:
            speaker.connect((str(address), 9))
            return ip_address(speaker.getsockname()[0]) == address
    except OSError:  # no way leads there, not even to ourselves
        return False


def unmapped(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one spells, if it does."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _within(address: IPAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _ports() -> str:
    return " or ".join(str(port) for port in get_settings().webhook_ports) or "none"


def _refuse(why: str) -> NoReturn:
    raise Invalid(why, param="url")

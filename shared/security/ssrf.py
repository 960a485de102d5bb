"""Decides which addresses a URL from outside may lead to: public ones, and networks that the operator allows by name.

Nothing here resolves a name or connects; `guarded_network` does, and asks this module about every address it resolves.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from shared.errors import Invalid
from shared.settings import get_settings

IPAddress = IPv4Address | IPv6Address
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")
DEFAULT_PORTS = {"https": 443, "http": 80}

# The list is written out because `ip_address.is_global` lets multicast, NAT64, 6to4, Teredo and others through.
# IANA hands out IPv6 addresses from 2000::/3 only: the line before the last refuses everything outside of it.
_FORBIDDEN = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    ::/3 4000::/2 8000::/1
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
_FORBIDDEN_NETWORKS = tuple(ip_network(network) for network in _FORBIDDEN.split())
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True)
class Target:
    """The parts of a checked URL. Resolving, connecting and the Host header all use these, never the URL again.

    `host` is in lower case, without brackets and without a final dot. `address` is None when the host is a name.
    """

    scheme: str
    host: str
    address: IPAddress | None
    port: int
    path: str


def check_url(url: str) -> None:
    """Raises `Invalid` for a URL that no request could be sent to. Names are checked again when they are resolved."""
    parse_url(url)


def parse_url(url: str) -> Target:
    """Reads a URL more strictly than browsers and resolvers do, so that two readers cannot disagree about its host.

    Raises `Invalid` for everything that can be refused without resolving the name.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _refuse("The address must be plain ASCII: percent-encode its path and write an international name in punycode")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        _refuse(f"The address cannot be read: {error}")
    if parts.scheme not in DEFAULT_PORTS or not parts.netloc:
        _refuse("The address must be a full https:// URL")
    if "@" in parts.netloc:
        _refuse("The address must not contain a user name or a password")
    target = _target(parts)
    _check(target)
    return target


def _target(parts: SplitResult) -> Target:
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        _refuse("The address must name a host, and after it nothing but a port")
    port = int(authority["port"] or DEFAULT_PORTS[parts.scheme])
    if not 0 < port < 65536:
        _refuse("The port must be a number from 1 to 65535")
    address = _literal_address(authority["ipv6"], authority["name"])
    host = str(address) if address else _host_name(authority["name"])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, address, port, path)


def _literal_address(ipv6: str | None, name: str) -> IPAddress | None:
    try:
        return unmapped(IPv6Address(ipv6)) if ipv6 is not None else ip_address(_without_final_dot(name))
    except ValueError:
        if ipv6 is not None:
            _refuse("The host in brackets must be an IPv6 address")
        return None


def _host_name(written: str) -> str:
    host = _without_final_dot(written)
    if _ENDS_IN_A_NUMBER.fullmatch(host):  # resolvers read 0x7f.1, 0177.1 and 2130706433 as 127.0.0.1
        _refuse("An IPv4 address must be written as four decimal numbers without leading zeros")
    if not _HOST_NAME.fullmatch(host):
        _refuse("The host name must consist of labels of 1 to 63 letters, digits and hyphens")
    return host


def _without_final_dot(name: str) -> str:
    return name.lower().removesuffix(".")


_PRIVATE = "a private or reserved network"
_OPERATORS_CHOICE = ". An operator can permit networks of their own with TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS"


def _check(target: Target) -> None:
    settings = get_settings()
    if target.address:
        if reason := forbidden_reason(target.address, target.scheme, target.port):
            _refuse(f"The address must not lead to {reason}{_OPERATORS_CHOICE if reason == _PRIVATE else ''}")
        return
    if target.host in settings.own_hosts:
        _refuse("The address must not be one of this installation's own")
    if settings.dangerous_allow_private_urls:
        return  # the name may lead to an allowed network, where plain http and any port are permitted
    if "." not in target.host or target.host.endswith(PRIVATE_SUFFIXES):
        _refuse(f"The address must be a public name: this one is only known inside of a network{_OPERATORS_CHOICE}")
    if target.scheme != "https":
        _refuse("The address must be a full https:// URL")
    if target.port not in settings.webhook_ports:
        _refuse(f"The port must be {_ports()}, not {target.port}")


def forbidden_reason(address: IPAddress, scheme: str, port: int) -> str | None:
    """Why this address must not be connected to, as the end of a sentence; None when it may be.

    Plain http and other ports than those of the settings are only permitted in networks that the operator allows.
    """
    address, settings = unmapped(address), get_settings()
    if str(address) in settings.own_hosts:
        return "this installation itself"
    if _is_within(address, settings.dangerous_allow_private_urls):
        return None
    if _is_within(address, _FORBIDDEN_NETWORKS):
        return _PRIVATE
    if is_own_address(address):
        return "this installation itself"
    if scheme != "https":
        return "a public address without TLS"
    if port not in settings.webhook_ports:
        return f"port {port} of a public address, where only {_ports()} may be connected to"
    return None


def is_own_address(address: IPAddress) -> bool:
    """Whether the address belongs to this machine: the kernel then chooses it as the source address as well.

    Connecting a UDP socket sends nothing. `bind` would not do: some machines let a process bind foreign addresses.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:  # no route to it, so it is not ours
        return False


def unmapped(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv4-mapped IPv6 address (`::ffff:10.0.0.1`); any other address as it is."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_within(address: IPAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _ports() -> str:
    return " or ".join(str(port) for port in get_settings().webhook_ports) or "none"


def _refuse(sentence: str) -> NoReturn:
    raise Invalid(sentence, param="url")

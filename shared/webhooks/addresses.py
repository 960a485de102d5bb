"""Which addresses a webhook may be sent to: public ones, and those an operator has allowed by name."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from shared.errors import Invalid
from shared.settings import get_settings

# `is_global` lets multicast, NAT64, 6to4, Teredo and more through, so the list is written out (IANA's registries).
_RESERVED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16
    3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
_REFUSED = tuple(ip_network(network) for network in _RESERVED.split())


def _within(address: IPv4Address | IPv6Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def is_allowed(address: IPv4Address | IPv6Address, scheme: str) -> bool:
    """Whether this resolved address may be dialled. Plain http is for the networks that the operator allowed."""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if _within(address, get_settings().dangerous_allow_private_urls):
        return True
    return scheme == "https" and not _within(address, _REFUSED)


def check_url(url: str) -> None:
    """Refuse what no attempt could deliver to. Names are judged when they are resolved, at each attempt."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(f"The address cannot be read: {error}", param="url") from None
    allowed = ("https", "http") if get_settings().dangerous_allow_private_urls else ("https",)
    if parts.scheme not in allowed or not host:
        raise Invalid("The address must be a full https:// URL", param="url")
    if parts.username is not None or parts.password is not None:
        raise Invalid("The address must not contain a user name or a password", param="url")
    if not url.isprintable() or " " in url or not url.isascii():
        raise Invalid("The address must be plain ASCII, percent-encoded and punycoded where needed", param="url")
    try:
        address = ip_address(host)
    except ValueError:
        return
    if not is_allowed(address, parts.scheme):
        raise Invalid("The address must be a public one: this is a private or reserved network", param="url")

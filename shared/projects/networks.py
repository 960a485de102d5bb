"""The networks from which an API key may be used, and whether an address is in one of them."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NETWORKS = 100
MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 addresses as a socket for both kinds shows them
_TEXT_CHARACTERS = 49  # of the longest network


def normal_network(text: str) -> str:
    """Return a network or an address in its shortest form, an IPv4 one that is mapped to IPv6 as IPv4.

    Raises `ValueError` for anything else, also for a network whose address has bits set behind its prefix.
    """
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(
            "must be one address, or a network such as 203.0.113.0/24 or 2001:db8::/32 without bits behind its prefix"
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        inner = int(network.network_address) & 0xFFFF_FFFF
        return str(IPv4Network((inner, network.prefixlen - 96)))
    return str(network)


def may_come_from(networks: Collection[IPv4Network | IPv6Network], address: str) -> bool:
    """Whether a key with these networks may be used from the address; without networks from everywhere.

    False for what is no IP address, such as a client at a socket of files.
    """
    if not networks:
        return True
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


Network = Annotated[str, Field(max_length=_TEXT_CHARACTERS), AfterValidator(normal_network)]
Networks = Annotated[list[Network], Field(max_length=MAX_NETWORKS)]

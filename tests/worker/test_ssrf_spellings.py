"""Forbidden addresses are refused and never connected to, however they are spelled."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import pytest

from shared.errors import Invalid
from shared.security.guarded_network import Resolver
from shared.security.ssrf import check_url
from tests.network import RecordingBackend, numbers_only
from tests.worker.support import settings
from worker.net import http_client

FOURS = str.split("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.254 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.254 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.0.1 192.168.255.254 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
""")
SIXES = str.split("""
    :: ::1 ::7f00:1 ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 100::1 2001::1 2001:10::1
    2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1
""")
PUBLIC = str.split("""
    1.1.1.1 8.8.8.8 9.9.9.9 11.0.0.1 93.184.216.34 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.1.1
    169.255.1.1 172.15.0.1 172.32.0.1 192.0.3.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255
    2606:4700::1111 2a00:1450:4001::1 2400:cb00::1 2620:fe::fe 2001:4860:4860::8888
""")
FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in "0123456789abcdef.:"}
CIRCLED = {ord("0"): "⓪"} | {ord("1") + number: chr(0x2460 + number) for number in range(9)}


def hosts_of_four(address: IPv4Address) -> Iterator[str]:
    """What some resolver, browser or gateway reads as this address."""
    number, (a, b, c, d) = int(address), address.packed
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    yield from (f"{number}", f"{number:#x}", f"0X{number:X}", f"0{number:o}", f"{number + 2**32}")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"{a:#x}.{number & 0xFFFFFF:#x}")
    yield from (f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"{a:#x}.0{b:o}.{c}.{d}")
    yield from (f"{a:03}.{b:03}.{c:03}.{d:03}", f"{a + 256}.{b}.{c}.{d}", f"{address}.", f"{address}..")
    yield from (quote(f"{address}").replace(".", "%2e"), "".join(f"%{ord(char):x}" for char in str(address)))
    yield from (str(address).translate(FULL_WIDTH), str(address).translate(CIRCLED), str(address).replace(".", "。"))
    yield from (f"[::ffff:{address}]", f"[::FFFF:{high}:{low}]", f"[0:0:0:0:0:ffff:{address}]", f"[::{address}]")
    yield from (
        f"[64:ff9b::{address}]",
        f"[64:ff9b:1::{high}:{low}]",
        f"[2002:{high}:{low}::]",
        f"[::ffff:0:{address}]",
    )


def hosts_of_six(address: IPv6Address) -> Iterator[str]:
    groups = address.exploded.split(":")
    tail = IPv4Address(int(address) & 0xFFFFFFFF)
    yield from (f"[{address.exploded}]", f"[{address.exploded.upper()}]", f"[{str(address).upper()}]")
    yield from (f"[{':'.join(f'{int(group, 16):x}' for group in groups)}]", f"[{':'.join(groups[:6])}:{tail}]")
    yield from (f"[{address}%eth0]", f"[{address}%25eth0]", f"[{address}].", f"[{address}]example.com", str(address))
    yield from (f"%5B{address}%5D", f"[{str(address).translate(FULL_WIDTH)}]", f"[{quote(str(address), safe='')}]")


def spellings(address: IPv4Address | IPv6Address) -> list[str]:
    """URLs that lead to the address, or would if they were read less strictly."""
    plain = f"[{address}]" if address.version == 6 else f"{address}"
    odd = hosts_of_four(address) if isinstance(address, IPv4Address) else hosts_of_six(address)
    urls = [f"https://{host}/" for host in (plain, *odd)]
    urls += [f"https://{plain}:{port}/" for port in (443, 8443, 80, 0)]
    urls += [f"https://{who}@{plain}/" for who in ("1.1.1.1", "user:word", "1.1.1.1:443", "1.1.1.1%20", "1.1.1.1\\")]
    urls += [f"https://{plain}{rest}" for rest in ("#@1.1.1.1/", "?@1.1.1.1/", "\\@1.1.1.1/", ";@1.1.1.1/")]
    urls += [f"{start}{plain}/" for start in ("http://", "HTTPS://", "https:", "https:/", "https:///", "//", "ftp://")]
    return [*urls, f"https://\t{plain}/", f" https://{plain}/", f"https://{plain} /", f"https://{plain}\n.example/"]


@pytest.fixture(autouse=True)
def strict(server: str) -> Iterator[None]:
    """Settings that allow no private network, as they come."""
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]"):
        yield


def recording(*answers: str) -> tuple[http_client.Network, list[tuple[str, int]]]:
    """A network that connects to nothing, and what it would connect to. Names resolve to `answers`, or as numbers."""
    backend = RecordingBackend()
    lookup = (lambda name: [*answers]) if answers else numbers_only
    return http_client.Network(Resolver(lookup), backend), backend.connected


def failure(url: str, network: http_client.Network) -> str:
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        http_client.post(url, b"{}", {}, timedelta(seconds=5), network)
    return str(undeliverable.value)


def test_the_table_is_large_enough() -> None:
    assert len({*FOURS, *SIXES}) >= 36
    assert min(len(set(spellings(ip_address(address)))) for address in FOURS + SIXES) >= 30
    assert len(set(PUBLIC)) >= 20


@pytest.mark.parametrize("address", FOURS + SIXES)
def test_a_forbidden_address_is_refused_when_stored_and_when_used_in_every_spelling(address: str) -> None:
    network, connected = recording()
    for url in spellings(ip_address(address)):
        with pytest.raises(Invalid):
            check_url(url)
        failure(url, network)
    assert connected == []


def test_an_allowed_network_does_not_permit_any_other() -> None:
    network, connected = recording()
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["192.168.77.0/24"]'):
        for url in (url for address in FOURS + SIXES for url in spellings(ip_address(address))):
            failure(url, network)
    assert connected == []


@pytest.mark.parametrize("address", FOURS + SIXES)
def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to_alone_or_among_public_ones(address: str) -> None:
    for answers in ([address], ["1.1.1.1", address], [address, "2606:4700::1111"]):
        network, connected = recording(*answers)
        assert "a private or reserved network" in failure("https://receiver.example/", network)
        assert connected == []


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to_by_number_and_by_name(address: str) -> None:
    network, connected = recording(address)
    for url in (f"https://[{address}]/" if ":" in address else f"https://{address}/", "https://receiver.example:8443/"):
        check_url(url)
        assert failure(url, network) == "no connection: Connection refused"
    assert connected == [(address, 443), (address, 8443)]

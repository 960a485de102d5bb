"""Which URLs and addresses are permitted. Odd spellings of forbidden ones are in the worker's test_ssrf_spellings."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from shared.errors import Invalid
from shared.security.ssrf import check_url, forbidden_reason, is_own_address, parse_url
from tests.worker.support import settings

DANGEROUS = str.split("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.1.2.3 127.255.255.255
    168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170
    192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
    ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 100:0:0:1::1
    2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe:: 3fff::1 4000::1 5f00::1
    fc00::1 fd00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
""")
PUBLIC = str.split("""
    1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 128.0.0.1 126.255.255.255 169.253.1.1 169.255.1.1
    172.15.0.1 172.32.0.1 192.0.3.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255 11.0.0.1
    168.63.129.17 ::ffff:8.8.8.8 2606:4700::1111 2a00:1450:4001::1 2400:cb00::1 2620:fe::fe
""")


@pytest.fixture(autouse=True)
def strict(server: str) -> Iterator[None]:
    """Settings that allow no private network, as they come."""
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]"):
        yield


def is_allowed(address: str, scheme: str, port: int = 443) -> bool:
    return forbidden_reason(ip_address(address), scheme, port) is None


def verdicts(address: str) -> list[bool]:
    """Whether the address may be connected to with TLS, without TLS, and whether a URL may name it."""
    try:
        check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")
    except Invalid:
        return [is_allowed(address, "https"), is_allowed(address, "http"), False]
    return [is_allowed(address, "https"), is_allowed(address, "http"), True]


@pytest.mark.parametrize("address", DANGEROUS)
def test_a_dangerous_address_is_refused(address: str) -> None:
    assert verdicts(address) == [False, False, False]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken_with_tls_only(address: str) -> None:
    assert verdicts(address) == [True, False, True]


def test_networks_that_the_operator_allows_are_permitted_and_no_others() -> None:
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8", "fd00::/16"]'):
        allowed = {address for address in DANGEROUS + PUBLIC if verdicts(address)[1]}
        assert all(verdicts(address)[0] for address in allowed)
    inside = {"127.0.0.1", "127.1.2.3", "127.255.255.255", "::ffff:127.0.0.1", "fd00::1", "fd00:ec2::254"}
    assert allowed == inside


def test_a_url_is_read_into_the_parts_that_every_later_step_uses() -> None:
    read = parse_url("HTTPS://Receiver.Example.:8443?a=b#c")
    assert (read.scheme, read.host, read.address, read.port) == ("https", "receiver.example", None, 8443)
    assert read.path == "/?a=b"
    assert parse_url("https://[2606:4700:0::1111]/a;b").host == "2606:4700::1111"
    assert parse_url("https://[::ffff:8.8.8.8]:/").host == "8.8.8.8"


REFUSED = {
    "https://a.example:22/": "The port must be 443 or 8443, not 22",
    "https://8.8.8.8:22/": "port 22 of a public address, where only 443 or 8443 may be connected to",
    "https://a.example:0/": "from 1 to 65535",
    "https://a.example:65536/": "from 1 to 65535",
    "https://a.example:8x/": "nothing but a port",
    "https://[::1/": "cannot be read",
    "https://[1.2.3.4]/": "cannot be read|IPv6 address",
    "https://[2606:4700::1111].example/": "nothing but a port|Invalid IPv6 URL",  # as releases of Python say it
    "https://a..example/": "labels",
    f"https://{'a' * 64}.example/": "labels",
    f"https://{'a.' * 127}example/": "labels",
    "https://%61.example/": "nothing but a port",
    "https://8.8.2056/": "four decimal numbers",
    "https://a.example.0x1/": "four decimal numbers",
    "https://user@a.example/": "user name",
    "https://user:secret@a.example/": "user name",
    "https://ä.example/": "ASCII",
    "https://a.example/ b": "ASCII",
    "https://a.example\\@b.example/": "ASCII",
    "https:a.example": "full https",
    "http://a.example/": "full https",
    "ftp://a.example/": "full https",
    "//a.example/": "full https",
    **dict.fromkeys(
        (
            "https://10.0.0.1/",
            "http://127.0.0.1:8080/",
            "https://[fd00::1]/",
            "http://localhost:3000/",
            "https://a.internal/",
        ),
        r"An operator can permit networks of their own with TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS$",
    ),
}


@pytest.mark.parametrize(("url", "why"), REFUSED.items())
def test_a_url_that_no_request_could_use_is_refused_in_a_clear_sentence(url: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        check_url(url)
    assert refused.value.param == "url"
    assert "secret" not in str(refused.value)


def test_public_addresses_have_the_ports_of_the_settings_and_allowed_networks_any() -> None:
    with settings(TUNERY_WEBHOOK_PORTS="[9443]", TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["10.0.0.0/8"]'):
        allowed = [(a, p) for a in ("8.8.8.8", "10.1.1.1") for p in (443, 9443) if is_allowed(a, "https", p)]
        check_url("http://may-be-inside.example:81/")
    assert allowed == [("8.8.8.8", 9443), ("10.1.1.1", 443), ("10.1.1.1", 9443)]


@pytest.mark.parametrize(
    "host", ["tunery.example", "TUNERY.example.", "8.8.8.8", "[::ffff:8.8.8.8]", "[2620:fe:0::fe]"]
)
def test_the_installations_own_hosts_are_refused(host: str) -> None:
    check_url(f"https://{host}/")
    with settings(TUNERY_OWN_HOSTS='["Tunery.Example.", "8.8.8.8", "[2620:fe::0:fe]"]'):
        check_url("https://www.tunery.example/")
        with pytest.raises(Invalid, match="this installation"):
            check_url(f"https://{host}/")


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_own_address(ip_address("127.0.0.1"))
    assert not any(is_own_address(ip_address(address)) for address in ("8.8.8.8", "2606:4700::1111", "224.0.0.1"))

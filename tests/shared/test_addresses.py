"""Which addresses a webhook may be sent to. Odd spellings are the sender's matter: it judges what they resolve to."""

import json

import pytest

from tests.shared.process import python


def words(text: str) -> list[str]:
    return text.split()


DANGEROUS = words(
    """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.1.2.3 127.255.255.255
    168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170
    192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
    ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1
    2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe:: 3fff::1 5f00::1 fc00::1
    fd00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
    """
)
PUBLIC = words(
    """
    1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 128.0.0.1 126.255.255.255 169.253.1.1 169.255.1.1
    172.15.0.1 172.32.0.1 192.0.3.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255 11.0.0.1
    168.63.129.17 ::ffff:8.8.8.8 2606:4700::1111 2a00:1450:4001::1 2400:cb00::1 2620:fe::fe
    """
)
JUDGE = """
import json, sys
from ipaddress import ip_address
from shared.errors import Invalid
from shared.webhooks.addresses import check_url, is_allowed
def url(address):
    try: check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")
    except Invalid: return False
    return True
print(json.dumps({a: [is_allowed(ip_address(a), "https"), is_allowed(ip_address(a), "http"), url(a)]
                  for a in %r}))
"""
Verdicts = dict[str, list[bool]]


def judged(**environment: str) -> Verdicts:
    """Of each address: whether it may be dialled with TLS, without, and whether a URL may name it."""
    process = python(JUDGE % (DANGEROUS + PUBLIC), **environment)
    assert process.returncode == 0, process.stderr
    verdicts: Verdicts = json.loads(process.stdout)
    return verdicts


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return judged()


@pytest.mark.parametrize("address", DANGEROUS)
def test_a_dangerous_address_is_refused(verdicts: Verdicts, address: str) -> None:
    assert verdicts[address] == [False, False, False]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken_with_tls_only(verdicts: Verdicts, address: str) -> None:
    assert verdicts[address] == [True, False, True]


def test_what_the_operator_allows_is_allowed_and_nothing_else() -> None:
    verdicts = judged(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8", "fd00::/16"]')
    allowed = {address for address, verdict in verdicts.items() if verdict[1]}
    assert allowed == {
        "127.0.0.1",
        "127.1.2.3",
        "127.255.255.255",
        "::ffff:127.0.0.1",
        "fd00::1",
        "fd00:ec2::254",
    }
    assert all(verdicts[address][0] for address in allowed)

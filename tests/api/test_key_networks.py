"""Keys that may be used only from certain networks, by the address that the rate limiter knows."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from openai import OpenAI

from shared.projects.networks import may_come_from, normal_network
from tests.api.administration import Operator, operating
from tests.api.conftest import serving_under
from tests.api.test_create_file import eventually
from tests.api.test_webhook_events import following
from tests.api.wire import send
from tests.world import Person

HOME, ELSEWHERE = "203.0.113.9", "198.51.100.7"


@pytest.fixture
def operator(clean: str) -> Iterator[Operator]:
    with operating(clean) as operator:
        yield operator


def bound(operator: Operator, person: Person, *networks: str) -> Any:
    return operator.post(person, "api_keys", name="bound", allowed_networks=list(networks))


def asked_from(person: Person, secret: str, address: str) -> Any:
    headers = {"authorization": f"Bearer {secret}", "x-forwarded-for": address}
    return send(person, "GET", "/files", headers=headers)


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["203.0.113.0/24"], HOME, ELSEWHERE),
        ([HOME], HOME, "203.0.113.10"),
        (["2001:db8::/32"], "2001:db8::1", "2001:db9::1"),
        (["203.0.113.0/24"], f"::ffff:{HOME}", f"::ffff:{ELSEWHERE}"),
        (["::ffff:203.0.113.0/120", "2001:db8::/32"], HOME, "::1"),
    ],
)
def test_a_bound_key_is_refused_from_elsewhere(
    operator: Operator, alice: Person, networks: list[str], inside: str, outside: str
) -> None:
    key = bound(operator, alice, *networks)
    assert asked_from(alice, key["value"], inside).status == 200
    refused = asked_from(alice, key["value"], outside)
    assert (refused.status, refused.error["code"]) == (401, "ip_not_authorized")
    assert outside in refused.error["message"]
    assert not any(each in refused.text for each in key["allowed_networks"] if each != outside)
    assert asked_from(alice, key["value"], inside).status == 200


def test_a_change_counts_at_once_also_for_streams(operator: Operator, alice: Person) -> None:
    key = bound(operator, alice)
    assert key["allowed_networks"] == []
    her_other = Person(alice.base_url, key["value"], alice.project_id)
    with following(her_other) as stream:
        path = f"/projects/{alice.project_id}/api_keys/{key['id']}"
        changed = operator.http.post(path, json={"allowed_networks": ["203.0.113.0/24"]}).raise_for_status().json()
        assert changed["allowed_networks"] == ["203.0.113.0/24"]
        assert stream.block() == []
    assert eventually(lambda: her_other.http.get("/files").status_code == 401)
    kept = operator.http.post(path, json={"scopes": ["files:read"]}).raise_for_status().json()
    assert (kept["scopes"], kept["allowed_networks"]) == (["files:read"], ["203.0.113.0/24"])
    her_other.close()


def test_an_admin_key_is_bound_and_set_free(operator: Operator, admin: OpenAI) -> None:
    made = operator.http.post("/admin_api_keys", json={"name": "bound", "allowed_networks": [HOME]}).json()
    assert made["allowed_networks"] == [f"{HOME}/32"]
    bound_admin = {"authorization": f"Bearer {made['value']}"}
    assert eventually(lambda: operator.http.get("/projects", headers=bound_admin).status_code == 401)
    assert operator.http.get("/projects", headers={**bound_admin, "x-forwarded-for": HOME}).status_code == 200
    freed = operator.http.post(f"/admin_api_keys/{made['id']}", json={"allowed_networks": []}).raise_for_status()
    assert freed.json()["allowed_networks"] == []
    rotated = operator.http.post(f"/admin_api_keys/{made['id']}/rotate_secret", json={}).raise_for_status()
    assert operator.http.get("/projects", headers={"authorization": f"Bearer {rotated.json()['value']}"}).is_success


def test_an_address_that_an_untrusted_proxy_claims_does_not_count(operator: Operator, alice: Person) -> None:
    key = bound(operator, alice, HOME)
    with serving_under(FORWARDED_ALLOW_IPS="10.0.0.1") as address:
        there = Person(address, alice.api_key, alice.project_id)
        refused = asked_from(there, key["value"], HOME)
        assert (refused.status, "127.0.0.1" in refused.error["message"]) == (401, True)
        there.close()


@pytest.mark.parametrize("network", ["10.0.0.1/8", "somewhere", "10.0.0.0/33", "", "2001:db8::1/32", "1" * 50])
def test_what_is_no_network_is_refused(operator: Operator, alice: Person, network: str) -> None:
    answer = operator.http.post(f"/projects/{alice.project_id}/api_keys", json={"allowed_networks": [network]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "allowed_networks.0")


def test_addresses_in_every_spelling() -> None:
    assert normal_network("::ffff:10.0.0.0/104") == "10.0.0.0/8"
    assert normal_network("2001:DB8:0:0::/64") == "2001:db8::/64"
    local = [ip_network("fe80::/10")]
    assert may_come_from(local, "fe80::1%eth0")
    assert not may_come_from(local, "")
    assert not may_come_from(local, "10.0.0.1:8080")
    assert may_come_from([], "")

"""What the `tunery webhooks` commands ask of the server, by the official SDK."""

import json
from typing import Any, cast

import typer
from openai import NotFoundError, OpenAI

from cli.api_client import project_client
from cli.columns import at, print_table, say
from cli.failure import Failure

Found = dict[str, Any]
TESTED_IN_VAIN = 1
TYPES_SHOWN = 3


def trigger(type: str, endpoint: str | None, as_json: bool) -> None:
    with project_client() as client:
        if endpoint is None:
            event = _post(client, "/webhook_events", {"event_type": type})
            _print(event, as_json, f"{event['id']}  {event['type']}  {event['data']['id']}")
            return
        result = client.webhooks.test(endpoint, event_type=cast(Any, type)).model_dump()
    status = result["status_code"]
    _print(result, as_json, f"{status}  {type}  {endpoint}  {result['delivery_id']}")
    if not 200 <= status < 300:
        say(f"The test failed: the receiver answered {status}, and only 2xx counts as received.")
        raise typer.Exit(TESTED_IN_VAIN)


def show_deliveries(endpoint: str | None, wanted: Found, limit: int, as_json: bool) -> None:
    with project_client() as client:
        ids = [endpoint] if endpoint else [each["id"] for each in _endpoints(client)]
        params = {name: value for name, value in wanted.items() if value is not None} | {"limit": limit}
        found = [
            delivery for id in ids for delivery in _get(client, f"/webhook_endpoints/{id}/deliveries", params)["data"]
        ]
    newest = sorted(found, key=lambda delivery: str(delivery["id"]), reverse=True)[:limit]
    if as_json:
        print(json.dumps({"object": "list", "data": newest}, indent=2))
    elif not ids:
        say("The project has no webhook endpoint. Make one: tunery webhooks create URL")
    elif not newest:
        say("Nothing was sent that fits.")
    else:
        _print_deliveries(newest, with_endpoint=len(ids) > 1)


def redeliver(delivery_id: str, as_json: bool) -> None:
    with project_client() as client:
        delivery = _post(client, f"{_address_of(client, delivery_id)}/redeliver")
    _print(delivery, as_json, f"{delivery['id']}  {delivery['status']}  {delivery['event_type']}")
    say(f"It is sent again now. How that goes: tunery webhooks deliveries --object {delivery['object_id']}")


def _address_of(client: OpenAI, delivery_id: str) -> str:
    for endpoint in _endpoints(client):
        address = f"/webhook_endpoints/{endpoint['id']}/deliveries/{delivery_id}"
        try:
            _get(client, address)
        except NotFoundError:
            continue
        return address
    raise Failure(f"No endpoint of this project has a delivery {delivery_id}.")


def show_endpoints(as_json: bool) -> None:
    with project_client() as client:
        endpoints = _endpoints(client)
    if as_json:
        print(json.dumps({"object": "list", "data": endpoints}, indent=2))
    elif endpoints:
        titles = ("ENDPOINT", "STATE", "NAME", "ADDRESS", "EVENTS")
        print_table(titles, [_endpoint_row(endpoint) for endpoint in endpoints])
    else:
        say("The project has no webhook endpoint. Make one: tunery webhooks create URL")


def create(url: str, name: str, types: list[str], is_full: bool, as_json: bool) -> None:
    with project_client() as client:
        full = {"full_payloads": is_full}
        new = client.webhooks.create(name=name, url=url, event_types=cast(Any, types), extra_body=full)
    made = new.model_dump()
    say(f"Endpoint {made['id']} is made. This is its signing secret; it is not shown again:")
    _print(made, as_json, made["signing_secret"])


def rotate(endpoint: str, keep_old: bool, as_json: bool) -> None:
    with project_client() as client:
        answer = client.webhooks.rotate_secret(endpoint, keep_old_secret_active_for_24_hours=keep_old)
    rotated = answer.model_dump()
    old = "signs too for 24 hours" if keep_old else "is worth nothing any more"
    say(f"The old secret of {endpoint} {old}. This is the new one; it is not shown again:")
    _print(rotated, as_json, rotated["signing_secret"])


def recover(endpoint: str, since: int | None, until: int | None, as_json: bool) -> None:
    with project_client() as client:
        address = f"/webhook_endpoints/{endpoint}"
        since = since if since is not None else _get(client, address)["missed_since"]
        if since is None:
            raise Failure("The endpoint has missed nothing that is known of; say from when on with --since.")
        asked = {"since": since} | ({} if until is None else {"until": until})
        recovery = _post(client, f"{address}/recover", asked)
    _print(recovery, as_json, f"{recovery['id']}  {recovery['status']}")
    say(f"What was missed since {at(since):%Y-%m-%d %H:%M} is sent now: tunery webhooks deliveries {endpoint}")


def _endpoint_row(endpoint: Found) -> list[str]:
    types = endpoint["event_types"]
    told_of = " ".join(types) if len(types) <= TYPES_SHOWN else f"{len(types)} types"
    return [endpoint["id"], _state(endpoint), endpoint["name"], endpoint["url"], told_of]


def _state(endpoint: Found) -> str:
    if not endpoint["enabled"]:
        return f"disabled ({endpoint['disabled_reason']})"
    if not endpoint["failing_since"]:
        return "enabled"
    paused = f", paused until {_moment(endpoint['paused_until'])}" if endpoint["paused_until"] else ""
    return f"failing (since {_moment(endpoint['failing_since'])}{paused})"


def _moment(seconds: int) -> str:
    return f"{at(seconds):%d %b %H:%M:%S}"


def _print_deliveries(deliveries: list[Found], *, with_endpoint: bool) -> None:
    titles = ["CREATED", "STATUS", "TRIES", "LAST ANSWER", "TYPE", "OBJECT", "DELIVERY"]
    rows = [_delivery_row(delivery) for delivery in deliveries]
    if with_endpoint:
        titles.append("ENDPOINT")
        rows = [[*row, delivery["webhook_endpoint_id"]] for row, delivery in zip(rows, deliveries, strict=True)]
    print_table(titles, rows)


def _delivery_row(delivery: Found) -> list[str]:
    attempts = delivery["attempts"]
    status = delivery["status"]
    if delivery["held_until"]:
        status += f" (held until {_moment(delivery['held_until'])}: the endpoint fails)"
    elif delivery["next_attempt_at"] and attempts:
        status += f" (next {_moment(delivery['next_attempt_at'])})"
    answered = _last_answer(attempts[-1]) if attempts else "–"
    created = _moment(delivery["created_at"])
    what = [delivery["event_type"], delivery["object_id"], delivery["id"]]
    return [created, status, str(len(attempts)), answered, *what]


def _last_answer(attempt: Found) -> str:
    status = attempt["response_status"]
    return f"{status or attempt['error']}, {attempt['duration_ms']} ms"


def _endpoints(client: OpenAI) -> list[Found]:
    return [endpoint.model_dump() for endpoint in client.webhooks.list(limit=100)]


def _get(client: OpenAI, path: str, params: Found | None = None) -> Any:
    return client.get(path, cast_to=object, options={"params": params or {}})


def _post(client: OpenAI, path: str, body: Found | None = None) -> Any:
    return client.post(path, cast_to=object, body=body or {})


def _print(answer: Found, as_json: bool, line: str) -> None:
    print(json.dumps(answer, indent=2) if as_json else line)

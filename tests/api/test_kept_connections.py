"""A connection that a proxy keeps can still be used at the moment in which the api begins to stop."""

import threading
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import uvicorn

from api.http.slow_heads import Connection
from api.main import create_app
from tests.servers import PATIENCE, listening


class Patient(Connection):
    last_request_seconds = PATIENCE


def test_a_kept_connection_sends_one_more_request_while_the_api_stops(server: str) -> None:
    config = uvicorn.Config(create_app(), http=Patient, log_config=None, access_log=False)
    with (
        listening(config) as (api, address),
        closing(HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)) as kept,
    ):
        kept.request("GET", "/livez")
        assert kept.getresponse().read() == b'{"status":"ok"}'
        api.should_exit = True
        while api.servers[0].is_serving():
            threading.Event().wait(0.01)
        kept.request("GET", "/livez")
        answer = kept.getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")

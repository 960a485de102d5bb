"""A connection that a proxy keeps can still be used at the moment in which the api begins to stop."""

import http.client
import threading

import uvicorn

from api.http.slow_heads import Connection
from api.main import create_app
from tests.servers import PATIENCE, free_port, wait_for_port


class Patient(Connection):
    last_request_seconds = PATIENCE


def test_a_kept_connection_sends_one_more_request_while_the_api_stops(server: str) -> None:
    port = free_port()
    config = uvicorn.Config(create_app(), host="127.0.0.1", port=port, http=Patient, log_config=None, access_log=False)
    api = uvicorn.Server(config)
    thread = threading.Thread(target=api.run, daemon=True)
    thread.start()
    wait_for_port(port)
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        kept.request("GET", "/livez")
        assert kept.getresponse().read() == b'{"status":"ok"}'
        api.should_exit = True
        while api.servers[0].is_serving():
            threading.Event().wait(0.01)
        kept.request("GET", "/livez")
        answer = kept.getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    finally:
        kept.close()
        thread.join(PATIENCE)
    assert not thread.is_alive()

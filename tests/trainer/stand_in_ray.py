"""A stand-in of Ray's Jobs API: answers as Ray 2.60 does, and fails as a network and a cluster do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TAKEN = "Traceback (most recent call last):\n  …\nValueError: Job with submission_id {} already exists.\n.\n"


class StandInRay:
    """`jobs`: what it knows; a new one has `first`. `lost_answers`: to how many submissions it gives no answer.
    `refuses`: the status and the text of its answer to every call."""

    def __init__(self, port: int = 0) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.first: dict[str, Any] = {"status": "RUNNING"}
        self.submitted: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.tokens: set[str | None] = set()
        self.lost_answers = 0
        self.refuses: tuple[int, str] | None = None
        self.log = "Running entrypoint\nthe last word"
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.answer(self, "")

            def do_POST(self) -> None:
                stand_in.answer(self, self.rfile.read(int(self.headers.get("content-length") or 0)).decode())

            def log_message(self, format: str, *args: Any) -> None:
                """Tests need no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, body: str) -> None:
        self.tokens.add(request.headers.get("authorization"))
        if self.refuses:
            _write(request, *self.refuses)
        elif request.command == "POST" and request.path == "/api/jobs/":
            self._submit(request, json.loads(body))
        else:
            self._about(request, *request.path.removeprefix("/api/jobs/").split("/"))

    def _submit(self, request: BaseHTTPRequestHandler, wanted: dict[str, Any]) -> None:
        self.submitted.append(wanted)
        id = wanted["submission_id"]
        if id in self.jobs:
            _write(request, 500, TAKEN.format(id))
            return
        self.jobs[id] = {"submission_id": id, **self.first}
        if self.lost_answers:
            self.lost_answers -= 1
            request.close_connection = True
        else:
            _write(request, 200, json.dumps({"submission_id": id}))

    def _about(self, request: BaseHTTPRequestHandler, id: str, what: str = "") -> None:
        if id not in self.jobs:
            _write(request, 404, f"Job {id} does not exist")
        elif what == "logs":
            _write(request, 200, json.dumps({"logs": self.log}))
        elif what == "stop":
            self.stopped.append(id)
            _write(request, 200, json.dumps({"stopped": True}))
        else:
            _write(request, 200, json.dumps(self.jobs[id]))

    def __enter__(self) -> "StandInRay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _write(request: BaseHTTPRequestHandler, status: int, text: str) -> None:
    content = text.encode()
    request.send_response(status)
    request.send_header("content-length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)

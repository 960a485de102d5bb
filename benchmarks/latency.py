"""How soon one thing follows another: a status change and its webhook, a request and its answer without Redis.

`python -m benchmarks.latency`
"""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
from openai import OpenAI

from benchmarks.stack import Measured, measured_stack, print_table, uploaded

POLL_EVERY = 2.0
ROUNDS = 8


def main() -> None:
    with measured_stack(TUNERY_POLL_EVERY=str(POLL_EVERY), SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL="50") as stack:
        webhook = _status_to_webhook(stack)
        without_redis = _create_without_redis(stack)
    print_table(
        [
            (
                f"provider's status change → webhook received, slowest of {ROUNDS}",
                f"≤ {POLL_EVERY + 1:g} s (poll interval {POLL_EVERY:g} s + 1 s)",
                f"{max(webhook):.2f} s (median {sorted(webhook)[len(webhook) // 2]:.2f} s)",
            ),
            ("Redis stopped: POST a job, answered in", "< 1.5 s", f"{without_redis:.3f} s"),
        ]
    )


def _status_to_webhook(stack: Measured) -> list[float]:
    client = stack.openai
    received = threading.Semaphore(0)
    waits = []
    with ThreadingHTTPServer(("127.0.0.1", 0), receiving(received)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        client.webhooks.create(name="measure", url=url, event_types=["fine_tuning.job.succeeded"])
        file_id = uploaded(client)
        for round in range(ROUNDS):
            provider_job_id = _started(client, file_id)
            time.sleep(POLL_EVERY * round / ROUNDS)  # at any point between two polls
            _succeed(stack, provider_job_id)
            started = time.monotonic()
            if not received.acquire(timeout=60):
                raise RuntimeError("no webhook came")
            waits.append(time.monotonic() - started)
        server.shutdown()
    return waits


def receiving(received: threading.Semaphore) -> type[BaseHTTPRequestHandler]:
    """Answers each webhook, and counts it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            received.release()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def _started(client: OpenAI, file_id: str) -> str:
    """A job that runs at the provider; the provider's id of it."""
    job = client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")
    while job.status != "running":
        time.sleep(0.05)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return str(getattr(job, "provider_job_id", ""))


def _succeed(stack: Measured, provider_job_id: str) -> None:
    address = stack.sandbox_url.removesuffix("/v1")
    headers = {"authorization": f"Bearer {stack.sandbox_key}"}
    httpx2.post(f"{address}/sandbox/jobs/{provider_job_id}", json={"status": "succeeded"}, headers=headers)


def _create_without_redis(stack: Measured) -> float:
    """Redis stands still, without closing its connections: the slowest way to be down."""
    client = stack.openai
    file_id = uploaded(client)
    valkey = stack.processes["valkey"]
    valkey.suspend()
    started = time.monotonic()
    job = client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")
    waited = time.monotonic() - started
    valkey.resume()
    deadline = time.monotonic() + 60
    while client.fine_tuning.jobs.retrieve(job.id).status != "succeeded":
        if time.monotonic() > deadline:
            raise RuntimeError("the job did not succeed after Redis was back")
        time.sleep(0.1)
    return waited


if __name__ == "__main__":
    main()

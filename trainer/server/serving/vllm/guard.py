"""`python -m trainer.server.serving.vllm.guard PORT COMMAND …`: runs vLLM, says `ready`, and ends it with its parent.

vLLM goes on when its parent dies, and says nowhere that it is ready but at `/health`. Standard library only.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

SECONDS_TO_LEAVE = 5.0
SECONDS_BETWEEN_LOOKS = 0.5


def main() -> None:
    port, *command = sys.argv[1:]
    # Its standard output is for people; ours is read by the trainer. A group of its own: its engines are in it too.
    vllm = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd="/",
        start_new_session=True,
        preexec_fn=_die_with_guard,
    )
    threading.Thread(target=_end_with_parent, args=(vllm,), daemon=True).start()
    threading.Thread(target=_say_when_ready, args=(int(port),), daemon=True).start()
    code = vllm.wait()
    _signal(vllm, signal.SIGKILL)  # to what it has left behind
    sys.exit(code if code >= 0 else 128 - code)


def _die_with_guard() -> None:
    """In the child, before it becomes vLLM: for the case that this process is killed."""
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _end_with_parent(vllm: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _signal(vllm, signal.SIGTERM)
    time.sleep(SECONDS_TO_LEAVE)
    _signal(vllm, signal.SIGKILL)


def _signal(vllm: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(vllm.pid, number)


def _say_when_ready(port: int) -> None:
    while not _is_healthy(port):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    print("ready", flush=True)  # noqa: T201  this line is the protocol


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()

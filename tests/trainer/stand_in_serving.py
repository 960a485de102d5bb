"""Stands in for a serving process. Files in the base's folder, and what a chat says, make it misbehave."""

import argparse
import json
import os
import signal
import socket
import threading
import time
from io import BufferedRWPair
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path)
    parser.add_argument("--socket")
    known, _ = parser.parse_known_args()
    base: Path = known.base
    with (base / "pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    threading.Thread(target=_leave_at_end_of_input, args=(base,), daemon=True).start()
    if (base / "broken").exists():
        raise SystemExit("no weights here")
    if any(_lives(other) for other in _named(base / "no room beside")):
        raise SystemExit(3)
    while (base / "slow").exists():
        time.sleep(0.01)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(known.socket)
    listener.listen()
    print("ready", flush=True)  # noqa: T201
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(base, listener, connection), daemon=True).start()


def _named(file: Path) -> list[Path]:
    """The folders of other bases, whose processes leave no memory for this one."""
    return [Path(line) for line in file.read_text().split()] if file.exists() else []


def _lives(base: Path) -> bool:
    pids = (base / "pids").read_text().split() if (base / "pids").exists() else []
    return bool(pids) and Path(f"/proc/{pids[-1]}").exists()


def _leave_at_end_of_input(base: Path) -> None:
    while os.read(0, 100):
        pass
    (base / "told to leave").touch()
    while (base / "stays").exists():
        time.sleep(0.01)
    os._exit(0)


def _answer(base: Path, listener: socket.socket, connection: socket.socket) -> None:
    with connection.makefile("rwb") as wire:
        request = json.loads(wire.readline())
        said = request["messages"][0]["content"]
        if said == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if said == "hang up":
            connection.shutdown(socket.SHUT_RDWR)
            return
        _write(wire, {"text": f"{base.name} {request['adapter']}", "logprobs": None})
        if said == "wait":
            (base / "waiting").touch()
            wire.readline()  # until the client leaves
            (base / "cancelled").touch()
            return
        _write(wire, {"end": "stop", "prompt_tokens": 1, "completion_tokens": 1})
    connection.close()
    if said == "leave":
        listener.close()
        os._exit(0)


def _write(wire: BufferedRWPair, line: dict[str, Any]) -> None:
    wire.write(json.dumps(line).encode() + b"\n")
    wire.flush()


if __name__ == "__main__":
    main()

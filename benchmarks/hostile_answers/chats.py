"""The memory of an api that passes on the answers of a hostile provider to as many chats as one account may have.

Half of the clients read what comes, the others read nothing.
"""

import asyncio
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.queues import Queue
from urllib.parse import urlsplit

from benchmarks.hostile_answers.calls import Row
from benchmarks.hostile_answers.servers import CHAT_SECONDS, MODEL, HostileStack, Peak
from shared.database import get_engine, transaction
from shared.projects import service as projects
from tests.hostile_servers import DRIPPING, OK, OPEN_END, UNREADABLE, Talk, answering, bomb, sending

PROJECTS, CHATS = 8, 32  # the default of TUNERY_CHAT__MAX_PER_PROJECT, and as many as TUNERY_CHAT__MAX_PER_ACCOUNT
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + OPEN_END
_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}
_DELTA = b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [_CALL]}}]}).encode()
SCENES: dict[str, Talk] = {
    "a stream without a line's end": sending(STREAM, forever=b"a" * 65536),
    "one event without end": sending(STREAM + b"data: [", forever=b'{"a": "b"}, ' * 5000),
    "tool calls without end": sending(STREAM, forever=_DELTA * 400),
    "an error without end": sending(b"HTTP/1.1 500 Oh\r\n" + OPEN_END, forever=b"a" * 65536),
    "a gigabyte of JSON": sending(OK + b"content-length: 1073741824\r\n\r\n[", forever=b"{}," * 20000),
    "a gzip bomb": answering(OK + b"content-encoding: gzip\r\n", b"".join(bomb(128 << 20))),
    "a head without end": UNREADABLE["a head that never ends"],
    "interim answers without end": sending(forever=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000),
    "a body in drops": DRIPPING["a body in drops"],
}


def rows(hostile: HostileStack) -> Iterator[Row]:
    keys = [_key(f"chats {number}") for number in range(PROJECTS)]
    get_engine().dispose()
    for name, talk in SCENES.items():
        hostile.chat = talk
        peak = Peak(hostile.stack.processes["api"])
        answers: Queue[tuple[Counter[bytes], float]] = multiprocessing.Queue()
        process = multiprocessing.Process(target=_ask, args=(hostile.stack.base_url, keys, answers), daemon=True)
        process.start()
        heads, seconds = answers.get(timeout=120)
        process.join()
        print(f"{name}: {heads}", flush=True)
        yield f"api, {PROJECTS * CHATS} chats: {name}", "≤ 512 MB, ends", f"{peak.mb():.0f} MB, {seconds:.1f} s"


def _key(name: str) -> str:
    with transaction() as session:
        project = projects.create_project(session, name)
        return projects.create_api_key(session, project.id, name)[1]


def _ask(base_url: str, keys: list[str], answers: "Queue[tuple[Counter[bytes], float]]") -> None:
    """Tells the first lines of the answers, and the seconds until the last client that reads had all of its own."""

    async def ask_all() -> tuple[Counter[bytes], float]:
        heads, began = Counter[bytes](), time.monotonic()
        asking = [
            asyncio.create_task(_chat(base_url, key, number % 2 == 0, heads)) for key in keys for number in range(CHATS)
        ]
        reading, other = asking[::2], asking[1::2]
        await asyncio.wait(reading, timeout=5 * CHAT_SECONDS)
        seconds = time.monotonic() - began
        for each in (*reading, *other):
            each.cancel()
        return heads, seconds

    answers.put(asyncio.run(ask_all()))


async def _chat(base_url: str, key: str, reads: bool, heads: Counter[bytes]) -> None:
    address = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
    head = f"POST {address.path}/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\nconnection: close\r\n"
    head += f"authorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write((head + body).encode())
    if reads:
        heads[(await reader.readline()).strip()] += 1
        while await reader.read(1 << 18):
            pass
    else:
        await asyncio.sleep(1000)

"""Which adapters one vLLM has, and which it ought to have: those used last, each under a name that is used once.

vLLM keeps caches by an adapter's name, and forgets adapters when it is started again. So what it has is compared with
what it ought to have from time to time, and whenever it does not know an adapter.
"""

import asyncio
import itertools
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.server.serving.lines import Unavailable
from trainer.server.serving.vllm.client import Vllm

log = logging.getLogger("trainer")

PREFIX = "tunery."  # others' adapters are left alone
SECONDS_TO_WAIT = 60.0
"""How long a request waits for its adapter. Then it is refused with 429, and the adapter goes on loading."""
WEIGHTS = "adapter_model.safetensors"

_start = secrets.token_hex(4)  # a trainer that was started again uses no name of before
_counter = itertools.count(1)

Version = tuple[str, int, int]
"""An adapter's folder, and what changes if it is made anew."""


@dataclass
class Loaded:
    name: str
    users: int = 0


class Adapters:
    def __init__(self, vllm: Vllm, most: int) -> None:
        self._vllm = vllm
        self._most = most
        self._loaded: OrderedDict[Version, Loaded] = OrderedDict()  # the one used last at the end
        self._loads: dict[Version, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def in_use(self, folder: str) -> AsyncIterator[str]:
        """The adapter's name in vLLM; it stays loaded meanwhile. Raises Unavailable."""
        adapter = await self._found(_version(folder))
        adapter.users += 1
        try:
            yield adapter.name
        finally:
            adapter.users -= 1

    def forget(self, name: str) -> None:
        """vLLM does not know it."""
        for version in [version for version, adapter in self._loaded.items() if adapter.name == name]:
            del self._loaded[version]

    async def reconcile(self) -> None:
        """Forgets what vLLM has lost, and unloads what it ought not to have. Raises Unavailable."""
        async with self._changing:
            there = {name for name in await self._vllm.models() if name.startswith(PREFIX)}
            for version, adapter in list(self._loaded.items()):
                if adapter.name not in there or (not adapter.users and not _is_current(version)):
                    del self._loaded[version]
            for name in there - {adapter.name for adapter in self._loaded.values()}:
                await self._unload(name)

    async def _found(self, version: Version) -> Loaded:
        while version not in self._loaded:  # again, if it had to make room as soon as it was loaded
            load = self._loads.get(version)
            if load is None:
                load = self._loads[version] = asyncio.create_task(self._load(version))
                load.add_done_callback(lambda _: self._loads.pop(version))
            done, _ = await asyncio.wait([load], timeout=SECONDS_TO_WAIT)
            if not done:
                message = "The adapter of this model is being loaded. Try again later."
                raise Unavailable(429, "model_loading", message, retry_after=5)
            load.result()
        self._loaded.move_to_end(version)
        return self._loaded[version]

    async def _load(self, version: Version) -> None:
        async with self._changing:
            await self._make_room()
            path = Path(version[0])
            name = f"{PREFIX}{path.parent.name}.{path.name}.{_start}-{next(_counter)}"
            await self._vllm.load(name, version[0])
            self._loaded[version] = Loaded(name)

    async def _make_room(self) -> None:
        while len(self._loaded) >= self._most:
            idle = next((version for version, adapter in self._loaded.items() if not adapter.users), None)
            if idle is None:
                message = "All adapters that fit are in use. Try again later."
                raise Unavailable(429, "adapters_in_use", message, retry_after=2)
            await self._unload(self._loaded.pop(idle).name)

    async def _unload(self, name: str) -> None:
        try:
            await self._vllm.unload(name)
        except Unavailable as reason:  # what is left there is tried again with the next look
            log.warning("vLLM does not unload %s: %s", name, reason)


def _version(folder: str) -> Version:
    try:
        found = (Path(folder) / WEIGHTS).stat()
    except OSError:
        message = "The adapter of this model is gone from the trainer's folder."
        raise Unavailable(500, "adapter_missing", message) from None
    return folder, found.st_mtime_ns, found.st_ino


def _is_current(version: Version) -> bool:
    try:
        return _version(version[0]) == version
    except Unavailable:
        return False

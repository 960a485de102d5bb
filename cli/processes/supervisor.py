"""Starts processes that depend on each other, watches them, and stops them in the reverse order of their tiers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from cli.processes.child import Child, ProcessDied, Program, undisturbed


class Tier(IntEnum):
    """A process needs those of lower tiers, so it is stopped before them."""

    STORES = 1
    PROVIDER = 2
    SERVERS = 3


@dataclass
class Supervisor:
    """A `with` block at whose end no process is left; each tier has `stop_patience` seconds to stop."""

    stop_patience: float = 10
    members: dict[str, tuple[Tier, Child]] = field(default_factory=dict)

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program, tier: Tier) -> Child:
        """Also starts one again that has ended."""
        with undisturbed():
            child = program.start()
            self.members[program.name] = (tier, child)
        return child

    def finish(self, child: Child) -> None:
        """Waits for the good end of one that is meant to end."""
        self.wait_until(lambda: not child.is_alive, child.program.name, but=child)
        del self.members[child.program.name]
        if child.process.returncode != 0:
            raise ProcessDied(child.last_words())

    def tier_of(self, child: Child) -> Tier:
        return self.members[child.program.name][0]

    def dead(self) -> list[Child]:
        return [child for _, child in self.members.values() if not child.is_alive]

    def wait_until(
        self, is_ready: Callable[[], bool], what: str, *, but: Child | None = None, patience: float = 60
    ) -> None:
        """Returns when `is_ready` says so; ProcessDied as soon as anyone `but` this one has ended."""
        deadline = time.monotonic() + patience
        while not is_ready():
            for child in self.dead():
                if child is not but:
                    raise ProcessDied(child.last_words())
            if time.monotonic() > deadline:
                raise ProcessDied(f"{what} was not ready after {patience:.0f} s.")
            time.sleep(0.02)

    def stop(self) -> None:
        """The highest tier first, all of a tier together; whoever is not gone in time is killed."""
        try:
            for tier in sorted(Tier, reverse=True):
                self._stop_tier([child for its_tier, child in self.members.values() if its_tier is tier])
        finally:
            for _, child in self.members.values():
                child.kill()
            self.members.clear()

    def _stop_tier(self, children: list[Child]) -> None:
        deadline = time.monotonic() + self.stop_patience
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(deadline - time.monotonic())

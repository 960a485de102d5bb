"""Kills a worker (`kill -9`) at each point of its steps, and checks that every job still ends as without the crash.

`python -m benchmarks.crashes --times 20 [--only create] [--wire together]`

The api, Postgres, Valkey and the provider run as processes; worker, sender and beat are suspended. A child process
begins each step and dies at the point; then this process does what other workers would do later. It moves due times
into the past instead of waiting for a lease or a grace. The suite runs each point once
(`tests/worker/test_crashes.py`).
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.stack import Measured, measured_stack, print_table
from shared.database import get_engine
from shared.log import set_up_logging
from shared.webhooks.event_types import EventType
from tests.api.module_person import module_person
from tests.providers.stand_ins import logins_at
from tests.servers import Receiver
from tests.worker import fireworks, together, wires
from tests.worker.crashes import MOST_CRASHES, Crashes
from tests.worker.deployment_kills import DEPLOYING, deploying, kill_and_end
from tests.worker.fireworks import FireworksWorld
from tests.worker.kill_points import BOUNDARIES, SENDING, check_webhooks, kill_and_go_on, kill_while_sending
from tests.worker.reach_steps import World
from tests.worker.support import endpoint_of
from tests.worker.together import TogetherWorld
from tests.worker.wires import WireWorld
from tests.world import Sandbox, empty_tables

Row = tuple[str, str, str]
WIRES: dict[str, tuple[type[World], dict[str, tuple[str, ...]]]] = {
    "openai": (World, BOUNDARIES),
    "together": (TogetherWorld, together.KILLED | deploying("during the 2nd call")),
    "fireworks": (FireworksWorld, fireworks.KILLED | DEPLOYING),
    **wires.WIRES,
}
EVENT_ON_ENTERING = [type for type in EventType if type.startswith("fine_tuning.job.")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="runs of each boundary")
    parser.add_argument("--only", default="", help="only this step")
    parser.add_argument("--wire", choices=WIRES, default="openai", help="whose API the provider speaks")
    wanted = parser.parse_args()
    provider = {"SANDBOX_WIRE": wanted.wire, "SANDBOX_SPEED": "0"}  # no job ends before it is moved to its end
    provider |= {} if wanted.wire in wires.WIRES else {"TUNERY_PROVIDER__DIALECT": wanted.wire}
    with measured_stack(TUNERY_PROVIDER__SLOTS='{"*": 3}', TUNERY_LOG_LEVEL="error", **provider) as stack:
        for name in ("worker", "sender", "beat"):
            stack.processes[name].suspend()
        os.environ.update({**stack.environ, **logins_at(_sandbox(stack)), "TUNERY_MAX_STEP_FAILURES": MOST_CRASHES})
        set_up_logging()
        try:
            rows = _measure(stack, wanted.times, wanted.only, wanted.wire)
        finally:
            get_engine().dispose()
            for name in ("worker", "sender", "beat"):
                stack.processes[name].resume()
    print_table(rows, ("boundary", "runs", "ended as they should"))
    sys.exit(any(row[1] != row[2] for row in rows))


def _measure(stack: Measured, times: int, only: str, wire: str) -> list[Row]:
    rows, (kind, boundaries) = [], WIRES[wire]
    with Crashes.ready() as crashes:
        for what, points in boundaries.items():
            for point in points if only in what else ():
                with _world(stack, crashes, kind) as world:
                    rows.append(_row(f"{what}: {point}", 1, times, partial(_end, world, what, point)))
        with _world(stack, crashes, kind) as world:
            if only in "send a large file" and kind is World:
                all_along = sum(map(len, SENDING))
                rows.append(_row("send a large file", all_along, times, partial(kill_while_sending, world)))
    return [*rows, ("all", *_sum(rows))]


@contextmanager
def _world(stack: Measured, crashes: Crashes, kind: type[World]) -> Iterator[World]:
    """An empty deployment with one project, its webhook receiver and an emptied sandbox."""
    empty_tables()
    sandbox = _sandbox(stack)
    sandbox.reset()
    with Receiver.listening() as receiver, module_person(stack.base_url, "alice's team") as alice:
        endpoint_of(alice, receiver.url, *EVENT_ON_ENTERING)
        world = kind(alice, sandbox, receiver, crashes)
        if isinstance(world, WireWorld):
            world.begin()
        yield world
    sandbox.close()


def _sandbox(stack: Measured) -> Sandbox:
    return Sandbox(stack.sandbox_url.partition("/v1")[0], stack.sandbox_key)


def _end(world: World, what: str, point: str) -> None:
    if what in DEPLOYING:
        kill_and_end(world, what, point)
    else:
        check_webhooks(world, [kill_and_go_on(world, what, point)])


def _row(name: str, crashes: int, times: int, run: Callable[[], object]) -> Row:
    """The number of crashes in all runs, and in those runs that ended as without a crash."""
    ended = 0
    for _ in range(times):
        try:
            run()
            ended += crashes
        except Exception:
            traceback.print_exc()
    print(f"{name}: {ended} of {times * crashes}", file=sys.stderr)
    return name, str(times * crashes), str(ended)


def _sum(rows: list[Row]) -> tuple[str, str]:
    return str(sum(int(row[1]) for row in rows)), str(sum(int(row[2]) for row in rows))


if __name__ == "__main__":
    main()

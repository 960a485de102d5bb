"""Children write to their own log, are told apart when they die, and leave nothing behind, however we end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.local import commands, up
from cli.processes.child import ProcessDied, Program
from cli.processes.supervisor import Supervisor, Tier

SLEEP = ["sleep", "60"]
STUBBORN = ["sh", "-c", "trap '' TERM; sleep 60 & sleep 60 & echo deaf; wait"]
STARTER = """
import sys, time
from pathlib import Path
from cli.processes.child import Program
print(Program("sleep", ["sleep", "60"], Path(sys.argv[1])).start().pid, flush=True)
time.sleep(60)
"""


def program(tmp_path: Path, *command: str, name: str = "it") -> Program:
    return Program(name, list(command), tmp_path / f"{name}.log")


def test_a_child_dies_when_its_starter_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=commands.ROOT) as starter:
        assert starter.stdout is not None
        child = psutil.Process(int(starter.stdout.readline()))
        while child.name() != "sleep":  # until then it is still the wrapper
            time.sleep(0.01)
        starter.kill()
    gone, _ = psutil.wait_procs([child], timeout=60)
    assert gone == [child]


def test_who_does_not_listen_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    child = program(tmp_path, *STUBBORN).start()
    child.wait_until(lambda: "deaf" in child.log_tail())
    group = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(group) == 3
    child.stop(patience=0.1)
    _, left = psutil.wait_procs(group, timeout=60)
    assert left == []


def test_the_end_of_a_store_ends_up_which_says_how_to_go_on(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.start(program(tmp_path, "sh", "-c", "exit 7", name="valkey"), Tier.STORES)
        with pytest.raises(ProcessDied, match=r"(?s)valkey ended with code 7.*`\./tunery up` starts them again"):
            up.watch(supervisor)


def test_an_end_before_the_time_is_told_with_the_log(tmp_path: Path) -> None:
    child = program(tmp_path, "sh", "-c", "echo no such port >&2; exit 7", name="api").start()
    with pytest.raises(ProcessDied, match=r"api ended with code 7\..*\n*no such port"):
        child.wait_until(lambda: False)


def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    child = program(tmp_path, "/nowhere/postgres").start()
    with pytest.raises(ProcessDied, match="/nowhere/postgres cannot be run: No such file or directory"):
        child.wait_until(lambda: False)


def test_signals_that_python_ignores_or_we_put_off_are_not_inherited(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        child = supervisor.start(
            program(tmp_path, "sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status"), Tier.SERVERS
        )
        child.process.wait()
        masks = [int(line.split(":")[1], 16) for line in (tmp_path / "it.log").read_text().splitlines()]
    assert masks == [0, 0]


def test_a_crew_is_stopped_from_the_top(tmp_path: Path) -> None:
    said = tmp_path / "said"
    waits = f"trap 'echo $0 >> {said}; exit' TERM; echo ready; while :; do sleep 0.01; done"
    with Supervisor() as supervisor:
        for name, tier in (("store", Tier.STORES), ("provider", Tier.PROVIDER), ("server", Tier.SERVERS)):
            child = supervisor.start(program(tmp_path, "sh", "-c", waits, name, name=name), tier)
            child.wait_until(lambda child=child: "ready" in child.log_tail())  # type: ignore[misc]
    assert said.read_text().split() == ["server", "provider", "store"]
    assert supervisor.members == {}


def test_while_waiting_for_one_the_death_of_another_is_noticed(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.start(program(tmp_path, *SLEEP, name="api"), Tier.SERVERS)
        supervisor.start(program(tmp_path, "false", name="worker"), Tier.SERVERS)
        with pytest.raises(ProcessDied, match="worker ended with code 1"):
            supervisor.wait_until(lambda: False, "The api")


def test_one_that_is_meant_to_end_must_end_well(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.finish(supervisor.start(program(tmp_path, "true", name="first"), Tier.SERVERS))
        with pytest.raises(ProcessDied, match="first ended with code 1"):
            supervisor.finish(supervisor.start(program(tmp_path, "false", name="first"), Tier.SERVERS))


def test_the_signal_that_asks_is_each_programs_own(tmp_path: Path) -> None:
    asked = Program("it", ["sh", "-c", "trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done"], tmp_path / "log")
    child = Program(asked.name, asked.command, asked.log, farewell=signal.SIGINT).start()
    child.wait_until(lambda: "ready" in child.log_tail())
    child.stop()
    assert child.process.returncode == 3

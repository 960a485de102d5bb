"""`tunery demo`: every step seen, or a sentence; nothing left behind in either case."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from cli.embedded import postgres_home
from cli.local import commands
from cli.local.story import Story

pytestmark = pytest.mark.timeout(600)  # for a whole demo on a machine that does much else
PATIENCE = 300.0
STRANGERS = {  # what a newcomer's shell may hold, and the demo must not heed
    "DATABASE_URL": "postgresql://somebody:else@127.0.0.1:1/other",
    "REDIS_URL": "redis://127.0.0.1:1",
    "TUNERY_PROVIDER__BASE_URL": "http://127.0.0.1:1/v1",
    "TUNERY_PROVIDER__API_KEY": "sk-costs-money",
    "OPENAI_API_KEY": "sk-costs-money",
    "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    "HTTP_PROXY": "http://127.0.0.1:1",
}


def start(state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [commands.PYTHON, "-m", "cli", "demo"],
        env=os.environ | STRANGERS | {"TUNERY_STATE": str(state)},
        cwd=commands.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_every_step_is_seen_in_plain_lines_whatever_the_callers_environment(tmp_path: Path) -> None:
    demo = start(tmp_path)
    said, _ = demo.communicate(timeout=PATIENCE)
    postgres_home.remove(tmp_path / "demo")
    assert demo.returncode == 0, said
    assert said.isprintable() or "\x1b" not in said
    steps = [line for line in said.splitlines() if line.startswith("ok  ")]
    assert len(steps) == 12
    assert "signature verified" in said
    assert "Every step was seen to happen" in said


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        while "beat run" not in (line := demo.stdout.readline()):
            assert line, "it ended by itself"
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) > 5
        time.sleep(0.5)  # in the middle of a job
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE) == 130
    postgres_home.remove(tmp_path / "demo")
    assert psutil.wait_procs(children, timeout=PATIENCE)[1] == []


def test_a_step_that_is_not_seen_ends_it_with_a_sentence_and_the_logs_place(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        while "beat run" not in (line := demo.stdout.readline()):
            assert line, "it ended by itself"
        api = next(child for child in psutil.Process(demo.pid).children() if "api" in child.cmdline())
        api.kill()
        said = demo.stdout.read()
        assert demo.wait(PATIENCE) == 1
    postgres_home.remove(tmp_path / "demo")
    assert "The demo could not " in said
    assert f"The servers' logs are in {tmp_path}/demo/logs." in said
    assert "api ended with code -9." in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "step", [name for name in vars(Story) if not name.startswith("_") and callable(vars(Story)[name])]
)
def test_each_step_says_what_it_is_to_do(step: str) -> None:
    assert vars(Story)[step].__doc__

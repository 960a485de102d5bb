"""The Python snippets of README.md and docs/jobs.md run, in their order, with the official SDK."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_examples import Stack

ROOT = Path(__file__).parent.parent
# docs/jobs.md begins with files that exist, and copies a job that has not ended yet.
FILES = """
from openai import OpenAI
client = OpenAI()
file = client.files.create(file=open("examples/train.jsonl", "rb"), purpose="fine-tune")
valid = client.files.create(file=open("examples/valid.jsonl", "rb"), purpose="fine-tune")
"""


def snippets(page: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.+?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL))


def run(program: str, stack: Stack) -> str:
    """Run a program as a person would, in the folder of the checkout; return what it printed."""
    environ = os.environ | {"OPENAI_BASE_URL": stack.base_url, "OPENAI_API_KEY": stack.api_key}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_the_snippets_of_the_readme_train_a_model_and_ask_it(stack: Stack) -> None:
    printed = run(snippets("README.md"), stack)
    assert "ChatCompletion" in printed
    assert "whsec_" in printed


@pytest.mark.timeout(120)
def test_the_snippets_about_jobs_create_split_and_copy(stack: Stack) -> None:
    program = snippets("docs/jobs.md")
    assert program.count('"file-…"') == 2
    for name in ("file.id", "valid.id"):
        program = program.replace('"file-…"', name, 1)
    created = "print([job.method.type for job in client.fine_tuning.jobs.list()])"
    assert run(f"{FILES}\n{program}\n{created}", stack).count("supervised") >= 3

"""Reads Dockerfile and docker-compose.yml, so that tests can check them without a container engine."""

import json
import re
import shlex
import subprocess
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVERS = ("api", "worker", "sender", "beat")
OURS = ("migrate", "backup", *SERVERS, "sandbox")
TRAINER = "trainer"  # it has an image of its own
THEIRS = ("postgres", "redis")
METRICS = ("prometheus", "grafana")  # of the profile `metrics`
KEY = "Zm9yIHRoZSB0ZXN0cyBhbG9uZSwgMzIgYnl0ZXMhISE="
# The variables without which compose stops, each with a value.
REQUIRED = {
    "POSTGRES_PASSWORD": "pw",
    "REDIS_PASSWORD": "rpw",
    "TUNERY_SECRET_KEYS": f'["{KEY}"]',
    "TUNERY_PROVIDER__BASE_URL": "http://sandbox:8790/v1",
    "TUNERY_PROVIDER__API_KEY": "sk-1",
}
# ${NAME}, ${NAME:-default}, ${NAME:+text if set} and ${NAME:?sentence}, where a default may contain two more of them.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-+?])((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*))?\}")

Stage = list[tuple[str, str]]


@cache
def stages() -> list[Stage]:
    """The Dockerfile's instructions as (name, text), in one list for each FROM."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest.strip()))
    return found


def stage(name: str) -> Stage:
    (found,) = (stage for stage in stages() if stage[0][1].endswith(f" AS {name}"))
    return found


def final_instruction(instruction: str, of: str = "server") -> str:
    """The text of an instruction that this stage has exactly once."""
    (text,) = (text for word, text in stage(of) if word == instruction)
    return text


def words_of(text: str) -> list[str]:
    words: list[str] = json.loads(text)
    return words


def variables_of(instruction: str, of: str = "server") -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(final_instruction(instruction, of)))


def copied_paths() -> set[str]:
    """The paths that the Dockerfile copies from the repository, in all stages."""
    copies = [shlex.split(text) for stage in stages() for word, text in stage if word == "COPY"]
    return {source for words in copies if not words[0].startswith("--from=") for source in words[:-1]}


@cache
def services() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return read


def stop_grace_seconds(name: str) -> int:
    return int(services()[name]["stop_grace_period"].removesuffix("s"))


def recipe() -> str:
    """The shell commands in the compose file's first comment, which write `.env`."""
    found = re.search(r"^#   cat > \.env .*?^#   END$", COMPOSE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return re.sub("^#   ", "", found[0], flags=re.MULTILINE)


def env_written_by_recipe(folder: Path) -> dict[str, str]:
    """The variables of `.env` after the recipe ran in this folder."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", recipe()], cwd=folder, check=True)
    return variables_in((folder / ".env").read_text())


def variables_in(env_file: str) -> dict[str, str]:
    """The variables of an env file, read as compose reads them where no value without single quotes has a `$`."""
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(env_file), interpolate=False).items()}


def environment_of(name: str, env_file: dict[str, str]) -> dict[str, str]:
    """The variables of a service's container, the last taking precedence: the image's, `env_file`, `environment`."""
    service = services()[name]
    from_image = variables_of("ENV") if name in OURS else {}
    from_file = env_file if service.get("env_file") == ".env" else {}
    return from_image | from_file | {n: interpolated(str(v), env_file) for n, v in service["environment"].items()}


def interpolated(text: str, variables: dict[str, str]) -> str:
    """Replaces each `${…}` as compose does. Raises `LookupError` with the sentence of a `:?` without a value."""

    def value(found: re.Match[str]) -> str:
        name, operator, rest = found.groups(default="")
        if operator == "+":
            return interpolated(rest, variables) if variables.get(name) else ""
        if operator == "?" and not variables.get(name):
            raise LookupError(rest)
        return variables.get(name) or interpolated(rest, variables)

    return VARIABLE.sub(value, text)

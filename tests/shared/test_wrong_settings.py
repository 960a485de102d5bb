"""Every setting with wrong values: one sentence that names it, never a traceback, never the value."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from cli.local import commands
from shared.setting_problems import WITHOUT_PREFIX, WrongSettings, variables
from shared.settings import Settings, read_settings
from tests.shared.process import NEEDED
from tests.world import environment

FIELDS = variables(Settings)
EXAMPLE = (commands.ROOT / ".env.example").read_text()
NAMES = re.findall(rf"^(?:# )?({'|'.join(WITHOUT_PREFIX)}|TUNERY_\w+)=", EXAMPLE, re.MULTILINE)
ANY_TEXT = {"TUNERY_PROVIDER__NAME", "TUNERY_PROVIDER__API_KEY", "TUNERY_PROVIDER__WEBHOOK_SECRET"}
ANY_TEXT |= {"TUNERY_SMTP__HOST", "TUNERY_SMTP__USER", "TUNERY_SMTP__PASSWORD"}
OF_A_FORM = {
    "DATABASE_URL": ["mysql://a:hunter2@b/c", "hunter2", "postgresql://a:hunter2@b:99999/c"],
    "TUNERY_MIGRATION_DATABASE_URL": ["mysql://a:hunter2@b/c", "hunter2", "postgresql://a:hunter2@b:99999/c"],
    "REDIS_URL": ["amqp://:hunter2@b", "redis://:hunter2@b:0/0", "redis://:hunter2@b/c"],
    "TUNERY_PROVIDER__BASE_URL": ["hunter2", "ftp://a", "http://", "http://a:99999/v1", "http://a b/v1"],
    "TUNERY_AZURE__LOGIN_URL": ["hunter2", "ftp://a", "http://"],
    "TUNERY_AZURE__MANAGEMENT_URL": ["hunter2", "ftp://a", "http://"],
    "TUNERY_SECRET_KEYS": ["hunter2", '["hunter2"]', "[]"],
    "TUNERY_SECRETS_DIR": ["/nowhere/at/all", __file__],
    "TUNERY_STORAGE": ["gs://bucket", "s3://", "file://relative"],
    "TUNERY_EGRESS_PROXY": ["proxy:3128", "http://a:hunter2@proxy", "https://proxy:3128", "http://hunter2@p:1/path"],
    "TUNERY_HEALTH_ADDRESS": ["8001", "a:99999", ":1"],
    "TUNERY_OWN_HOSTS": ['["https://a"]', "a.example"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["hunter2", "ftp://a", "http://a:99999"],
    "SENTRY_DSN": ["hunter2", "ftp://hunter2@a/1", "https://hunter2@a/b", "https://hunter2@a:99999/1"],
    "TUNERY_ROOT_PATH": ["tunery", "https://a/b"],
    "TUNERY_CORS_ORIGINS": ['["app.example"]', "https://app.example"],
    "TUNERY_SMTP__SENDER": ["nobody"],
    "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": ['["10.0.0.1/8"]', '["a"]', "10.0.0.0/8"],
    "TUNERY_PROVIDER__FILE_EXPIRY": ["60", "2592001"],
    "TUNERY_PROVIDER__BASE_MODELS": ["gpt-4o-mini", "{}"],
}


def parts(annotation: Any) -> list[Any]:
    """A type, and those that it is made of."""
    return [annotation, *(part for argument in get_args(annotation) for part in parts(argument))]


def bounds(field: FieldInfo) -> list[Any]:
    return [*field.metadata, *(part for part in parts(field.annotation) if isinstance(part, Gt | Ge | Lt | Le))]


def out_of_range(field: FieldInfo) -> list[str]:
    inside = {Gt: ("gt", 0), Ge: ("ge", -1), Lt: ("lt", 0), Le: ("le", 1)}
    found = [bound for bound in bounds(field) if type(bound) in inside]
    return [str(getattr(each, inside[type(each)][0]) + inside[type(each)][1]) for each in found]


def wrong_values(name: str) -> list[str]:
    """Values of another type, and values beyond the bounds, made from the field."""
    field = FIELDS[name]
    kinds = [get_origin(part) or part for part in parts(field.annotation)]
    if bool in kinds:
        return ["perhaps"]
    if dict in kinds or tuple in kinds:
        return ["{", "1", "[[]]", '[{"a": 1}]']
    if Literal in kinds or (kinds and isinstance(kinds[0], type) and hasattr(kinds[0], "__members__")):
        return ["neither"]
    if int in kinds or float in kinds:
        return ["many", *out_of_range(field)]
    if "timedelta" in str(field.annotation):
        return ["soon", "-1", "nan", "inf", "1e99"]
    return []


CASES = [(name, value) for name in NAMES for value in OF_A_FORM.get(name, []) + wrong_values(name)]


def refused(**values: str) -> list[str]:
    with environment({**NEEDED, **values}):
        for name in [name for name in os.environ if name.startswith("TUNERY_") and name not in {**NEEDED, **values}]:
            del os.environ[name]
        try:
            read_settings()
        except WrongSettings as wrong:
            return str(wrong.code).split("\n  ")[1:]
    return []


def test_the_cases_are_of_every_setting() -> None:
    assert set(NAMES) == set(FIELDS)
    assert {name for name, _ in CASES} == set(NAMES) - ANY_TEXT


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(name: str, value: str) -> None:
    [sentence] = refused(**{name: value})
    assert re.fullmatch(rf"{name}: .+\.", sentence)
    assert "hunter2" not in sentence
    assert "Input should" not in sentence


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ('[{"provider": "trainer"}]', "has no `per_million_tokens`, and no prices of input and output"),
        ('[{"provider": "trainer", "input_per_million_tokens": 1}]', "without `output_per_million_tokens`"),
        (
            '[{"provider": "a", "per_million_tokens": 1}, {"provider": "b", "per_million_tokens": -1}]',
            "of item 2 is wrong",
        ),
        ('[{"provider": "a", "per_million_tokens": 1, "per_hour": 2}]', "`per_hour` of item 1 is not known"),
    ],
)
def test_a_wrong_item_of_a_list_is_named(prices: str, words: str) -> None:
    [sentence] = refused(TUNERY_PRICES=prices)
    assert sentence.startswith("TUNERY_PRICES: ")
    assert words in sentence


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_value_is_as_no_value(name: str) -> None:
    needed = name in NEEDED
    [*said] = refused(**{name: ""})
    if needed:
        assert len(said) == 1
        assert "not set" in said[0]
        assert name in said[0]
    else:
        assert said == []


def test_an_empty_secret_is_no_secret() -> None:
    with environment({**NEEDED, "TUNERY_PROVIDER__WEBHOOK_SECRET": "", "TUNERY_SMTP__PASSWORD": ""}):
        settings = read_settings()
    assert (settings.provider.webhook_secret, settings.smtp.password) == (None, None)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TUNERY_POLL_EVREY", "TUNERY_POLL_EVERY"),
        ("TUNERY_PROVIDER_TIMEOUT", "TUNERY_PROVIDER__TIMEOUT"),
        ("TUNERY_PROVIDER__TIMEUOT", "TUNERY_PROVIDER__TIMEOUT"),
        ("TUNERY_RATE_LIMITS__JOBS_PER_WEEK", "TUNERY_RATE_LIMITS__JOBS_PER_DAY"),
        ("tunery_smtp_host", "TUNERY_SMTP__HOST"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    assert refused(**{name: "1"}) == [f"{name} is not a setting. The nearest one is {nearest}."]


def test_variables_of_an_orchestrator_for_services_named_tunery_are_no_settings() -> None:
    given = {
        "TUNERY_SERVICE_HOST": "10.0.0.1",
        "TUNERY_API_SERVICE_PORT_HTTP": "80",
        "TUNERY_PORT": "tcp://10.0.0.1:80",
    }
    assert refused(**given, TUNERY_PORT_80_TCP_ADDR="10.0.0.1") == []


def test_a_secret_file_with_an_unknown_name_or_without_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "TUNERY_PROVIDER__API_KYE").write_text("hunter2")
    [sentence] = refused(TUNERY_SECRETS_DIR=str(tmp_path))
    assert sentence == "TUNERY_PROVIDER__API_KYE is not a setting. The nearest one is TUNERY_PROVIDER__API_KEY."
    (tmp_path / "TUNERY_PROVIDER__API_KYE").rename(tmp_path / "TUNERY_SECRET_KEYS")
    (tmp_path / "TUNERY_SECRET_KEYS").write_bytes(b"\xff\xfe")
    [sentence] = refused(TUNERY_SECRETS_DIR=str(tmp_path))
    assert sentence == f"TUNERY_SECRETS_DIR: a file of {tmp_path} cannot be read: it is not UTF-8 text."


WRONG = {"TUNERY_WEBHOOK_PORTS": "[443", "TUNERY_POLL_EVRY": "1"}
PROCESSES = {
    "api": commands.api("127.0.0.1", 0),
    "worker": commands.worker(1),
    "sender": commands.sender(1),
    "beat": commands.beat(),
    "alembic": [commands.PYTHON, "-m", "alembic", "current"],
    **{name: [commands.PYTHON, "-m", "cli", name] for name in ("api", "worker", "sender", "beat", "migrate")},
    "admin-key": [commands.PYTHON, "-m", "cli", "admin-key", "list"],
    "reconcile": [commands.PYTHON, "-m", "cli", "reconcile"],
    "seed": commands.first(Path("/nowhere")),
}


@pytest.mark.parametrize("command", PROCESSES.values(), ids=[" ".join(each[2:4]) for each in PROCESSES.values()])
def test_each_process_ends_with_the_sentences_alone(command: list[str]) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
    ended = subprocess.run(
        command, env=bare | NEEDED | WRONG, cwd=commands.ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "The settings are not right; .env.example explains each of them.",
        "  TUNERY_POLL_EVRY is not a setting. The nearest one is TUNERY_POLL_EVERY.",
        "  TUNERY_WEBHOOK_PORTS: must be a JSON list; .env.example shows one.",
    ]


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("api", "PORT", "65536"),
        ("api", "PORT", "http"),
        ("api", "WEB_CONCURRENCY", "0"),
        ("api", "WEB_CONCURRENCY", "two"),
        ("worker", "WORKER_CONCURRENCY", "0"),
        ("sender", "SENDER_CONCURRENCY", "x"),
        ("up", "PORT", "-1"),
        ("up", "WEB_CONCURRENCY", "x"),
    ],
)
def test_a_wrong_number_for_the_command_is_a_sentence_too(tmp_path: Path, command: str, name: str, value: str) -> None:
    given = {name: value, "TUNERY_STATE": str(tmp_path / "state")}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
    ended = subprocess.run(
        [commands.PYTHON, "-m", "cli", command],
        env=bare | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode in {1, 2}
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr

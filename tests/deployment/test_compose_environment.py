"""Each setting of `.env` reaches the containers that use it, unchanged, and secrets reach no other container."""

import os
import re
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.deployment.readers import (
    COMPOSE,
    KEY,
    OURS,
    REQUIRED,
    ROOT,
    SERVERS,
    env_written_by_recipe,
    environment_of,
    recipe,
    variables_in,
)
from tests.world import environment

EXAMPLE = (ROOT / ".env.example").read_text()
NAMES = re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE)
WITH_SETTINGS = ("migrate", "backup", *SERVERS)
# Of these a container gets compose's own value, whatever `.env` says.
SET_BY_COMPOSE = {"HOST": {"api"}, "PORT": {"api"}, "TUNERY_HEALTH_ADDRESS": {"worker", "sender", "beat"}}
USERS_OF_SECRETS = {
    "TUNERY_PROVIDER__API_KEY": {"api", "worker"},
    "TUNERY_PROVIDER__WEBHOOK_SECRET": {"api", "worker"},
    "TUNERY_SMTP__PASSWORD": {"sender"},
    "POSTGRES_PASSWORD": set(),  # only as a part of the URL
    "REDIS_PASSWORD": set(),
    "AWS_SECRET_ACCESS_KEY": {"api", "worker", "beat", "backup"},
    "TUNERY_MIGRATION_DATABASE_URL": {"migrate", "backup"},
    "POSTGRES_LOGIN_PASSWORD": set(),
}


def example(*, commented: bool = True) -> dict[str, str]:
    """The variables of `.env.example` with the required ones filled in, and those in comments too."""
    text = re.sub(r"^# (?=[A-Z_]+=)", "", EXAMPLE, flags=re.MULTILINE) if commented else EXAMPLE
    return variables_in(text) | REQUIRED


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_example_reaches_every_container_that_may_use_it(name: str) -> None:
    env_file = example() | {name: "'a $b #c'"}
    reached = {service for service in WITH_SETTINGS if environment_of(service, env_file)[name] == env_file[name]}
    assert reached == USERS_OF_SECRETS.get(name, set(WITH_SETTINGS) - SET_BY_COMPOSE.get(name, set()))


@pytest.mark.parametrize("commented", [True, False])
@pytest.mark.parametrize("service", WITH_SETTINGS)
def test_every_container_starts_with_a_copy_of_the_example(service: str, *, commented: bool) -> None:
    variables = environment_of(service, example(commented=commented))
    variables.pop("TUNERY_SECRETS_DIR", None)  # a folder that this machine does not have
    with environment({}):
        os.environ.clear()
        os.environ.update(variables)
        settings = Settings()
    assert settings.storage == "/data"
    assert [key.get_secret_value() for key in settings.secret_keys] == [KEY]
    assert settings.provider.webhook_secret is None or commented


def test_compose_runs_its_own_database_and_broker_unless_others_are_named() -> None:
    own = environment_of("worker", REQUIRED)
    assert own["DATABASE_URL"] == "postgresql://tunery:pw@postgres:5432/tunery"
    assert own["REDIS_URL"] == "redis://:rpw@redis:6379/0"
    others = {"DATABASE_URL": "postgresql://a:b@db.example/tunery", "REDIS_URL": "rediss://r.example"}
    assert environment_of("worker", REQUIRED | others).items() >= others.items()
    assert environment_of("migrate", REQUIRED | others)["TUNERY_MIGRATION_DATABASE_URL"] == others["DATABASE_URL"]


def test_with_a_password_of_their_own_the_servers_are_not_the_owner_of_the_database() -> None:
    env_file = REQUIRED | {"POSTGRES_LOGIN_PASSWORD": "lpw"}
    for service in WITH_SETTINGS:
        found = environment_of(service, env_file)
        assert found["DATABASE_URL"] == "postgresql://tunery_login:lpw@postgres:5432/tunery"
        owners = "postgresql://tunery:pw@postgres:5432/tunery" if service in {"migrate", "backup"} else ""
        assert found["TUNERY_MIGRATION_DATABASE_URL"] == owners


def test_the_values_of_the_example_mean_the_same_to_compose_and_to_a_shell() -> None:
    values = re.findall(r"^(?:# )?[A-Z_]+=(.*)$", EXAMPLE, re.MULTILINE)
    assert [value for value in values if not re.fullmatch(r"'[^']*'|[^\s'\"$#\\]*", value)] == []


def test_only_containers_with_settings_get_the_env_file() -> None:
    assert environment_of("sandbox", example()).keys() & set(NAMES) <= {"HOST", "PORT", "TUNERY_STORAGE"}
    assert set(environment_of("postgres", example())) == {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
    assert set(environment_of("redis", example())) == {"PASSWORD"}
    assert {*WITH_SETTINGS, "sandbox"} == set(OURS)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_secret_stops_compose_with_a_sentence(name: str) -> None:
    with pytest.raises(LookupError, match=r"^Put the .+ into \.env.+\.$"):
        [environment_of(service, REQUIRED | {name: ""}) for service in OURS]


def test_the_first_lines_of_the_compose_file_write_every_required_variable() -> None:
    assert set(re.findall(r"^(\w+)=", recipe(), re.MULTILINE)) == {*REQUIRED, "POSTGRES_LOGIN_PASSWORD"}
    with_sentence = re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())
    assert set(with_sentence) == set(REQUIRED)


def test_the_recipe_for_env_makes_new_secrets_each_time(tmp_path: Path) -> None:
    first, second = env_written_by_recipe(tmp_path), env_written_by_recipe(tmp_path)
    assert [name for name in first if first[name] == second[name]] == ["TUNERY_PROVIDER__BASE_URL"]

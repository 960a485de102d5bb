"""Dockerfile and docker-compose.yml are safe, complete, and agree with the settings and the command line."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli.local import commands
from cli.trainer import torch_build
from shared.version import VERSION
from tests.deployment.kubernetes import built, container, find, templates
from tests.deployment.readers import (
    METRICS,
    OURS,
    REQUIRED,
    ROOT,
    SERVERS,
    THEIRS,
    TRAINER,
    copied_paths,
    environment_of,
    final_instruction,
    interpolated,
    services,
    stage,
    stages,
    stop_grace_seconds,
    variables_of,
)


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    user, _, group = final_instruction("USER").partition(":")
    assert int(user) > 0 < int(group)  # Kubernetes can check runAsNonRoot only for a number


def test_the_image_contains_what_the_commands_need_and_nothing_else() -> None:
    assert copied_paths() == {
        "api",
        "worker",
        "shared",
        "cli",
        "sandbox",
        "wire_server",
        "trainer",
        "alembic",
        "pyproject.toml",
        "requirements.lock",
        "requirements-postgres.lock",
        "requirements-ray.lock",
        "requirements-trainer.lock",
    }
    assert all((ROOT / path).exists() for path in copied_paths())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied_paths()


def test_packages_are_installed_from_the_lock_by_hash_and_compiled() -> None:
    (install,) = (shlex.split(text) for word, text in stages()[0] if word == "RUN" and " install " in text)
    assert {"--require-hashes", "--compile", "/build/requirements.lock", "/build/requirements-postgres.lock"} <= {
        *install
    }


def test_nothing_secret_is_in_the_image() -> None:
    names = [
        *variables_of("ENV"),
        *variables_of("ENV", "trainer"),
        *variables_of("ENV", "trainer-ray"),
        *(text for stage in stages() for word, text in stage if word == "ARG"),
    ]
    assert not [name for name in names if re.search("KEY|SECRET|PASSWORD|TOKEN|_URL", name)]


def test_the_image_exposes_the_port_that_it_listens_on() -> None:
    assert (variables_of("ENV")["HOST"], variables_of("ENV")["PORT"]) == ("0.0.0.0", final_instruction("EXPOSE"))


def test_the_version_is_written_in_pyproject_alone_and_the_image_has_that_file() -> None:
    assert "pyproject.toml" in copied_paths()
    assert variables_of("LABEL")["org.opencontainers.image.version"] == "$VERSION"  # given to the build
    assert {services()[name]["image"] for name in OURS} == {"tunery"}


@pytest.mark.parametrize(
    ("version", "is_built"), [(VERSION, True), ("unreleased", True), ("9.9.9", False), ("", False)]
)
def test_an_image_with_another_version_in_its_label_is_not_built(version: str, *, is_built: bool) -> None:
    (check,) = (text for word, text in stage("server") if word == "RUN" and "VERSION" in text)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["sh", "-c", check], cwd=ROOT, env={**os.environ, "PATH": path, "VERSION": version})
    assert (done.returncode == 0) == is_built


@pytest.mark.parametrize("name", [*OURS, TRAINER, *THEIRS, *METRICS])
def test_a_container_has_a_read_only_root_and_no_capabilities(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", [*OURS, TRAINER])
def test_our_containers_have_an_init_process_and_longer_to_stop_than_a_server_needs(name: str) -> None:
    assert services()[name]["init"]
    assert stop_grace_seconds(name) > commands.GRACE
    assert any(mount.startswith("/tmp") for mount in services()[name]["tmpfs"])


def test_each_server_starts_after_the_database_is_migrated() -> None:
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services()["migrate"]["restart"] == services()["backup"]["restart"] == "no"
    for name in SERVERS:
        assert services()[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services()[name]["depends_on"]["redis"] == {"condition": "service_healthy"}


def test_each_service_that_others_wait_for_has_a_health_check() -> None:
    assert all(services()[name]["healthcheck"]["test"] for name in (*THEIRS, "sandbox"))
    assert "healthcheck" not in services()["api"]  # the image's own
    assert services()["migrate"]["healthcheck"] == services()["backup"]["healthcheck"] == {"disable": True}
    for name in ("worker", "sender", "beat"):
        assert " /readyz" in str(services()[name]["healthcheck"]).replace("'", " ")


def test_api_worker_beat_and_backup_share_one_storage_volume() -> None:
    storage = environment_of("api", REQUIRED)["TUNERY_STORAGE"]
    mounted = {name for name in OURS if f"storage:{storage}" in services()[name].get("volumes", [])}
    assert mounted == {"api", "worker", "beat", "backup"}


@pytest.mark.parametrize("name", [*OURS, TRAINER, *THEIRS, *METRICS])
def test_no_secret_is_in_a_command_line(name: str) -> None:
    service = services()[name]
    written = interpolated(
        f"{service.get('command')} {service.get('entrypoint')} {service.get('healthcheck')}", REQUIRED
    )
    assert [value for key, value in REQUIRED.items() if "BASE_URL" not in key and value in written] == []
    assert "-a " not in written


@pytest.mark.parametrize("name", [*OURS, TRAINER, *THEIRS, *METRICS])
def test_a_container_has_limits_of_memory_and_processes(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", services()[name]["mem_limit"])
    assert 0 < services()[name]["pids_limit"] <= (2048 if name == TRAINER else 512)


def test_the_image_that_is_built_without_a_target_is_the_servers() -> None:
    assert stages()[-1] == [("FROM", "server")]


def test_the_trainers_image_has_an_environment_by_hash_and_the_same_torch_as_a_checkout() -> None:
    (install,) = (text for word, text in stage("trainer-builder") if word == "RUN")
    assert "--require-hashes --no-deps --only-binary :all: --requirement /build/requirements-trainer.lock" in install
    torches = {word.strip(";") for word in shlex.split(install) if word.startswith("torch==")}
    assert torches == {f"torch=={torch_build.TORCH}"}
    variables = variables_of("ENV", "trainer")
    assert variables["TRAINER_PYTHON"] in {f"{path}/bin/python" for path in shlex.split(install)}
    assert f"trainer:{variables['TRAINER_FOLDER']}" in services()[TRAINER]["volumes"]
    assert f"'127.0.0.1', {variables['TRAINER_PORT']}" in str(services()[TRAINER]["healthcheck"]).replace('"', "'")


def test_the_image_of_a_clusters_machines_is_the_trainers_with_ray_by_hash_where_kuberay_finds_it() -> None:
    (install,) = (text for word, text in stage("ray-builder") if word == "RUN")
    assert "--require-hashes --only-binary :all: --compile --requirement /build/requirements-ray.lock" in install
    assert stage("trainer-ray")[0] == ("FROM", "trainer AS trainer-ray")
    [path] = [shlex.split(text)[-1] for word, text in stage("trainer-ray") if word == "COPY"]
    assert f"python -m venv --without-pip {path} " in install
    assert variables_of("ENV", "trainer-ray")["PATH"] == f"$PATH:{path}/bin"
    assert final_instruction("ENTRYPOINT", "trainer-ray") == "[]"  # KubeRay's command is run as it is


def test_pods_of_the_cluster_have_that_image_and_its_version_of_ray() -> None:
    cluster = find(built("ray"), "RayCluster", "tunery")["spec"]
    locked = re.search(r"^ray==([\d.]+)", (ROOT / "requirements-ray.lock").read_text(), re.MULTILINE)
    assert locked
    assert cluster["rayVersion"] == locked[1]
    images = {maker: container(pod)["image"] for maker, pod in templates(built("ray")).items()}
    assert {image for maker, image in images.items() if maker.startswith("ray-")} == {"tunery-trainer-ray"}
    assert images["trainer"] == "tunery-trainer"
    commands = (ROOT / "Dockerfile").read_text() + (ROOT / "docs" / "deploying.md").read_text()
    for image in ("tunery-trainer-ray", "tunery-trainer"):
        assert f"--target {image.removeprefix('tunery-')} " in commands

"""The settings of the trainer, each a command line flag and a `TRAINER_*` environment variable."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from os import cpu_count, environ
from pathlib import Path
from urllib.parse import urlsplit

from trainer.bases import NAME
from wire_server.process import settings

AUTO = "auto"
DEVICE = re.compile(r"cpu|cuda:\d+")


@dataclass(frozen=True, slots=True)
class Settings(settings.Settings):
    port: int = 8791
    organization: str = "trainer"
    folder: str = ".state/trainer"
    """Bases, files, jobs and models lie here, and the environment that trains."""
    max_active_jobs_per_model: int = 1000
    """Waiting ones count."""
    max_jobs_per_day: int = 10_000
    devices: str = AUTO
    """Such as `cuda:0,cuda:1` or `cpu`. `auto`: every GPU that nvidia-smi shows, else the CPU."""
    devices_per_job: int = 1
    """Devices of a slot. A job divides its batches among them."""
    threads: int = 0
    """CPU threads of a job, and of answers. 0: the cores, divided by the slots."""
    save_every: int = 50
    """Steps between the checkpoints from which a job that was killed goes on."""
    max_bases_loaded: int = 1
    """Bases that answer chats at the same time; each keeps its weights in memory."""
    serving_devices: str = AUTO
    """Where bases are loaded to answer chats: on the one with the most free memory. `auto`: the devices of jobs."""

    vllm_urls: str = ""
    """Bases that a vLLM answers for, and its address: `NAME=http://10.0.0.5:8000,…`. Others are answered here."""
    vllm_api_key: str = field(default="", repr=False)
    """What these vLLMs were started with as --api-key."""
    vllm_command: str = ""
    """Such as `vllm serve`: the other bases are answered by a vLLM each that is started by it, in place of our own."""
    vllm_max_loras: int = 4
    """Adapters that one vLLM keeps loaded, as its --max-loras."""

    ray_address: str = ""
    """Of the dashboard of a Ray cluster that runs the jobs, such as `http://head:8265`. Empty: they run here."""
    ray_token: str = ""
    """Of a cluster that asks for one."""
    ray_slots: int = 1
    """Jobs that run or wait in the cluster at the same time."""
    ray_gpus: float = 0.0
    ray_cpus: float = 1.0
    ray_memory_gb: float = 0.0
    ray_resources: str = ""
    """What each job asks of the cluster; of resources of its own as `slot=1,fast_disk=0.5`."""
    ray_python: str = ""
    """The Python of the trainer's environment on the cluster's machines. Empty: at the same path as here."""
    ray_code: str = ""
    """The folder of Tunery's code there. Empty: at the same path as here."""

    @property
    def path(self) -> Path:
        return Path(self.folder).absolute()

    @property
    def devices_of_a_job(self) -> int:
        return max(1, int(self.ray_gpus)) if self.ray_address else self.devices_per_job

    def all_devices(self) -> list[str]:
        if self.devices == AUTO:
            return _gpus() or ["cpu"]
        return _named(self.devices)

    def serving_slots(self) -> list[str]:
        """The devices that bases may be loaded on."""
        return self.all_devices() if self.serving_devices == AUTO else _named(self.serving_devices)

    def slots(self) -> list[str]:
        """The device of each slot, or several as `cuda:0+cuda:1`."""
        devices, size = self.all_devices(), self.devices_per_job
        return ["+".join(devices[first : first + size]) for first in range(0, len(devices), size)]


def threads(settings: Settings, n_slots: int) -> int:
    """The CPU threads of a job."""
    return settings.threads or max(1, (cpu_count() or 1) // n_slots)


def vllm_addresses(settings: Settings) -> dict[str, str]:
    """By the base's name. Raises ValueError, with a sentence."""
    found = {}
    for pair in filter(None, (each.strip() for each in settings.vllm_urls.split(","))):
        name, _, url = pair.partition("=")
        address = urlsplit(url)
        if not NAME.fullmatch(name) or address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("each must be a base and an address, such as qwen=http://10.0.0.5:8000")
        if address.username or address.password or address.query or address.fragment:
            raise ValueError("an address has nothing but a host, a port and a path; the key is TRAINER_VLLM_API_KEY")
        if _is_public(address.hostname):
            raise ValueError(f"{address.hostname} is a public address, and vLLM loads any path that it is told to")
        found[name] = url.rstrip("/").removesuffix("/v1")
    return found


def _is_public(host: str) -> bool:
    """Of an address; a name may mean another one tomorrow."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


def read(arguments: Sequence[str], environment: Mapping[str, str] = environ) -> Settings:
    """Exits with a sentence where a setting is missing or wrong."""
    description = "Fine-tunes open weights on this machine, and answers with them, on OpenAI's wire."
    given = settings.read(Settings, "trainer", description, arguments, environment)
    if not given.api_key:
        sys.exit(
            "The trainer needs a key that its callers send: set TRAINER_API_KEY, for example to a long random text."
        )
    devices = given.all_devices()
    if not all(DEVICE.fullmatch(device) for device in devices):
        sys.exit("--devices (TRAINER_DEVICES) must be auto, cpu, or GPUs such as cuda:0,cuda:1.")
    _check_division(devices, given.devices_per_job)
    _check_serving(given)
    if given.save_every < 1:
        sys.exit("--save-every (TRAINER_SAVE_EVERY) must be a number of steps from 1 on.")
    return given


def _check_division(devices: list[str], size: int) -> None:
    if size < 1 or len(devices) % size:
        sys.exit(
            f"--devices-per-job (TRAINER_DEVICES_PER_JOB) is {size}, but the devices are {', '.join(devices)}: their "
            "number must be a multiple. Name those that are to be used in TRAINER_DEVICES."
        )
    if size > 1 and "cpu" in devices and len(set(devices)) > 1:
        sys.exit("--devices (TRAINER_DEVICES) mixes GPUs and the CPU, which cannot share a job: name one kind.")
    if size > 1 and len(set(devices)) < len(devices) and "cpu" not in devices:
        sys.exit("--devices (TRAINER_DEVICES) names a GPU twice, which two processes of a job cannot share.")


def _check_serving(given: Settings) -> None:
    if not all(DEVICE.fullmatch(device) for device in given.serving_slots()):
        sys.exit("--serving-devices (TRAINER_SERVING_DEVICES) must be auto, cpu, or GPUs such as cuda:0,cuda:1.")
    try:
        vllm_addresses(given)
        shlex.split(given.vllm_command)
    except ValueError as error:
        sys.exit(f"--vllm-urls (TRAINER_VLLM_URLS) or --vllm-command (TRAINER_VLLM_COMMAND) is wrong: {error}.")
    if given.vllm_max_loras < 1:
        sys.exit("--vllm-max-loras (TRAINER_VLLM_MAX_LORAS) must be a number of adapters from 1 on.")


def _named(devices: str) -> list[str]:
    return [device.strip() for device in devices.split(",")]


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    if visible := environ.get("CUDA_VISIBLE_DEVICES"):  # jobs count among these
        return [f"cuda:{number}" for number in range(len(visible.split(",")))]
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        sys.exit("nvidia-smi is here but fails: mend it, or name the devices in TRAINER_DEVICES, for example cpu.")
    return [f"cuda:{number}" for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU")]

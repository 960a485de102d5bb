"""Where the trainer's own environment is: the Python that has PyTorch, transformers and TRL."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "TRAINER_PYTHON"  # names the Python of an environment that was made elsewhere, as the image does
SECRETS = ("TRAINER_API_KEY", "TRAINER_RAY_TOKEN", "TRAINER_VLLM_API_KEY")  # of the server; its processes are not told


class NotSetUp(Exception):
    """There is no such environment; the sentence says what to do."""


def find_python(folder: Path) -> Path:
    """The environment's Python. `folder` is the trainer's state. Raises `NotSetUp`."""
    if given := os.environ.get(VARIABLE):
        if os.access(given, os.X_OK):
            return Path(given)
        raise NotSetUp(f"{VARIABLE} is {given}, which cannot be run.")
    for env in (folder / "env", ROOT / ".state" / "trainer" / "env"):
        if (env / "tunery-lock").exists():  # written when it is whole
            return env / "bin" / "python"
    raise NotSetUp("The trainer's environment is not set up. Run ./tunery trainer setup")


def variables() -> dict[str, str]:
    """The environment variables of its processes on this machine."""
    return inherited() | own_variables(ROOT)


def inherited() -> dict[str, str]:
    """The server's own variables without its secrets."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def own_variables(code: Path) -> dict[str, str]:
    """What its processes need on each machine: our `code` is found, nothing is downloaded, waiting threads sleep."""
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error"}
    # CUDA counts GPUs by speed unless it is told to count as nvidia-smi does, by which free memory is compared.
    order = {"CUDA_DEVICE_ORDER": os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}
    # Two OpenMP threads on busy cores collapse when they spin while they wait: hence PASSIVE.
    return offline | quiet | order | {"PYTHONPATH": str(code), "OMP_WAIT_POLICY": "PASSIVE"}

"""Sets `.venv` up as the lock says, with nothing but the standard library, and hands over to the command in it."""

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements-dev.lock"
STAMP = VENV / "tunery-lock"
UV_LOCK = ROOT / "cli" / "requirements-uv.lock"

SLOWING = "PYTHONDONTWRITEBYTECODE"  # without .pyc files every process starts three times as slowly
FOR_INSTALLERS = {"UV_PYTHON_DOWNLOADS": "never", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_RETRIES": "1"}
TRUST_OF_THE_SYSTEM = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}  # the newer and the older name
FULL_DISK = ("No space left on device", "os error 28", "Disk quota exceeded")
NO_NETWORK = ("error sending request", "dns error", "Failed to establish a new connection", "NameResolutionError")
NO_TRUST = ("invalid peer certificate", "CERTIFICATE_VERIFY_FAILED")
NO_INSTALLER = ("No module named pip", "ensurepip is not")


class CannotSetUp(Exception):
    """The environment could not be made; the sentence says why, and what to do."""


def main() -> None:
    state = Path(os.environ.get("TUNERY_STATE") or ROOT / ".state").absolute()
    try:
        if not is_set_up():
            set_up(state)
    except CannotSetUp as reason:
        sys.exit(str(reason))
    except OSError as error:
        sys.exit(explain_error(error))
    except KeyboardInterrupt:
        sys.exit(130)
    hand_over(state)


def hand_over(state: Path) -> None:
    """Becomes the command: the same process in the same folder, with no Python path but ours."""
    environ = dict(os.environ) | {"PYTHONPATH": str(ROOT), "TUNERY_STATE": str(state)}
    environ.pop(SLOWING, None)
    os.execve(PYTHON, [str(PYTHON), "-P", "-m", "cli", *sys.argv[1:]], environ)


def is_set_up() -> bool:
    return os.access(PYTHON, os.X_OK) and STAMP.exists() and STAMP.read_text() == fingerprint()


def fingerprint() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def set_up(state: Path) -> None:
    if not os.access(ROOT, os.W_OK):
        raise CannotSetUp(
            f"Tunery sets itself up in {ROOT}, which you may not write to: clone it to a folder of yours."
        )
    log = state / "logs" / "setup.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with only_one(state):
        if not is_set_up():  # another one may have done it while we waited
            print("Setting up (only the first time, and when requirements-dev.lock has changed) …", file=sys.stderr)
            log.write_text("")
            install(state, log)
            STAMP.write_text(fingerprint())


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    with (state / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(state: Path, log: Path) -> None:
    """With uv in half a second to five; with pip alone, where uv cannot be had, in a minute."""
    uv = find_uv(state) or fetch_uv(state, log)
    if not (uv and install_with_uv(uv, log)) and not install_with_pip(log):
        raise CannotSetUp(explain_log(log))


def find_uv(state: Path) -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(state / "uv" / "bin"))


def fetch_uv(state: Path, log: Path) -> str | None:
    """Into a folder of its own: works with a Python that its system manages, and without `venv`."""
    options = ["--quiet", "--require-hashes", "--no-deps", "--upgrade", "--target", str(state / "uv")]
    done = run(log, sys.executable, "-m", "pip", "install", *options, "-r", str(UV_LOCK))
    return find_uv(state) if done else None


def install_with_uv(uv: str, log: Path) -> bool:
    if not PYTHON.exists() and not run(log, uv, "venv", "--quiet", "--python", sys.executable, str(VENV)):
        return False
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(LOCK)]
    return run(log, *sync) or (has_any(log, NO_TRUST) and run(log, *sync, **TRUST_OF_THE_SYSTEM))


def install_with_pip(log: Path) -> bool:
    if has_any(log, FULL_DISK + NO_NETWORK):
        return False  # it would meet the same
    venv = run(log, sys.executable, "-m", "venv", str(VENV))
    return venv and run(log, str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK))


def has_any(log: Path, signs: tuple[str, ...]) -> bool:
    text = log.read_text()
    return any(sign in text for sign in signs)


def run(log: Path, *command: str, **variables: str) -> bool:
    with log.open("a") as output:
        print("$", *command, file=output, flush=True)
        environ = os.environ | FOR_INSTALLERS | variables
        done = subprocess.run(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    return done.returncode == 0


def explain_log(log: Path) -> str:
    if has_any(log, FULL_DISK):
        return explain_error(OSError(errno.ENOSPC, ""))
    if has_any(log, NO_TRUST):
        reason = "the package index shows a certificate that is not trusted. SSL_CERT_FILE names your company's own"
    elif has_any(log, NO_NETWORK):
        reason = "no package index answers. Check the network; UV_DEFAULT_INDEX and PIP_INDEX_URL name a mirror"
    elif has_any(log, NO_INSTALLER):
        reason = f"{sys.executable} has neither pip nor venv. Install uv, or your system's python3-venv"
    else:
        reason = "\n".join(log.read_text().splitlines()[-8:])
    return f"Tunery could not install its packages: {reason}\nEverything that was tried is in {log}"


def explain_error(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(ROOT).free >> 20
        return f"The disk is full: Tunery needs about 600 MB, and {ROOT} has {free} MB left. Make room and start again."
    where = f" ({error.filename})" if error.filename else ""
    return f"Tunery could not set itself up: {error.strerror}{where}. TUNERY_STATE names another folder for its state."

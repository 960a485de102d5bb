"""The storage locations of tests: a folder, or a bucket of moto's server, which speaks S3 over HTTP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2

from cli.processes import ports
from tests.servers import wait_for_port

BUCKET = "tunery"


@dataclass(frozen=True)
class StorageLocation:
    """`setting` is the value of TUNERY_STORAGE; `endpoint` is the address of the server of a bucket."""

    setting: str
    endpoint: str | None = None

    def names(self) -> list[str]:
        """The names of all that is stored there, sorted."""
        if self.endpoint is None:
            return sorted(path.name for path in Path(self.setting).glob("*"))
        prefix = self.setting.removeprefix(f"s3://{BUCKET}/") + "/"
        listed = httpx2.get(f"{self.endpoint}/{BUCKET}?list-type=2&prefix={quote(prefix)}").raise_for_status()
        return sorted(name.removeprefix(prefix) for name in re.findall("<Key>(.*?)</Key>", listed.text))


@contextmanager
def s3_server() -> Iterator[str]:
    """Start an S3 server with one bucket, and yield its address."""
    with ports.held() as port:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            address = f"http://127.0.0.1:{port}"
            httpx2.put(f"{address}/{BUCKET}").raise_for_status()
            yield address
        finally:
            process.terminate()
            process.wait()


def variables(endpoint: str) -> dict[str, str]:
    """The environment variables with which a process uses that server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }

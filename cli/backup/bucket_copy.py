"""Copies a backup into a bucket, below its own name, with the keys that the storage's bucket has (AWS_* variables)."""

from pathlib import Path

from cli.backup.folder import MANIFEST
from cli.failure import Failure
from shared.datasets.storage.location import BUCKET


def check(url: str) -> None:
    """Raises `Failure` for what is no bucket."""
    if not url.startswith(BUCKET) or not url.removeprefix(BUCKET).strip("/"):
        raise Failure(f"{url} is no bucket: name one as s3://bucket/prefix.")


def copy(backup: Path, url: str) -> str:
    """Copy each file, the manifest last, and return the address. Raises `Failure`."""
    from shared.datasets.storage.s3 import Bucket

    address = f"{url.rstrip('/')}/{backup.name}"
    paths = sorted(path for path in backup.rglob("*") if path.is_file() and path.name != MANIFEST)
    try:
        bucket = Bucket(address)
        for path in [*paths, backup / MANIFEST]:
            bucket.put_file(str(path.relative_to(backup)), path)
    except OSError as error:
        why = str(error).splitlines()[0]  # the rest is debug output of the bucket's client
        raise Failure(f"{backup} is whole, but could not be copied to {address}: {why}") from None
    return address

"""`tunery backup` and `tunery restore`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.columns import say


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, which the backup will be.")],
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="NUMBER",
            min=1,
            help="Write into a new folder inside FOLDER, named by the time, and remove all but the last NUMBER there.",
        ),
    ] = None,
    copy_to: Annotated[
        str | None,
        typer.Option(
            "--copy-to", metavar="s3://BUCKET/PREFIX", help="Copy the backup into a bucket too, below its name."
        ),
    ] = None,
) -> None:
    """Write the database and every file that its rows name into a folder, each with its hash. Servers may run.

    It does not contain TUNERY_SECRET_KEYS, without which it cannot be restored: keep them apart from it. A backup that
    was cut off has no `manifest.json`, and is never restored.

    Exit status: 0, or 1 if there is no backup or no copy, or if the storage lacks or has damaged a file.
    """
    from cli.backup import bucket_copy, keeping
    from cli.backup.writing import back_up
    from cli.failure import Failure

    if copy_to is not None:
        bucket_copy.check(copy_to)
    into = folder if keep is None else keeping.new_backup(folder)
    manifest, copies = back_up(into)
    print(f"{into}: revision {manifest.revision}, {manifest.files} files of {manifest.file_bytes:,} bytes together.")
    if keep is not None and (removed := keeping.remove_older(folder, keep)):
        print(f"Removed: {', '.join(removed)}.")
    if copy_to is not None:
        print(f"Copied: {bucket_copy.copy(into, copy_to)}")
    if wrong := copies.complaints():
        raise Failure("\n".join([*wrong, "The backup is whole but for that, and can be restored."]))


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    check: Annotated[bool, typer.Option("--check", help="Read and check the backup, and restore nothing.")] = False,
    without_key: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="A key that is lost for good, by its id; may be repeated.")
    ] = None,
) -> None:
    """Restore a backup into an empty database and an empty storage, and migrate to this version.

    It is checked as a whole before anything is written: the hash of each part, the schema, the keys of its secrets.

    Afterwards, before any worker or the beat starts, run `tunery reconcile --restored`.
    """
    from cli.backup import restoring

    manifest = restoring.check(folder, without_key or [])
    made = f"{folder}, made {manifest.made_at} by Tunery {manifest.version}, with {manifest.files} files"
    if check:
        print(f"Whole: {made}.")
        return
    restoring.restore(folder, manifest)
    print(f"Restored: {made}.")
    say("Before any worker or the beat starts, run `tunery reconcile --restored`.")

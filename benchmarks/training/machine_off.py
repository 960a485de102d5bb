"""The machine goes off: trainer and job end in the same instant, and what was not on the disk yet is gone.

The trainer's folder lies on an ext4 file system in a file, behind a loop device, whose own commits are five minutes
apart. At the moment of the power cut all processes are stopped, and that file is copied: the copy holds what the file
system had written to its device until then (what was flushed, and nothing that only the page cache held). Then the
processes are killed, and the trainer goes on in the copy, after ext4 has replayed its journal. What is not simulated: a
disk that loses what it had confirmed, or that writes in another order than it was told.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.training.bench import Row
from benchmarks.training.kills import KILLS, SAVE_EVERY, killed_again_and_again, processes
from tests.trainer.trainer_process import Trainer

MEGABYTES = 600
WHAT = "machine off"


class Disk:
    """`image` is mounted at `mounted`."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mounted = folder / "image", folder / "mounted"
        self.mounted.mkdir()
        with self.image.open("wb") as file:
            file.truncate(MEGABYTES << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True, capture_output=True)

    def mount(self) -> None:
        options = "loop,commit=300"
        subprocess.run(["mount", "-t", "ext4", "-o", options, self.image, self.mounted], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.mounted], check=True)

    def cut_power(self, trainer: Trainer) -> None:
        running = processes(trainer)
        for process in running:
            process.suspend()
        left = self.image.with_name("left")
        subprocess.run(["cp", "--sparse=always", self.image, left], check=True)
        for process in running:
            process.kill()
        trainer.stop(signal.SIGKILL)
        psutil.wait_procs(running, timeout=60)
        self.unmount()
        left.replace(self.image)
        self.mount()


def rows(kills: int = KILLS) -> Iterator[Row]:
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("mkfs.ext4", "mount", "umount")):
        yield WHAT, "each job ends, equal to 1e-6", "not measured: needs root, for a file system of its own"
        return
    with _disk() as disk, Trainer(disk.mounted / "trainer", save_every=SAVE_EVERY) as trainer:
        subprocess.run(["sync", "--file-system", disk.mounted], check=True)  # the base is put there without the trainer
        yield from killed_again_and_again(trainer, kills, disk.cut_power).rows(f"{WHAT}, unsynced data thrown away")


@contextmanager
def _disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder))
        disk.mount()
        try:
            yield disk
        finally:
            disk.unmount()

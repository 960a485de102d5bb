"""Calls of OpenAI's wire that a provider which speaks the rest of it has not: they are refused, and nothing is sent."""

from datetime import timedelta
from typing import BinaryIO, NoReturn

from worker.providers.errors import unsupported


class NoUploads:
    def create_upload(self, name: str, size: int, expiry: timedelta) -> NoReturn:
        raise unsupported(f"This provider takes no file in parts, and {size} bytes are too many for one call")

    def create_part(self, upload_id: str, data: BinaryIO) -> NoReturn:
        raise unsupported("This provider takes no file in parts")

    def complete_upload(self, upload_id: str, part_ids: list[str]) -> NoReturn:
        raise unsupported("This provider takes no file in parts")


class NoPause:
    def pause_job(self, provider_job_id: str) -> NoReturn:
        raise unsupported("This provider pauses no job")

    def resume_job(self, provider_job_id: str) -> NoReturn:
        raise unsupported("This provider pauses no job, so that none can be resumed")


class NoSlots:
    def job_slots(self) -> dict[str, int]:
        """Nothing: it does not say how many jobs it runs at once."""
        return {}

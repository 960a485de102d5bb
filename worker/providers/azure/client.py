"""Azure OpenAI and Microsoft Foundry, called through OpenAI's SDK at the address of a resource or of a project."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from worker.providers import sanitize
from worker.providers.azure.deploying import OPEN, AzureDeployments
from worker.providers.errors import ProviderError, no_answer, refusal, unsupported
from worker.providers.openai import parsing
from worker.providers.openai.calls import path
from worker.providers.openai.client import OpenAIProvider
from worker.providers.openai.lacking import NoSlots
from worker.providers.openai.model_list import base_models
from worker.providers.protocol import BaseModel, NewJob, ProviderJob

TUNED = ".ft-"
_NO_ROUTE = {404, 405}
_UNFINISHED = {"pending", "running", "notRunning"}


class AzureProvider(NoSlots, AzureDeployments, OpenAIProvider):
    def list_base_models(self) -> list[BaseModel]:
        """The list has tuned models too: `{base}.ft-{job}-{suffix}`."""
        with self._errors():
            listed = parsing.items(self._json.get("/models"))
            raws = [raw for raw in listed if TUNED not in str(raw.get("id"))]
            says = {str(raw.get("id")): _says_tunable(raw) for raw in raws}
            return [replace(model, is_tunable=_is_tunable(model, says.get(model.id))) for model in base_models(raws)]

    def create_upload(self, name: str, size: int, expiry: timedelta) -> str:
        """Only the address of a resource has uploads. A larger file that is sent whole fails there after a while."""
        try:
            return super().create_upload(name, size, expiry)
        except ProviderError as error:
            if error.status not in _NO_ROUTE:
                raise
            sentence = (
                f"This address takes no file in parts, and {size} bytes are too many for one call: the account needs "
                "the address of the resource, https://RESOURCE.openai.azure.com/openai/v1, not that of a project"
            )
            raise unsupported(sentence) from None

    def create_job(self, job: NewJob) -> ProviderJob:
        """Azure looks at a file after it has taken it. A refusal may be about that, whatever its code is."""
        try:
            return super().create_job(job)
        except ProviderError as error:
            if error.status != 400 or error.retryable:
                raise
            raise self._file_problem(job) or error from None

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        """Raises `ProviderError` if none has our id, and a new job of the same file has no metadata at all.

        It may be the one that is searched for, and must not be created again; or another of ours, and must not be taken
        for this one.
        """
        found = super().find_jobs(job_id, since, training_file)
        if not found and self._has_unmarked(since, training_file):
            raise no_answer(f"A new job of {training_file} has no metadata there, so it cannot be told whose it is")
        return found

    def _has_unmarked(self, since: datetime, training_file: str) -> bool:
        with self._errors():
            of_file = (raw for raw in self._raw_jobs_since(since) if raw.get("training_file") == training_file)
            return not all(map(parsing.metadata_of, of_file))

    def _file_problem(self, job: NewJob) -> ProviderError | None:
        for param, id in (("training_file", job.training_file), ("validation_file", job.validation_file)):
            if id is None:
                continue
            try:
                with self._errors():
                    raw = parsing.json_object(self._json.get(path("/files", id)))
            except ProviderError:
                return None
            status = raw.get("status")
            if status == "error":
                words = sanitize.some_text(raw.get("status_details")) or "it does not say why"
                return refusal(400, f"The provider could not read {id}: {words}", f"invalid_{param}", param=param)
            if status in _UNFINISHED:
                return refusal(400, f"The provider still looks at {id}", "file_not_ready", param=param)
        return None


def _says_tunable(raw: dict[str, Any]) -> object:
    able = raw.get("capabilities")
    return able.get("fine_tune") if isinstance(able, dict) else None


def _is_tunable(model: BaseModel, says: object) -> bool:
    """It says of models with open weights that they cannot be tuned, although they can."""
    return model.id.lower().startswith(OPEN) or (says if isinstance(says, bool) else model.is_tunable)

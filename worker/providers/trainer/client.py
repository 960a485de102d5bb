"""The trainer speaks OpenAI's wire; what a job wants beside it is sent inside `provider_options`."""

from dataclasses import replace

from worker.providers.openai.client import OpenAIProvider
from worker.providers.protocol import NewJob, ProviderJob


class TrainerProvider(OpenAIProvider):
    def create_job(self, job: NewJob) -> ProviderJob:
        options = {"provider_options": job.provider_options} if job.provider_options else {}
        return super().create_job(replace(job, provider_options=options))

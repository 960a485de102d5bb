"""How many jobs have ended, by the day on which they were created."""

from datetime import date

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from shared.db.columns import EnumField
from shared.jobs.models import JobStatus


class DailyJobs(SQLModel, table=True):
    """How many of the jobs that a project created on a day (UTC) have ended so. Written by a trigger at the commit."""

    __tablename__ = "daily_jobs"

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    day: date = Field(primary_key=True)
    status: JobStatus = EnumField(JobStatus, primary_key=True)
    jobs: int = Field(sa_type=BigInteger)
    trained_tokens: int = Field(sa_type=BigInteger)

"""The table of what asking models has used, by day."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from shared.db.columns import AmountField


class DailyInference(SQLModel, table=True):
    """What a project has asked of a model on a day (UTC), by what the answers said.

    `requests`: answers that said what they used, or were left before; of these, `estimated_requests`, it is estimated.
    `cached_tokens` are among `input_tokens`. `cost`: of those whose price was known, in US dollars;
    `unpriced_requests`: the others. What a deployment answers costs nothing here.
    """

    __tablename__ = "daily_inference"
    __table_args__ = (Index(None, "day"),)

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    day: date = Field(primary_key=True)
    model: str = Field(primary_key=True)
    requests: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cost: Decimal = AmountField(default=Decimal(), sa_column_kwargs={"server_default": "0"})
    unpriced_requests: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    estimated_requests: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})

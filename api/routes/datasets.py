"""`/v1/datasets`: what is in a training file, everything that is wrong with it, and what it will cost."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.idempotency import IdempotentRoute
from shared.database import transaction
from shared.datasets import collection, reports
from shared.datasets.models import DatasetStatus
from shared.datasets.preview import ExamplePreview, preview
from shared.datasets.prices import estimate
from shared.datasets.storage import store
from shared.datasets.validation.overlap import overlap
from shared.datasets.validation.rules.limits import rules
from shared.datasets.views import DatasetCreate, DatasetPublic, EstimatePublic, Overlapping, ProblemPublic
from shared.db.pages import Page
from shared.errors import Invalid
from shared.jobs import dataset_views

router = APIRouter(prefix="/v1/datasets", tags=["Datasets"], route_class=IdempotentRoute, dependencies=[scope("files")])
COMPARED_BYTES = 256 << 20  # seconds of one thread; larger files are compared before a job that names them


@router.post("", response_model=DatasetPublic)
def create_dataset(session: SessionDep, caller: CallerDep, new: DatasetCreate) -> DatasetPublic:
    """Make a dataset of an uploaded file, of examples in this request, or of what lies at an https address.

    With `split`, two more are made of it once it has passed its check: `training_dataset` and `validation_dataset`
    can be named in a job at once.
    """
    written = collection.write(new.examples) if new.examples is not None else None
    try:
        dataset = collection.create(session, caller.project_id, new, written)
        session.flush()
    except BaseException:
        if written is not None:
            store.remove(written.id)
        raise
    return collection.show(session, dataset)


@router.get("", response_model=Page[DatasetPublic])
def list_datasets(
    session: SessionDep, caller: CallerDep, after: After = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Page[DatasetPublic]:
    """The project's datasets, newest first: its files of purpose `fine-tune`, with what their check has said."""
    return Page.of(collection.list_datasets(session, caller.project_id, after=after, limit=limit), limit)


@router.get("/{dataset_id}", response_model=DatasetPublic)
def retrieve_dataset(session: SessionDep, caller: CallerDep, dataset_id: str) -> DatasetPublic:
    """A dataset with its statistics, the datasets split off it, and the newest 100 jobs that used it."""
    dataset = collection.get_dataset(session, caller.project_id, dataset_id)
    return dataset_views.show(session, dataset)


@router.get("/{dataset_id}/errors", response_model=Page[ProblemPublic])
def list_dataset_errors(
    session: SessionDep,
    caller: CallerDep,
    dataset_id: str,
    code: Annotated[str | None, Query(max_length=64)] = None,
    severity: Literal["error", "warning"] | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[ProblemPublic]:
    """The first 1,000 problems in the order of the file; `counts` of the dataset says how many there are in all."""
    dataset = collection.get_dataset(session, caller.project_id, dataset_id)
    found = collection.list_problems(session, dataset, code=code, severity=severity, after=after, limit=limit)
    return Page.of(found, limit)


@router.get("/{dataset_id}/preview", response_model=list[ExamplePreview])
def preview_dataset(
    caller: CallerDep,
    dataset_id: str,
    model: Annotated[str, Query(max_length=256)] = "gpt-4o-mini",
    limit: Annotated[int, Query(ge=1, le=20)] = 3,
) -> list[ExamplePreview]:
    """The first examples, cut into tokens as this model reads them."""
    with transaction(caller.project_id) as session:  # over before the bytes are read
        dataset = collection.get_dataset(session, caller.project_id, dataset_id)
        report = collection.checked(session, dataset)
    if report.format is None:
        raise Invalid(f"{dataset.id} has no examples that could be read", code="invalid_training_file")
    with store.open_dataset(dataset.id) as file:
        return preview(file, report.format, model, report.provider, limit)


@router.get("/{dataset_id}/estimate", response_model=EstimatePublic)
def estimate_dataset(
    session: SessionDep,
    caller: CallerDep,
    dataset_id: str,
    model: Annotated[str, Query(max_length=256)],
    method: Literal["supervised", "dpo", "reinforcement"] | None = None,
    n_epochs: Annotated[int | None, Query(ge=1, le=50)] = None,
) -> EstimatePublic:
    """What a training on this dataset will cost; an unknown price is said to be unknown.

    Tokens are counted as the model reads them. If they have not been so far, that begins now: ask again in a moment.
    """
    dataset = collection.get_dataset(session, caller.project_id, dataset_id)
    report = collection.checked(session, dataset)
    if dataset.status is DatasetStatus.ERROR:
        raise Invalid(dataset.status_details or "The dataset is invalid", code=dataset.error_code)
    if report.encoding is None:
        raise Invalid(f"The tokens of {dataset.id} are still being counted: ask again", code="dataset_not_checked")
    base = rules().model(model)
    counted = reports.in_encoding(session, dataset, report, base.encoding) if base else report
    found = EstimatePublic.of(dataset.id, estimate(counted or report, model, method, n_epochs))
    if base and counted is None:
        found.reason = (
            f"The tokens are being counted in {base.encoding}, which {base.name} reads: ask again in a moment"
        )
    return found


@router.get("/{dataset_id}/compare", response_model=Overlapping)
def compare_datasets(caller: CallerDep, dataset_id: str, other: Annotated[str, Query(max_length=64)]) -> Overlapping:
    """Which examples of this dataset are in the other one too; of larger files, the first 256 MiB are compared."""
    with transaction(caller.project_id) as session:  # over before the bytes are read
        first, second = (collection.get_dataset(session, caller.project_id, each) for each in (dataset_id, other))
        for each in (first, second):
            collection.checked(session, each)
    with store.open_dataset(first.id) as ours, store.open_dataset(second.id) as theirs:
        return Overlapping.of(first.id, second.id, overlap(ours, theirs, max_bytes=COMPARED_BYTES))

"""`/v1/datasets`: the contents, problems, statistics and estimated costs of training files."""

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.router import Router
from api.idempotency import IdempotentRoute
from shared.database import transaction
from shared.datasets import collection
from shared.datasets.models import DatasetStatus
from shared.datasets.preview import ExamplePreview, preview
from shared.datasets.storage import lines, store
from shared.datasets.validation.overlap import overlap
from shared.datasets.views import DatasetCreate, DatasetPublic, EstimateList, EstimatePublic, Overlapping, ProblemPublic
from shared.db.pages import Page
from shared.errors import Invalid
from shared.jobs import dataset_views
from shared.jobs.elsewhere import estimates, suitability
from shared.jobs.elsewhere.suitability import DatasetProviderList

router = Router(prefix="/v1/datasets", tags=["Datasets"], route_class=IdempotentRoute, dependencies=[scope("files")])
NamePart = Annotated[
    str | None,
    Query(min_length=1, max_length=128, description="A part of the dataset's or its file's name"),
]
COMPARED_BYTES = 256 << 20  # takes seconds of one thread; a job's own check compares the whole files


@router.post("", response_model=DatasetPublic)
def create_dataset(session: SessionDep, caller: CallerDep, new: DatasetCreate) -> DatasetPublic:
    """Create a dataset from an uploaded file, from examples in this request, or from an https URL.

    With `split`, it is also divided into a `training_dataset` and a `validation_dataset` after it has passed its
    check; their ids are returned now and can be used in a job at once. Returns the dataset, which is checked in the
    background. Errors: 404 for an unknown `file_id`, 400 for a URL that may not be fetched.
    """
    written = collection.store_examples(new.examples) if new.examples is not None else None
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
    session: SessionDep,
    caller: CallerDep,
    status: DatasetStatus | None = None,
    name: NamePart = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[DatasetPublic]:
    """List the project's datasets, newest first: its files of purpose `fine-tune`, with the results of their checks.

    Of `status` `uploaded` are those whose check has not ended.
    """
    found = collection.list_datasets(session, caller.project_id, status=status, name=name, after=after, limit=limit)
    return Page.of(found, limit)


@router.get("/{dataset_id}", response_model=DatasetPublic)
def retrieve_dataset(session: SessionDep, caller: CallerDep, dataset_id: str) -> DatasetPublic:
    """Return a dataset with its statistics, the datasets split from it, and the newest 100 jobs that used it."""
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
    """List the problems found in a dataset, in the order of the file.

    The first 1,000 are kept; the dataset's `counts` has the total for each `code`.
    """
    dataset = collection.get_dataset(session, caller.project_id, dataset_id)
    found = collection.list_problems(session, dataset, code=code, severity=severity, after=after, limit=limit)
    return Page.of(found, limit)


_AS_LINES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}}}


@router.get("/{dataset_id}/valid.jsonl", response_class=StreamingResponse, responses=_AS_LINES)
def retrieve_valid_lines(caller: CallerDep, dataset_id: str) -> StreamingResponse:
    """Return the lines of a dataset in which the check found no error, as JSON Lines, in their order.

    Errors: 400 `dataset_not_checked` while the dataset is being checked, 400 `invalid_training_file` if it has more
    errors than are kept.
    """
    with transaction(caller.project_id) as session:  # ends before the file is read, which may be slow
        dataset = collection.get_dataset(session, caller.project_id, dataset_id)
        wrong = collection.wrong_lines(session, dataset)
    headers = {"content-disposition": f'attachment; filename="{dataset.id}.valid.jsonl"'}
    content = lines.without(store.open_dataset(dataset.id), wrong)
    return StreamingResponse(content, media_type="application/jsonl", headers=headers)


@router.get("/{dataset_id}/preview", response_model=list[ExamplePreview])
def preview_dataset(
    caller: CallerDep,
    dataset_id: str,
    model: Annotated[str, Query(max_length=256)] = "gpt-4o-mini",
    limit: Annotated[int, Query(ge=1, le=20)] = 3,
) -> list[ExamplePreview]:
    """Return the first examples, split into tokens as this model's encoding does.

    Errors: 400 `dataset_not_checked` while the dataset is being checked, 400 if no example could be read.
    """
    with transaction(caller.project_id) as session:  # ends before the file is read, which may be slow
        dataset = collection.get_dataset(session, caller.project_id, dataset_id)
        report = collection.get_report(session, dataset)
    if report.format is None:
        raise Invalid(f"{dataset.id} has no examples that could be read", code="invalid_training_file")
    with store.open_dataset(dataset.id) as file:
        return preview(file, report.format, model, report.provider, limit)


@router.get("/{dataset_id}/estimate", response_model=EstimatePublic | EstimateList)
def estimate_dataset(
    session: SessionDep,
    caller: CallerDep,
    dataset_id: str,
    model: Annotated[str | None, Query(max_length=256)] = None,
    method: Literal["supervised", "dpo", "reinforcement"] | None = None,
    n_epochs: Annotated[int | None, Query(ge=1, le=50)] = None,
    provider: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> EstimatePublic | EstimateList:
    """Estimate the cost of training a model on this dataset; without `model`, of each that the project could tune.

    If the price is unknown, `reason` says why. If the tokens have not been counted in the model's encoding yet,
    counting starts now and `reason` says so: repeat the request in a moment. `problems` says what a job with this model
    and method would be refused for. `provider` narrows it to the accounts at one provider. Errors: 400
    `dataset_not_checked` while the dataset is being checked, 400 if it is invalid.
    """
    project_id = caller.project_id
    if model is not None:
        return estimates.of_model(session, project_id, dataset_id, model, method, n_epochs, provider)
    found = estimates.everywhere(session, project_id, caller.model_rule, dataset_id, method, n_epochs, provider)
    return EstimateList(data=found)


@router.get("/{dataset_id}/providers", response_model=DatasetProviderList)
def list_dataset_providers(
    session: SessionDep,
    caller: CallerDep,
    dataset_id: str,
    method: Literal["supervised", "dpo", "reinforcement"] | None = None,
) -> DatasetProviderList:
    """List the project's providers: where a job on this dataset can run, with which bases, and why not elsewhere.

    Without `method`, that of the dataset's format. Errors: 400 `dataset_not_checked` while it is being checked.
    """
    found = suitability.providers_of(session, caller.project_id, caller.model_rule, dataset_id, method)
    return DatasetProviderList(data=found)


@router.get("/{dataset_id}/compare", response_model=Overlapping)
def compare_datasets(caller: CallerDep, dataset_id: str, other: Annotated[str, Query(max_length=64)]) -> Overlapping:
    """Find examples that are in both datasets. Only the first 256 MiB of each file are compared.

    Errors: 400 `dataset_not_checked` while one of them is being checked.
    """
    with transaction(caller.project_id) as session:  # ends before the files are read
        first = collection.get_dataset(session, caller.project_id, dataset_id)
        second = collection.get_dataset(session, caller.project_id, other, param="other")
        for each in (first, second):
            collection.get_report(session, each)
    with store.open_dataset(first.id) as ours, store.open_dataset(second.id) as theirs:
        return Overlapping.of(first.id, second.id, overlap(ours, theirs, max_bytes=COMPARED_BYTES))

"""Training files at Fireworks AI: datasets, with ids that we choose."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared.projects.credentials import Account
from worker.providers import sanitize
from worker.providers.errors import ProviderError, before_a_create, not_ready, unless_missing
from worker.providers.fireworks import names, parsing
from worker.providers.fireworks.errors import is_conflict, refused
from worker.providers.openai.calls import path
from worker.providers.openai.errors import provider_errors
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoUploads
from worker.providers.openai.parsing import json_object
from worker.providers.protocol import MAX_CLOCK_SKEW, NewFile, ProviderFile
from worker.providers.rest import google
from worker.providers.rest.by_time import is_since
from worker.providers.rest.calls import RestCalls, decoded
from worker.providers.rest.signed import SignedFiles

MAX_FORM_BYTES = 150_000_000  # a larger dataset is put at a signed address


class FireworksFiles(NoUploads):
    """The methods of `Provider` that are about training files."""

    def __init__(self, account: Account, timeout: timedelta) -> None:
        self._errors = partial(provider_errors, account.api_key())
        self._calls = RestCalls(account, timeout, refused)
        self._signed = SignedFiles(account, timeout)
        self._account = urlsplit(account.base_url).path.rpartition("/")[2]

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        """Datasets do not expire. One that is there without its bytes gets them now."""
        id = names.dataset_id(new.name)
        fields: dict[str, Any] = {"displayName": new.name, "userUploaded": {}}
        if new.examples:
            fields["exampleCount"] = str(new.examples)
        with self._errors():
            made = self._created("/datasets", id, {"datasetId": id, "dataset": fields})
            file = parsing.file(made)
            if not parsing.is_ready(made):
                self._send(path("/datasets", id), new)
            return file

    def _created(self, kind: str, id: str, body: dict[str, Any], id_field: str | None = None) -> dict[str, Any]:
        """What has been created with this id, now or before. `id_field`: where the query has the id."""
        try:
            return json_object(self._calls.post(kind, body, {id_field: id} if id_field else None))
        except ProviderError as error:
            if not is_conflict(error) or (found := self._found(kind, id)) is None:
                raise
            return found

    def _found(self, kind: str, id: str) -> dict[str, Any] | None:
        """None if there is none."""
        return unless_missing(lambda: json_object(self._calls.get(path(kind, id))))

    def _send(self, dataset: str, new: NewFile) -> None:
        if new.bytes <= MAX_FORM_BYTES:
            form = {"file": (new.name, new.content, "application/jsonl")}
            sent = json_object(decoded(self._calls.send("POST", f"{dataset}:upload", files=form)))
            names.tail(sent.get("id"))
            return
        asked = {"filenameToSize": {new.name: str(new.bytes)}}
        signed = _addresses(self._calls.post(f"{dataset}:getUploadEndpoint", asked))
        headers = {
            "content-type": "application/octet-stream",
            "x-goog-content-length-range": f"{new.bytes},{new.bytes}",
        }
        self._signed.put(address(signed), new.content, new.bytes, headers)
        json_object(self._calls.post(f"{dataset}:validateUpload"))

    def find_file(self, name: str, size: int, since: datetime) -> ProviderFile | None:
        """By its id, which is made of its name. One without its bytes is not found: `create_file` sends them."""
        raw = self._dataset(names.dataset_id(name))
        if raw is None or not parsing.is_ready(raw):
            return None
        file = parsing.file(raw)
        return file if file.name == name and is_since(file.created_at, since - MAX_CLOCK_SKEW) else None

    def _dataset(self, id: str) -> dict[str, Any] | None:
        """None if there is none."""
        with self._errors():
            if (raw := self._found("/datasets", id)) is not None:
                parsing.file(raw)
            return raw

    def list_files(self) -> list[ProviderFile]:
        with self._errors():
            return list(bounded(map(parsing.file, google.items(self._calls, "/datasets", "datasets")), "files"))

    def delete_file(self, file_id: str) -> None:
        with self._errors():
            self._calls.delete(path("/datasets", file_id))

    def file_name(self, file_id: str) -> str:
        if (weights := names.split_weights(file_id)) is not None:
            return weights[1]
        with self._errors():
            return parsing.file(self._calls.get(path("/datasets", file_id))).name

    def read_file(self, file_id: str) -> Iterator[bytes]:
        with self._errors():
            yield from self._signed.read(address(self._readable(path("/datasets", file_id))))

    def _readable(self, path: str) -> dict[str, Any]:
        """Where the files of a dataset or a model can be read, by their names."""
        return _addresses(self._calls.get(f"{path}:getDownloadEndpoint"))

    def _check_ready(self, file_id: str, param: str) -> None:
        """A dataset that is not there is left to the create, which refuses it."""
        with before_a_create():
            raw = self._dataset(file_id)
        if raw is None:
            return
        if (words := parsing.problem(raw)) is not None:
            raise ProviderError(words, f"invalid_{param}", retryable=False, param=param)
        if not parsing.is_ready(raw):
            raise not_ready(f"the provider still looks at {file_id}", param)


def _addresses(answer: object) -> dict[str, Any]:
    return sanitize.part(json_object(answer), "filenameToSignedUrls")


def address(signed: Mapping[str, Any], name: str | None = None) -> str:
    """Of a file, or of the one that was asked for, under whatever name. Raises `ValueError` if there is none."""
    url = next(iter(signed.values()), None) if name is None else signed.get(name)
    if not isinstance(url, str):
        raise ValueError("it has no address for the file")
    return url

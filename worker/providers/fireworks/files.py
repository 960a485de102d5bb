"""Training files at Fireworks AI: datasets, with ids that we choose."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared.projects.credentials import Account
from worker.providers.errors import ProviderError
from worker.providers.fireworks import lists, names, parsing
from worker.providers.fireworks.errors import is_conflict, refused
from worker.providers.openai.errors import provider_errors
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoUploads
from worker.providers.openai.parsing import json_object
from worker.providers.protocol import MAX_CLOCK_SKEW, NewFile, ProviderFile
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
        with self._errors():
            made = self._create_dataset(id, new)
            if not parsing.is_ready(made):
                self._send(id, new)
            return parsing.file(made)

    def _create_dataset(self, id: str, new: NewFile) -> dict[str, Any]:
        fields: dict[str, Any] = {"displayName": new.name, "userUploaded": {}}
        if new.examples:
            fields["exampleCount"] = str(new.examples)
        try:
            made = self._calls.post("/datasets", {"datasetId": id, "dataset": fields})
        except ProviderError as error:
            if not is_conflict(error):
                raise
            made = self._calls.get(names.path("datasets", id))
        parsing.file(made)
        return json_object(made)

    def _send(self, id: str, new: NewFile) -> None:
        dataset = partial(names.path, "datasets", id)
        if new.bytes <= MAX_FORM_BYTES:
            form = {"file": (new.name, new.content, "application/jsonl")}
            sent = json_object(decoded(self._calls.send("POST", dataset(":upload"), files=form)))
            names.tail(sent.get("id"))
            return
        asked = {"filenameToSize": {new.name: str(new.bytes)}}
        signed = parsing.part(
            json_object(self._calls.post(dataset(":getUploadEndpoint"), asked)), "filenameToSignedUrls"
        )
        headers = {
            "content-type": "application/octet-stream",
            "x-goog-content-length-range": f"{new.bytes},{new.bytes}",
        }
        self._signed.put(address(signed), new.content, new.bytes, headers)
        json_object(self._calls.post(dataset(":validateUpload")))

    def find_file(self, name: str, size: int, since: datetime) -> ProviderFile | None:
        """By its id, which is made of its name. One without its bytes is not found: `create_file` sends them."""
        raw = self._dataset(names.dataset_id(name))
        if raw is None or not parsing.is_ready(raw):
            return None
        file = parsing.file(raw)
        is_old = file.created_at is not None and file.created_at < since - MAX_CLOCK_SKEW
        return None if is_old or file.name != name else file

    def _dataset(self, id: str) -> dict[str, Any] | None:
        """None if there is none."""
        with self._errors():
            try:
                raw = json_object(self._calls.get(names.path("datasets", id)))
            except ProviderError as error:
                if error.status == 404:
                    return None
                raise
            parsing.file(raw)
            return raw

    def list_files(self) -> list[ProviderFile]:
        with self._errors():
            return list(bounded(map(parsing.file, lists.items(self._calls, "/datasets", "datasets")), "files"))

    def delete_file(self, file_id: str) -> None:
        with self._errors():
            self._calls.delete(names.path("datasets", file_id))

    def file_name(self, file_id: str) -> str:
        if (weights := names.split_weights(file_id)) is not None:
            return weights[1]
        with self._errors():
            return parsing.file(self._calls.get(names.path("datasets", file_id))).name

    def read_file(self, file_id: str) -> Iterator[bytes]:
        with self._errors():
            yield from self._signed.read(address(self._addresses(names.path("datasets", file_id))))

    def _addresses(self, path: str) -> dict[str, Any]:
        """Where the files of a dataset or a model can be read, by their names."""
        return parsing.part(json_object(self._calls.get(f"{path}:getDownloadEndpoint")), "filenameToSignedUrls")

    def _check_ready(self, file_id: str, param: str) -> None:
        """A dataset that is not there is left to the create, which refuses it."""
        try:
            raw = self._dataset(file_id)
        except ProviderError as error:
            error.effect_unknown = False  # nothing was created yet
            raise
        if raw is None:
            return
        if (words := parsing.problem(raw)) is not None:
            raise ProviderError(words, f"invalid_{param}", retryable=False, param=param)
        if not parsing.is_ready(raw):
            sentence = f"the provider still looks at {file_id}"
            raise ProviderError(sentence, "file_not_ready", retryable=True, param=param)


def address(signed: Mapping[str, Any], name: str | None = None) -> str:
    """Of a file, or of the one that was asked for, under whatever name. Raises `ValueError` if there is none."""
    url = next(iter(signed.values()), None) if name is None else signed.get(name)
    if not isinstance(url, str):
        raise ValueError("it has no address for the file")
    return url

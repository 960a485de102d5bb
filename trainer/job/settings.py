"""What a job is to do: `job.json`, read into typed fields; wrong values are refused with a sentence."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.job.failures import Failed

_ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class Options:
    rank: int
    alpha: float
    dropout: float
    targets: str | list[str]  # "all-linear", or names of modules
    max_length: int | None  # tokens; longer rows are cut
    quantization: Literal["4bit"] | None
    full: bool
    warmup: float  # share of all steps
    packing: bool = False  # several examples in one row
    shard: bool = False  # each process keeps a part of the weights


@dataclass(frozen=True)
class Job:
    id: str
    method: Literal["supervised", "dpo"]
    base: Path
    base_name: str
    model: str
    from_adapter: Path | None
    train: Path
    valid: Path | None
    seed: int
    n_epochs: int
    batch_size: int
    learning_rate: float
    beta: float
    threads: int
    save_every: int  # steps
    keep_epochs: int
    devices: tuple[str, ...]  # one process each: all are "cpu", or all are GPUs such as "cuda:0"
    options: Options

    @property
    def on_gpu(self) -> bool:
        return self.devices[0] != "cpu"

    @property
    def device(self) -> str:
        """Of what kind they are, as torch writes it."""
        return "cuda" if self.on_gpu else "cpu"

    @property
    def shards_what_is_trained(self) -> bool:
        return self.options.shard and self.options.full

    @property
    def threads_of_a_process(self) -> int:
        return max(1, self.threads // len(self.devices))

    @property
    def rows_of_a_process(self) -> int:
        """How many rows of a batch one of them gets at most."""
        return -(-self.batch_size // len(self.devices))


def read(folder: Path) -> Job:
    try:
        fields = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise Failed("training_failed", f"{folder.name}/job.json cannot be read: {reason}") from None
    if not isinstance(fields, dict):
        raise Failed("training_failed", f"{folder.name}/job.json is not an object.")
    values = _Values(fields)
    adapter, valid = values.text("from_adapter", None), values.text("valid", None)
    return Job(
        id=values.required("id"),
        method="dpo" if values.one_of("method", "supervised", "dpo") == "dpo" else "supervised",
        base=Path(values.required("base")),
        base_name=values.text("base_name", None) or Path(values.required("base")).name,
        model=values.text("model", None) or values.required("id"),
        from_adapter=Path(adapter) if adapter else None,
        train=Path(values.required("train")),
        valid=Path(valid) if valid else None,
        seed=values.whole("seed", 0, 2**32 - 1, 7),
        n_epochs=values.whole("n_epochs", 1, 10_000, 3),
        batch_size=values.whole("batch_size", 1, 65_536, 4),
        learning_rate=values.number("learning_rate", 0.0, 10.0, 1e-4),
        beta=values.number("beta", 0.0, 100.0, 0.1),
        threads=values.whole("threads", 1, 1024, 1),
        save_every=values.whole("save_every", 1, 10**9, 50),
        keep_epochs=values.whole("keep_epochs", 1, 10_000, 3),
        devices=values.devices(),
        options=_options(values.part("options", "provider_options")),
    )


def _options(values: "_Values") -> Options:
    return Options(
        rank=values.whole("rank", 1, 4096, 16),
        alpha=values.number("alpha", 0.0, 1e6, 32),
        dropout=values.number("dropout", 0.0, 0.99, 0.0, or_lowest=True),
        targets=values.targets(),
        max_length=values.whole_or_none("max_length", 8, 10_000_000),
        quantization="4bit" if values.one_of("quantization", None, "4bit") else None,
        full=values.flag("full"),
        warmup=values.number("warmup", 0.0, 0.99, 0.1, or_lowest=True),
        packing=values.flag("packing"),
        shard=values.flag("shard"),
    )


class _Values:
    """The fields of one object of `job.json`; `prefix` makes the names that sentences use."""

    def __init__(self, fields: dict[str, Any], prefix: str = "") -> None:
        self._fields, self._prefix = fields, prefix

    def part(self, name: str, asked_as: str) -> "_Values":
        """`asked_as`: the name of that object in the request of the caller, who reads the sentences."""
        part = self._fields.get(name) or {}
        if not isinstance(part, dict):
            self._refuse(name, "an object")
        return _Values(part, f"{asked_as}.")

    def required(self, name: str) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str) or not value:
            self._refuse(name, "a text")
        return str(value)

    def text(self, name: str, default: str | None) -> str | None:
        value = self._fields.get(name, default)
        if value is not None and not isinstance(value, str):
            self._refuse(name, "a text or null")
        return value

    def one_of(self, name: str, *choices: str | None) -> str | None:
        value = self._fields.get(name, choices[0])
        if value not in choices:
            self._refuse(name, " or ".join(json.dumps(choice) for choice in choices))
        return None if value is None else str(value)

    def whole(self, name: str, lowest: int, highest: int, default: int) -> int:
        value = self._fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            self._refuse(name, f"a whole number from {lowest} to {highest}")
        return int(value)

    def whole_or_none(self, name: str, lowest: int, highest: int) -> int | None:
        return None if self._fields.get(name) is None else self.whole(name, lowest, highest, lowest)

    def number(self, name: str, lowest: float, highest: float, default: float, or_lowest: bool = False) -> float:
        value = self._fields.get(name, default)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not lowest <= value <= highest or (value == lowest and not or_lowest):
            self._refuse(name, f"a number {'from' if or_lowest else 'above'} {lowest:g} to {highest:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            self._refuse(name, "true or false")
        return bool(value)

    def targets(self) -> str | list[str]:
        value = self._fields.get("targets", _ALL_LINEAR)
        if value == _ALL_LINEAR:
            return _ALL_LINEAR
        if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
            self._refuse("targets", f'"{_ALL_LINEAR}" or a list of names of modules, such as ["q_proj", "v_proj"]')
        if "lm_head" in value:
            self._refuse("targets", "a list without lm_head, whose adapter would not be trained")
        return list(value)

    def devices(self) -> tuple[str, ...]:
        devices = tuple((self.text("device", None) or "cpu").split("+"))
        gpus = all(re.fullmatch(r"cuda:\d+", device) for device in devices)
        if not gpus and set(devices) != {"cpu"}:
            self._refuse("device", "cpu, a GPU such as cuda:0, or several such as cuda:0+cuda:1 or cpu+cpu")
        return devices

    def _refuse(self, name: str, wanted: str) -> None:
        value, path = json.dumps(self._fields.get(name))[:100], self._prefix + name
        raise Failed("invalid_value", f"{path} is {value}, but it must be {wanted}.", path)

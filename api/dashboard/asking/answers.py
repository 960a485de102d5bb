"""Asks the models of one page, a few at once, through the same service as the API's route, and tells what comes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import anyio
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.requests import Request
from starlette.responses import StreamingResponse
from structlog import get_logger

from api.chat import passing
from api.chat.pieces import BROKE_OFF, AnswerFailed, Piece, error_in, pieces, whole
from api.chat.received import BREAKS
from api.dashboard.asking.question import Question
from api.rate_limits.further_requests import count_another
from api.streams.wire import KEEP_ALIVE_SECONDS
from shared.errors import DeploymentStarting, ServiceError
from shared.projects.callers import Caller
from shared.settings import get_settings

log = get_logger(__name__)
AT_ONCE = 4  # answers of one page that are waited for at the same time
LONGEST_WAIT_SECONDS = 60  # that a provider may ask for before it is asked again
MAX_NEWS = 256  # not yet sent to the browser; beyond it the providers' answers are read no further


@dataclass
class Answer:
    """`error`: why there is no `text`, or no more of it; `code`: which error it is, if it is one of ours.

    `note`: what it waits for.

    `tokens`: as the provider counts them. `is_cut`: it has as many as were asked for, and would have gone on.
    """

    model: str
    prompt: str
    text: str = ""
    error: str = ""
    code: str = ""
    note: str = ""
    tokens: int | None = None
    is_cut: bool = False
    is_over: bool = False
    number: int = 0

    @property
    def record(self) -> str:
        """As JSON, for the form that downloads the answers."""
        record = {"model": self.model, "prompt": self.prompt, "answer": self.text, "error": self.error}
        return json.dumps(record, ensure_ascii=False)

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens = self.tokens if piece.tokens is None else piece.tokens
        self.is_cut = self.is_cut or piece.finish == "length"


@dataclass(frozen=True)
class News:
    """What has happened to an answer, as it was then: it has `more` text, or else it is to be shown anew."""

    answer: Answer
    more: str = ""


class _Later(Exception):
    """The provider asks to come back after so many seconds, and says why."""

    def __init__(self, seconds: float, why: str) -> None:
        super().__init__(why)
        self.retry_after = seconds


class Answers:
    """The answers to a question, prompt by prompt. Each chat counts as a request of its own.

    All of them together may take as long as one chat of the API. A provider that says when to come back, as one does
    that loads the model, is asked again then.
    """

    def __init__(self, request: Request, caller: Caller, question: Question) -> None:
        pairs = [(name, text) for text in question.prompts for name in question.models]
        self.all = [Answer(*pair, number=number) for number, pair in enumerate(pairs)]
        self._request, self._caller, self._question = request, caller, question
        self._places = anyio.CapacityLimiter(AT_ONCE)
        self._news: asyncio.Queue[News | None] = asyncio.Queue(MAX_NEWS)

    def rows(self) -> list[list[Answer]]:
        """For each prompt, the answers of the models."""
        width = max(1, len(self._question.models))
        return [self.all[start : start + width] for start in range(0, len(self.all), width)]

    async def news(self) -> AsyncIterator[list[News]]:
        """Ask, and yield what has happened since the last time, until all answers are over; nothing after a silence."""
        asking = asyncio.create_task(self._ask_all())
        try:
            is_over = False
            while not is_over:
                found: list[News | None] = []
                with anyio.move_on_after(KEEP_ALIVE_SECONDS):
                    found.append(await self._news.get())
                while not self._news.empty():
                    found.append(self._news.get_nowait())
                is_over = None in found
                yield _joined(each for each in found if each is not None)
            await asking
        finally:
            asking.cancel()

    async def _ask_all(self) -> None:
        deadline = asyncio.get_running_loop().time() + get_settings().chat.timeout.total_seconds()
        async with asyncio.TaskGroup() as group:
            for answer in self.all:
                group.create_task(self._ask(answer, deadline))
        await self._news.put(None)

    async def _tell(self, answer: Answer, more: str = "") -> None:
        await self._news.put(News(replace(answer), more))

    async def _ask(self, answer: Answer, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                while wait := await self._attempt(answer):
                    await anyio.sleep(wait)
        except TimeoutError:
            answer.error = answer.note or f"No answer within {get_settings().chat.timeout.total_seconds():g} seconds"
        except (ServiceError, AnswerFailed) as error:
            answer.error, answer.code = str(error), getattr(error, "code", "")
        except BREAKS:
            answer.error = BROKE_OFF
        except (OperationalError, NoConnection) as error:
            log.error("the playground cannot reach Postgres", reason=str(error))
            answer.error = "The service cannot reach its database; try again"
        except Exception:  # it ends this answer, not those of the other models
            log.exception("an answer of the playground failed unexpectedly", model=answer.model)
            answer.error = "It failed, for a reason that your operator finds in the log"
        answer.note, answer.is_over = "", True
        await self._tell(answer)

    async def _attempt(self, answer: Answer) -> float:
        """Ask once; return 0 when the answer is complete, or else in how many seconds to ask again."""
        try:
            async with self._places, AsyncExitStack() as held:
                await count_another(self._request)
                body = self._question.body(answer.model, answer.prompt)
                body |= {"stream": True, "stream_options": {"include_usage": True}}
                response = await passing.answer(self._caller, held, json.dumps(body).encode())
                async for piece in _read(response):
                    answer.note = ""
                    answer.add(piece)
                    if piece.text:
                        await self._tell(answer, piece.text)
        except (_Later, DeploymentStarting) as later:
            seconds = later.retry_after or 1
            answer.note = f"{str(later).rstrip('.')}. It is asked again in {seconds:g} s."
            await self._tell(answer)
            return seconds
        return 0


def _joined(news: Iterable[News]) -> list[News]:
    """Make one of what is added to the same answer in a row."""
    found: list[News] = []
    for each in news:
        if each.more and found and found[-1].more and found[-1].answer.number == each.answer.number:
            found[-1] = replace(each, more=found[-1].more + each.more)
        else:
            found.append(each)
    return found


async def _read(response: StreamingResponse) -> AsyncIterator[Piece]:
    """Yield the pieces of a provider's answer. Raises `_Later`, `AnswerFailed`."""
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        async for piece in pieces(response.body_iterator):
            yield piece
        return
    blocks = [each async for each in response.body_iterator]
    content = b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in blocks)
    if response.status_code == 200:
        yield whole(content)
        return
    sentence = error_in(content)
    if response.status_code in {429, 503} and (seconds := _seconds(response.headers.get("retry-after", ""))):
        raise _Later(seconds, sentence)
    raise AnswerFailed(sentence)


def _seconds(text: str) -> float:
    """The time of a `Retry-After`; 0 if there is none, or it is too long to wait for."""
    seconds = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    return max(1.0, seconds) if seconds <= LONGEST_WAIT_SECONDS and text else 0.0

"""Connect to a stranger: look its name up once, judge every address of the answer, dial exactly a judged one."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from itertools import chain, zip_longest
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread

from httpcore2 import default_ssl_context

from shared.security.ssrf import IPAddress, Target, refusal, unmapped

MOST_DIALLED = 4  # of a name with a thousand addresses, or it would have us knock at a thousand doors
MOST_LOOK_UPS = 128
READ_AT_ONCE = 16 << 10


class Undeliverable(Exception):
    """No answer came back: the sentence says why, and never in the other side's words.

    `address` is the one that was dialled last, None when none was.
    """

    def __init__(self, why: str, address: str | None = None) -> None:
        super().__init__(why)
        self.address = address


@dataclass(frozen=True)
class Line:
    """A connection on which nothing lasts beyond the deadline, however slowly the other side drips.

    Raises TimeoutError then, and OSError when the connection breaks.
    """

    socket: socket.socket
    address: str
    deadline: float

    def send(self, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent:
            self._hurry()
            unsent = unsent[self.socket.send(unsent) :]

    def receive(self) -> bytes:
        """What has come, 16 KiB at most; nothing when the other side has hung up."""
        self._hurry()
        return self.socket.recv(READ_AT_ONCE)

    def _hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)


def _look_up(name: str) -> list[str]:
    answers = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(answer[4][0]).split("%")[0] for answer in answers]


def _connect(address: str, port: int, seconds: float) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        made.settimeout(seconds)
        made.connect((address, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


@cache
def _tls() -> ssl.SSLContext:
    context = default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True)
class Dialler:
    """How strangers are reached. Threads may share it; nothing is remembered from one call to the next.

    `look_up` (a name; its addresses) may hang: it has a thread of its own, of which there are so many and no more.
    `connect` (an address, a port, seconds; a socket) is given checked addresses only.
    """

    look_up: Callable[[str], Iterable[str]] = _look_up
    connect: Callable[[str, int, float], socket.socket] = _connect
    tls: Callable[[], ssl.SSLContext] = _tls
    look_up_seconds: float = 5
    connect_seconds: float = 5
    look_ups: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MOST_LOOK_UPS))

    def dial(self, target: Target, deadline: float) -> Line:
        """The first address that answers, with TLS where it is due. Raises `Undeliverable`."""
        why, dialled = "no time was left to connect", None
        for address in self.judged(target, deadline):
            if (seconds := _left(deadline, self.connect_seconds)) <= 0:
                break
            dialled = f"[{address}]:{target.port}" if address.version == 6 else f"{address}:{target.port}"
            try:
                plain = self.connect(str(address), target.port, seconds)
            except TimeoutError:
                why = f"no connection within {seconds:.2g} s"
            except OSError as error:
                why = f"no connection: {error.strerror or type(error).__name__}"
            else:
                secured = self._secured(plain, target, deadline, dialled) if target.scheme == "https" else plain
                return Line(secured, dialled, deadline)
        raise Undeliverable(why, dialled)

    def judged(self, target: Target, deadline: float) -> list[IPAddress]:
        """The addresses to try, the first first. Raises `Undeliverable` if a single one may not be dialled."""
        addresses = [target.address] if target.address else self._resolved(target.host, deadline)
        for address in addresses:
            if why := refusal(address, target.scheme, target.port):
                raise Undeliverable(f"not dialled: it leads to {why}")
        return _in_turn(addresses)[:MOST_DIALLED]

    def _resolved(self, name: str, deadline: float) -> list[IPAddress]:
        seconds = max(0, _left(deadline, self.look_up_seconds))
        until = time.monotonic() + seconds
        answer: SimpleQueue[list[str] | Exception] = SimpleQueue()
        if not self.look_ups.acquire(timeout=seconds) or not self._start(name, answer):
            raise Undeliverable("the name was not looked up: too many look-ups hang")
        try:
            found = answer.get(timeout=max(0, _left(until, seconds)))
        except Empty:
            raise Undeliverable(f"the name was not resolved within {seconds:.2g} s") from None
        if isinstance(found, Exception):
            raise Undeliverable(f"the name cannot be resolved: {getattr(found, 'strerror', None) or 'it is no name'}")
        return list(dict.fromkeys(unmapped(ip_address(address)) for address in found))

    def _start(self, name: str, answer: SimpleQueue[list[str] | Exception]) -> bool:
        """getaddrinfo knows no timeout: nobody waits for a thread that hangs in it, not even the process's end."""

        def ask() -> None:
            try:
                answer.put(list(self.look_up(name)))
            except Exception as error:
                answer.put(error)
            finally:
                self.look_ups.release()

        try:
            Thread(target=ask, daemon=True).start()
        except RuntimeError:  # no thread is to be had
            self.look_ups.release()
            return False
        return True

    def _secured(self, plain: socket.socket, target: Target, deadline: float, dialled: str) -> socket.socket:
        seconds = _left(deadline, self.connect_seconds)
        try:
            plain.settimeout(max(seconds, 0.001))
            return self.tls().wrap_socket(plain, server_hostname=target.host)
        except TimeoutError:
            why = f"the TLS handshake did not end within {seconds:.2g} s"
        except ssl.SSLCertVerificationError as error:
            why = f"its TLS certificate is not accepted: {error.verify_message.rstrip('.')}"
        except ssl.SSLEOFError:
            why = "the connection was closed during the TLS handshake"
        except ssl.SSLError as error:
            why = f"the TLS handshake failed: {(error.reason or 'unknown').replace('_', ' ').lower()}"
        except OSError as error:
            why = f"the connection broke during the TLS handshake: {error.strerror or type(error).__name__}"
        plain.close()
        raise Undeliverable(why, dialled)


DIALLER = Dialler()


def _in_turn(addresses: list[IPAddress]) -> list[IPAddress]:
    """One of each family in turn, in the resolver's order: one of them may lead nowhere."""
    first = [address for address in addresses if address.version == addresses[0].version]
    others = [address for address in addresses if address.version != addresses[0].version]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address]


def _left(deadline: float, at_most: float) -> float:
    return min(deadline - time.monotonic(), at_most)

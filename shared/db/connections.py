"""How many connections to Postgres each kind of server opens at most. `docs/sizing.md` adds them up."""

OF_STEP = 2  # of a worker's process, which carries out one step at a time; and of the beat, which also gathers metrics
OF_CHECKS = 2  # of a worker, a sender and the beat, beside their pools: /readyz, /metrics, the watch over the scheduler
KEPT_OPEN = 10  # of a pool; what it opens beyond them it closes after use
BEAT = OF_STEP + OF_CHECKS


def of_sender_pool(deliveries: int) -> int:
    """A delivery needs one only before and after its call. One project has half of the deliveries at most
    (`worker.sender`), so that eight are left for others while all of its rows wait for a lock."""
    return deliveries // 2 + 8


def of_reads(each: int) -> int:
    """A quarter of an api process's: a read has one for less than a millisecond, a session for several."""
    return each // 4


def of_api_pool(each: int) -> int:
    return each - of_reads(each)


def of_api(processes: int, each: int) -> int:
    return processes * each


def of_worker(steps: int) -> int:
    return steps * OF_STEP + OF_CHECKS


def of_sender(deliveries: int) -> int:
    return of_sender_pool(deliveries) + OF_CHECKS

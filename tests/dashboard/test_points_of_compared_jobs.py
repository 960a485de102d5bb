"""Which points the curves of compared jobs have: few enough to draw, at steps that the jobs have in common."""

from shared.database import transaction
from shared.overview import side_by_side
from tests.dashboard.test_compare import steps, told
from tests.world import Person


def test_jobs_of_any_length_have_points_at_the_same_steps(alice: Person) -> None:
    long, short = told(alice, steps(1000)), told(alice, steps(400))
    with transaction(alice.project_id) as session:
        found = side_by_side.points(session, [long, short], 50)
    of_long, of_short = ([point.step for point in found[id]] for id in (long, short))
    assert of_long[:3] == [1, 10, 20]
    assert len(of_long) <= 2 * 50 + 2
    assert (of_long[-1], of_short[-1]) == (1000, 400)
    assert set(of_short) - {400} <= set(of_long)


def test_a_validation_that_the_provider_calls_null_takes_no_point_from_one_with_a_value(alice: Person) -> None:
    plain = [{"step": step, **({"valid_loss": 1.0} if step % 7 == 0 else {})} for step in range(1, 1001)]
    ids = [told(alice, plain), told(alice, [{"valid_loss": None, "full_valid_loss": "?"} | each for each in plain])]
    with transaction(alice.project_id) as session:
        found = side_by_side.points(session, ids, 50)
    without, with_null = ([point.step for point in found[id] if point.valid_loss is not None] for id in ids)
    assert (len(without), with_null) == (50, without)

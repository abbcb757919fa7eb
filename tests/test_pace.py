"""Where short work on files is done: in the event loop after enough of it was quick, in a thread otherwise."""

import threading

import pytest

from dicomio.pace import LEAST_ASKED, MAKING_UP, MOST_ASKED, PACE, QUICK, Pace, promptly


def after(pace: Pace, *times: float) -> Pace:
    for seconds in times:
        pace.took(seconds)
    return pace


def test_nothing_is_quick_before_it_was_seen() -> None:
    assert not Pace().is_quick


def test_enough_quick_ones() -> None:
    pace = after(Pace(), *[QUICK] * (LEAST_ASKED - 1))
    assert not pace.is_quick
    assert after(pace, 0.0).is_quick


def test_a_slow_one_in_a_thread_is_made_up_for_by_several_quick_ones() -> None:
    pace = after(Pace(), *[0.0] * (LEAST_ASKED - 1), 2 * QUICK, *[0.0] * MAKING_UP)
    assert not pace.is_quick
    assert pace.asked == LEAST_ASKED
    assert after(pace, 0.0).is_quick


def test_files_of_which_every_third_is_slow_never_become_quick() -> None:
    pace = Pace()
    for _ in range(1000):
        assert not after(pace, 0.0, 0.0, 2 * QUICK).is_quick


def test_a_slow_one_in_the_event_loop_asks_for_more_quick_ones() -> None:
    pace = after(Pace(), *[0.0] * LEAST_ASKED, 2 * QUICK)
    assert not pace.is_quick
    assert not after(pace, *[0.0] * LEAST_ASKED).is_quick
    assert after(pace, *[0.0] * LEAST_ASKED).is_quick


def test_what_is_asked_for_has_a_bound() -> None:
    pace = Pace()
    for _ in range(30):
        after(pace, *[0.0] * pace.asked, 1.0)
    assert pace.asked == MOST_ASKED


def test_what_fails_takes_time_too() -> None:
    pace = Pace(asked=1)

    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        pace.timed(fail)
    assert pace.is_quick


async def test_work_is_done_here_or_in_a_thread(either_pace: bool) -> None:
    loop_thread = threading.get_ident()
    assert (await promptly(threading.get_ident) == loop_thread) == either_pace


async def test_arguments_result_and_error(either_pace: bool) -> None:
    def divide(a: int, *, by: int) -> float:
        return a / by

    assert await promptly(divide, 6, by=4) == 1.5
    with pytest.raises(ZeroDivisionError):
        await promptly(divide, 6, by=0)


async def test_threads_show_that_files_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PACE, "asked", 3)
    where: list[int] = []
    monkeypatch.setattr("dicomio.pace.perf_counter", lambda: 0.0)
    for _ in range(5):
        await promptly(lambda: where.append(threading.get_ident()))
    assert [ident == threading.get_ident() for ident in where] == [False, False, False, True, True]

"""What is remembered of objects that come again."""

from collections.abc import Callable

from dicomio.memory import Memory


class Thing:
    """Equal to every other, and yet another one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    __hash__ = None  # type: ignore[assignment]  # as of a data class that holds lists


def giving(number: int) -> Callable[[Thing], int]:
    """What makes a number of a thing."""
    return lambda thing: number


def test_the_same_objects_lead_to_the_same_result() -> None:
    memory: Memory[list[object]] = Memory()
    thing, other = Thing(), Thing()
    first = memory.recall(lambda *of: list(of), thing, True)
    assert memory.recall(lambda *of: list(of), thing, True) is first
    assert memory.recall(lambda *of: list(of), thing, False) is not first
    assert memory.recall(lambda *of: list(of), other, True) is not first


def test_an_object_that_is_gone_is_not_taken_for_another() -> None:
    memory: Memory[int] = Memory()
    assert [memory.recall(giving(number), Thing()) for number in range(50)] == list(range(50))


def test_a_result_that_could_not_be_made_is_made_again() -> None:
    memory: Memory[float] = Memory()
    number = [0]
    for _ in range(2):
        try:
            memory.recall(lambda of: 1 / of[0], number)
        except ZeroDivisionError:
            number[0] = 2
    assert memory.recall(lambda of: 0.0, number) == 0.5


def test_the_oldest_is_forgotten() -> None:
    memory: Memory[int] = Memory(most=3)
    things = [Thing() for _ in range(4)]
    for number, thing in enumerate(things):
        memory.recall(giving(number), thing)
    assert len(memory.kept) == 3
    assert memory.recall(giving(-1), things[0]) == -1
    assert memory.recall(giving(-1), things[3]) == 3
    memory.clear()
    assert memory.recall(giving(-1), things[3]) == -1

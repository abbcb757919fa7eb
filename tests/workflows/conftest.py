"""What holds for every test of the workflows."""

from tests.association.conftest import nothing_left_behind

__all__ = ["nothing_left_behind"]

"""Printing on film and paper, both sides (PS3.4 H).

```python
async with print_session(client, medium="BLUE FILM") as session:
    async with session.film_box(r"STANDARD\\2,3", orientation="PORTRAIT") as film:
        for position, image in enumerate(images, 1):
            await film.image(position, image)
        await film.print()
```

`PrintProvider` is the printer: it keeps films and what is on them, and calls a handler with what is to be printed.
"""

from dicomio.workflows.printing.jobs import PrintEvent, PrintWarning, SubmittedJob
from dicomio.workflows.printing.provider import PrintedFilm, PrintProvider, PrintRequest
from dicomio.workflows.printing.session import FilmBox, PrintSession, print_session
from dicomio.workflows.printing.states import JobState, PrinterState

__all__ = [
    "FilmBox",
    "JobState",
    "PrintEvent",
    "PrintProvider",
    "PrintRequest",
    "PrintSession",
    "PrintWarning",
    "PrintedFilm",
    "PrinterState",
    "SubmittedJob",
    "print_session",
]

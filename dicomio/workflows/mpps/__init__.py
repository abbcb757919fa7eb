"""Modality Performed Procedure Step, both sides (PS3.4 F).

A modality tells with `performed_step` what it is doing:

```python
async with performed_step(ris, from_worklist(item)) as step:
    for image in acquire():
        await pacs.store(image)
        step.add(image)
```

`PerformedStepProvider` is the other side: it keeps the rules of the standard, and calls a hook with each change.
"""

from dicomio.workflows.mpps.attributes import from_worklist
from dicomio.workflows.mpps.performing import PerformedStep, performed_step
from dicomio.workflows.mpps.provider import PerformedStepProvider, StepChange
from dicomio.workflows.mpps.states import StepEvent, StepState

__all__ = [
    "PerformedStep",
    "PerformedStepProvider",
    "StepChange",
    "StepEvent",
    "StepState",
    "from_worklist",
    "performed_step",
]

"""A modality worklist from a JSON file, read anew for each query: `python examples/worklist_scp.py 11112 steps.json`.

The file is a list of scheduled procedure steps, attributes by keyword:

    [{"PatientName": "DOE^JANE", "PatientID": "4711", "ScheduledProcedureStepSequence":
        [{"Modality": "MR", "ScheduledProcedureStepStartDate": "20260105", "ScheduledStationAETitle": "MR1"}]}]
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from dicomio import WORKLIST, Application, FindRequest, dataset
from dicomio.matching import compile_query


def worklist_scp(path: Path) -> Application:
    """An application that answers worklist queries."""
    app = Application("WORKLIST")

    @app.find(WORKLIST)
    def find(request: FindRequest) -> Iterator[Dataset]:  # a plain generator runs in a thread, and may read files
        wanted = compile_query(request.identifier)
        for attributes in json.loads(path.read_text()):
            step = dataset(**attributes)
            if wanted.matches(step):
                yield wanted.project(step)

    return app


if __name__ == "__main__":
    worklist_scp(Path(sys.argv[2])).run(port=int(sys.argv[1]))

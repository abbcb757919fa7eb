"""Stores files, and asks the archive to answer for them (storage commitment); says which of them could be deleted now.

`python examples/commitment_scu.py ARCHIVE@localhost:11112 study 11113`, where the last is the port for the report: the
archive has to know that EXAMPLE listens there.
"""

import asyncio
import sys

from dicomio import Application, Client, DicomError, StorageCommitment, serve


async def main(address: str, folder: str, port: str) -> int:
    app = Application("EXAMPLE")
    commitment = StorageCommitment(app)
    paths = {}
    try:
        async with serve(app, port=int(port)):
            async with Client(address, ae_title=app.ae_title, app=app) as archive:
                async with archive.store_many(folder) as outcomes:
                    async for outcome in outcomes:
                        if outcome.error is None and (instance := outcome.instance):
                            paths[instance.sop_class_uid, instance.sop_instance_uid] = outcome.path
                        else:
                            print(outcome)
                if not paths:
                    return 1
                transaction = await commitment.request(archive, paths, expires=3600)
            result = await transaction.result()  # the association of the request is gone by now
    except DicomError as error:
        sys.exit(str(error))
    for (_, uid), path in paths.items():
        reason = result.failed.get(uid)
        print(f"{path}: {'is kept' if reason is None else reason.meaning_for('commitment')}")
    return 1 if result.failed or outcomes.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))

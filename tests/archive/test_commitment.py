"""Storage commitment of the archive: what is promised is there (PS3.4 J)."""

from pathlib import Path

import pydicom

from dicomio import Application, Status, StorageCommitment, connect, serve
from dicomio.archive import Archive
from dicomio.sop import CTImageStorage, MRImageStorage, StorageCommitmentPushModel

CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
CT_UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


async def test_what_is_kept_is_committed_and_what_is_not_is_not(tmp_path: Path) -> None:
    ours = Application("MODALITY")
    commitment = StorageCommitment(ours)
    async with serve(ours, "127.0.0.1", 0) as receiving:
        destinations = {"MODALITY": f"MODALITY@127.0.0.1:{receiving.port}"}
        archive = Archive(tmp_path / "archive", ae_title="ARCHIVE", destinations=destinations)
        async with archive, serve(archive.app, "127.0.0.1", 0) as server:
            await archive.add(CT)
            wanted = [(CTImageStorage, CT_UID), (CTImageStorage, "1.2.3.4")]
            contexts = [StorageCommitmentPushModel]
            address = f"ARCHIVE@127.0.0.1:{server.port}"
            async with connect(address, ae_title="MODALITY", app=ours, contexts=contexts) as association:
                first = await commitment.request(association, wanted)
                second = await commitment.request(association, [(MRImageStorage, CT_UID)])
            result, conflict = await first.result(), await second.result()
    assert list(result.committed) == [CT_UID]
    assert result.failed == {"1.2.3.4": Status.NO_SUCH_SOP_INSTANCE}
    assert conflict.failed == {CT_UID: Status.CLASS_INSTANCE_CONFLICT}

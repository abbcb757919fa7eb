"""`dicomio dcmsend`: C-STORE of files, with the conventions of the classic toolkit's simple sender."""

import asyncio
import re
from argparse import Namespace
from pathlib import Path
from typing import Final

from dicomio import Instance, InvalidInstance
from dicomio.cli.dcmsend_report import Report
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.plan import Decompression, Rules, contexts_for
from dicomio.cli.scu import complete
from dicomio.cli.sender import Sender
from dicomio.cli.sending import Outcome, Transfer
from dicomio.sop import ImplicitVRLittleEndian, service_of

__all__ = ["run"]

# PS3.5 9.1: at most 64 characters, components without leading zeros.
UID: Final = re.compile(r"(?=.{1,64}\Z)(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+\Z", re.ASCII)
# Below it only DICOM defines UIDs (PS3.5 9.1, PS3.6 A); storage SOP classes are mostly below the second.
DICOM_ROOT: Final = "1.2.840.10008."
STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    return complete(DcmSend(args, output).run(single=args.association == "single"))


class DcmSend(Sender):
    """One run of the tool.

    Raises:
        UsageError: the report could not be written where it is wanted.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        super().__init__(
            args, output, Rules(decompression=Decompression(args.decompression or Decompression.LOSSLESS)), "file"
        )
        self.outcomes: list[Outcome] = []
        self.report_file = Path(args.create_report_file) if args.create_report_file is not None else None
        if self.report_file is not None and not self.report_file.parent.is_dir():
            raise UsageError(f"{self.report_file.parent} is not a directory for the report")

    def check(self, instance: Instance) -> None:
        """Looks whether an object is one of those to send.

        Raises:
            InvalidInstance: it is not.
        """
        super().check(instance)
        if not self.args.no_uid_checks and (fault := fault_of(instance)):
            raise InvalidInstance(f"{instance.path}: {fault}; -nuc sends it all the same")
        if self.args.no_illegal_proposal:
            contexts = contexts_for(instance.sop_class_uid, instance.transfer_syntax, self.rules)
            if not any(ImplicitVRLittleEndian in context.transfer_syntaxes for context in contexts):
                raise InvalidInstance(
                    f"{instance.path}: transfer syntax {instance.transfer_syntax} would be proposed "
                    "without Implicit VR Little Endian, which -nip excludes (PS3.5 10.1)"
                )

    def report(self, outcome: Outcome) -> None:
        """Takes note of an outcome."""
        super().report(outcome)
        if outcome.instance is not None:
            self.outcomes.append(outcome)

    async def finish(self, transfer: Transfer) -> None:
        """Writes the report, unless the run ended before everything was tried."""
        if self.report_file is None or transfer.halted or transfer.refusal is not None:
            return
        unsent = [
            Outcome(instance.path or Path(), instance) for batch in transfer.batches for instance in batch.instances
        ]
        titles = f"{self.remote.ae_title} -> {self.peer.ae_title}"
        report = Report(f"{self.peer.host}:{self.peer.port}", titles, transfer.associations, transfer.proposed)
        text = report.text([*self.outcomes, *unsent])
        try:
            await asyncio.to_thread(self.report_file.write_text, text, "utf-8", "surrogateescape")
        except OSError as error:
            raise UsageError(f"{self.report_file}: {error.strerror}") from error


def fault_of(instance: Instance) -> str:
    """What is wrong with the UIDs of an object; empty where nothing is."""
    uids = {
        "SOP Class UID": instance.sop_class_uid,
        "SOP Instance UID": instance.sop_instance_uid,
        "transfer syntax UID": instance.transfer_syntax,
    }
    for name, uid in uids.items():
        if not UID.match(uid):
            return f"its {name} {uid} is not a UID"
    if is_foreign(instance.sop_class_uid):
        return f"its SOP Class UID {instance.sop_class_uid} is none of a storage SOP class"
    if not instance.transfer_syntax.startswith(DICOM_ROOT.rstrip(".")):
        return f"its transfer syntax UID {instance.transfer_syntax} is a private one"
    return ""


def is_foreign(sop_class: str) -> bool:
    """Whether a SOP class is one of DICOM's, but not for storage; private ones may be for anything."""
    if not sop_class.startswith(DICOM_ROOT) or sop_class.startswith(STORAGE_ROOT):
        return False
    service = service_of(sop_class)
    return service is None or service.statuses != "storage"

"""`dicomio storescp`: receives objects and writes them to files."""

import asyncio
import logging
import secrets
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dicomio import (
    Application,
    AssociationRejected,
    Instance,
    Proposal,
    Refused,
    Status,
    StoreRequest,
)
from dicomio.cli.errors import UsageError
from dicomio.cli.hooks import Hook, Runner, values_for
from dicomio.cli.output import Output
from dicomio.cli.serving import serve_application
from dicomio.cli.studies import Facts, Studies, Study, facts_of
from dicomio.datasets import safe_name

__all__ = ["StoreSCP", "run"]

logger = logging.getLogger("dicomio.cli.storescp")

# Seconds that commands get to end when the server does.
GRACE: Final = 30.0


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    scp = StoreSCP(args, output)
    return serve_application(scp.application(), args, output)


class StoreSCP:
    """The receiver.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.args = args
        self.output = output
        self.root = Path(args.output_directory or ".").absolute()
        self.on_reception = hook("-xcr", args.exec_on_reception, "#p #f #a #c #r")
        self.on_study = hook("-xcs", args.exec_on_eostudy, "#p #a #c #r")
        self.by_study = Studies.wanted(args)
        if args.eostudy_timeout is not None and not self.by_study:
            raise UsageError("option -tos needs one of -ss, -su, -sp and -xcs")
        if args.ignore and (self.by_study or self.on_reception):
            raise UsageError("option --ignore leaves nothing for -ss, -su, -sp, -xcr and -xcs")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.root}: {error.strerror}") from error

    def application(self) -> Application:
        """The application that does it."""
        app = Application(self.args.aetitle or "STORESCP", lifespan=self.lifespan)
        classes = ("*",) if self.args.promiscuous else ()
        app.store(*classes, transfer_syntaxes=self.args.transfer_syntaxes)(self.store)
        app.map_exception(OSError, Status.OUT_OF_RESOURCES)
        if self.args.refuse or self.args.reject:
            app.on_associate(self.screen)
        return app

    @asynccontextmanager
    async def lifespan(self, app: Application) -> AsyncIterator[None]:
        """What is there while it serves."""
        self.runner = Runner(to_stderr=self.output.json)
        self.studies = Studies(self.args, self.root, self.study_complete)
        yield
        await self.studies.close()
        await self.runner.close(GRACE)

    async def screen(self, proposal: Proposal) -> None:
        """Rejects associations as the options for testing say."""
        if self.args.refuse or not proposal.pdu.user.implementation_class_uid:
            logger.info("%s: rejected as the command line wants", proposal.peer)
            raise AssociationRejected

    async def store(self, request: StoreRequest) -> None:
        """Receives one object."""
        args = self.args
        if args.abort_during:
            request.association.abort(detail="as wanted by --abort-during")
            return
        await asyncio.sleep(args.sleep_during)
        if args.ignore or args.abort_after:
            async for _ in request.chunks():
                pass
        else:
            await self.keep(request)
        if args.abort_after:
            request.association.abort(detail="as wanted by --abort-after")
            return
        await asyncio.sleep(args.sleep_after)

    # writing

    async def keep(self, request: StoreRequest) -> None:
        """Writes the object to its file, and has the commands run that are to be."""
        directory = self.root
        if self.by_study or not self.args.bit_preserving:
            study, path = await self.keep_staged(request)
            directory = study.directory if study is not None else directory
        else:
            path = await request.save(self.root / self.name_for(request))
        logger.info("%s: %s", request.peer, path)
        self.output.result(str(path) if self.output.json else "", record_of(request, path))
        if self.on_reception is not None:
            values = values_for(directory, path.name, *who(request))
            await self.runner.start(self.on_reception.arguments(values))

    def name_for(self, request: StoreRequest) -> str:
        """The name of the file."""
        own = f".{secrets.token_hex(8)}" if self.args.unique_filenames else ""
        return f"{safe_name(request.sop_instance_uid)}{own}{self.args.filename_extension}"

    async def keep_staged(self, request: StoreRequest) -> tuple[Study | None, Path]:
        """Writes the object under a hidden name first: where it goes stands within, or it is encoded anew."""
        staged = self.root / f".{secrets.token_hex(12)}.part"
        try:
            if self.args.bit_preserving:
                await request.save(staged)
            else:
                dataset = await request.dataset()
                instance = await asyncio.to_thread(Instance.from_dataset, dataset, request.transfer_syntax)
                await asyncio.to_thread(staged.write_bytes, request.file_header() + instance.read())
            study = await self.study_of(request, staged) if self.by_study else None
            directory = study.directory if study is not None else self.root
            return study, await asyncio.to_thread(publish, staged, directory / self.name_for(request))
        finally:
            await asyncio.to_thread(staged.unlink, missing_ok=True)

    async def study_of(self, request: StoreRequest, path: Path) -> Study:
        """The study that an object belongs to.

        Raises:
            Refused: it does not say.
        """
        try:
            facts = await asyncio.to_thread(facts_of, path)
        except OSError:
            raise
        except Exception as error:  # whatever pydicom makes of hostile bytes
            logger.warning("%r: %s", request, error)
            facts = Facts("", "")
        if not facts.study_uid:
            raise Refused(Status.CANNOT_UNDERSTAND, "no Study Instance UID")
        return self.studies.study(facts, *who(request))

    async def study_complete(self, study: Study) -> None:
        """Runs the command that is to be run when a study is complete."""
        logger.info("study %s from %s is complete", study.uid, study.calling)
        if self.on_study is not None:
            values = values_for(study.directory, "", study.calling, study.called, study.host)
            await self.runner.start(self.on_study.arguments(values))


def hook(option: str, command: str | None, allowed: str) -> Hook | None:
    """The command of an option, if there is one."""
    return Hook(option, command, allowed) if command is not None else None


def publish(staged: Path, path: Path) -> Path:
    """Gives a file its name, in a directory that may still have to be made."""
    path.parent.mkdir(exist_ok=True)
    return staged.replace(path)


def who(request: StoreRequest) -> tuple[str, str, str]:
    """Calling AE title, called AE title and address of the peer."""
    agreement = request.association.agreement
    called = agreement.called_ae_title if agreement is not None else ""
    return request.peer.ae_title, called, request.peer.host


def record_of(request: StoreRequest, path: Path) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "path": str(path),
        "sop_class_uid": request.sop_class_uid,
        "sop_instance_uid": request.sop_instance_uid,
        "transfer_syntax_uid": request.transfer_syntax,
        "peer": str(request.peer),
    }

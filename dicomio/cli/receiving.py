"""What the tools that receive objects into files have in common."""

import logging
import secrets
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dicomio import Application, Instance, Proposal, Status, StoreRequest
from dicomio.cli.configs import configured
from dicomio.cli.errors import UsageError
from dicomio.cli.facts import Facts, facts_in, facts_of, tolerant
from dicomio.cli.naming import NAMINGS
from dicomio.cli.output import Output, object_record
from dicomio.cli.rewriting import Rewriting
from dicomio.cli.scu import directory_of
from dicomio.datasets import decode, file_header
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.sop import name_of
from dicomio.threads import in_thread

__all__ = ["Receiver"]

logger = logging.getLogger("dicomio.cli.receiving")

# Names that processes which know nothing of each other may give twice.
BY_TIME: Final = ("millisecond", "microsecond")


class Receiver:
    """Receives objects and writes them to files.

    Args:
        args: the command line.
        output: where results go.

    Attributes:
        sorted: where an object goes stands within.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        if args.refused is not None:
            raise UsageError(args.refused)
        if args.names in BY_TIME and args.workers > 1:
            raise UsageError("names of files that are made of the time need --workers 1")
        if args.enable_crl_vfy and not args.add_crl_file:
            raise UsageError("option +crv needs +crl")
        self.args = args
        self.output = output
        # options that the simple receiver does not have
        self.promiscuous = getattr(args, "promiscuous", False)
        self.transfer_syntaxes = getattr(args, "transfer_syntaxes", ())
        self.header = getattr(args, "header", True)
        self.profile = configured(args)
        if self.profile is not None:
            if self.promiscuous or self.transfer_syntaxes != ():
                raise UsageError("a configuration says what is accepted; options -pm and +x… cannot be given beside it")
            self.profile.accepted()
        self.rewriting = Rewriting.wanted(args)
        self.naming = NAMINGS[args.names]()
        self.sorted = False
        self.root = directory_of(args)

    def application(self) -> Application:
        """The application that does it."""
        app = Application(self.args.aetitle or self.output.tool.name.upper(), lifespan=self.lifespan)
        if self.profile is not None:
            self.profile.serve(app, self.store)
        else:
            classes = ("*",) if self.promiscuous else ()
            app.store(*classes, transfer_syntaxes=self.transfer_syntaxes or None)(self.store)
        app.map_exception(OSError, Status.OUT_OF_RESOURCES)
        if self.args.verbose_pc:
            app.on_associate(self.tell_contexts)
        return app

    @asynccontextmanager
    async def lifespan(self, app: Application) -> AsyncIterator[None]:
        """What is there while it serves."""
        yield

    async def tell_contexts(self, proposal: Proposal) -> None:
        """Tells which presentation contexts a peer proposes."""
        for context in proposal.pdu.contexts:
            syntaxes = ", ".join(map(name_of, context.transfer_syntaxes))
            logger.info("%s: context %d: %s: %s", proposal.peer, context.id, name_of(context.abstract_syntax), syntaxes)

    async def store(self, request: StoreRequest) -> None:
        """Receives one object."""
        if self.args.ignore:
            await drop(request)
        else:
            await self.keep(request)

    # writing

    async def keep(self, request: StoreRequest) -> Path:
        """Writes the object to its file."""
        name = self.name_for(request)
        # What has no suffix `save` takes for a directory.
        if self.sorted or self.rewriting is not None or not self.header or not Path(name).suffix:
            path = await self.keep_staged(request, name)
        else:
            path = await request.save(self.root / name)
        logger.info("%s: %s", request.peer, path)
        self.output.result(str(path) if self.output.json else "", object_record(request, path))
        return path

    def name_for(self, request: StoreRequest) -> str:
        """The name of the file."""
        return self.naming(request.sop_class_uid, request.sop_instance_uid) + str(self.args.filename_extension)

    async def keep_staged(self, request: StoreRequest, name: str) -> Path:
        """Writes the object under a hidden name first."""
        staged = self.root / f".{secrets.token_hex(12)}.part"
        try:
            return await self.place(request, await self.stage(request, staged), staged, name)
        finally:
            await in_thread(staged.unlink, missing_ok=True)

    async def stage(self, request: StoreRequest, staged: Path) -> Facts:
        """Writes the object under a name that is not its own, and finds out what says where it goes.

        Raises:
            InvalidInstance: it is to be encoded anew, and cannot be.
        """
        if self.rewriting is None and self.header:
            await request.save(staged)
            return await in_thread(tolerant, lambda: facts_of(staged)) if self.sorted else Facts()
        uids = request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax
        return await in_thread(self.write, request, Instance.from_bytes(*uids, await request.read()), staged)

    def write(self, request: StoreRequest, instance: Instance, staged: Path) -> Facts:
        """Writes an object that is in memory; in a thread."""
        limits, facts = request.association.limits, Facts()
        if self.rewriting is not None:
            target = self.rewriting.target(instance.transfer_syntax)
            before = len(self.header_of(request, target))
            instance, ds = self.rewriting.rewrite(instance, before, limits)
            facts = facts_in(ds)
        elif self.sorted:
            facts = tolerant(lambda: facts_in(decode(instance.read(), instance.transfer_syntax, limits)))
        with staged.open("xb") as file:
            file.writelines((self.header_of(request, instance.transfer_syntax), instance.read()))
        return facts

    def header_of(self, request: StoreRequest, transfer_syntax: str) -> bytes:
        """What stands before the data set in the file (PS3.10 7.1); nothing with `-F`."""
        if not self.header:
            return b""
        calling, called, _ = who(request)
        return file_header(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax=transfer_syntax,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            sending_ae=calling,
            receiving_ae=called,
        )

    async def place(self, request: StoreRequest, facts: Facts, staged: Path, name: str) -> Path:
        """Gives the file its name, in the directory it belongs to."""
        return await in_thread(publish, staged, self.root / name)


async def drop(request: StoreRequest) -> None:
    """Receives an object and keeps nothing of it."""
    async for _ in request.chunks():
        pass


def publish(staged: Path, path: Path) -> Path:
    """Gives a file its name, in a directory that may still have to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return staged.replace(path)


def who(request: StoreRequest) -> tuple[str, str, str]:
    """Calling AE title, called AE title and address of the peer."""
    agreement = request.association.agreement
    called = agreement.called_ae_title if agreement is not None else ""
    return request.peer.ae_title, called, request.peer.host

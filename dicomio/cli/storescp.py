"""`dicomio storescp`: receives objects and writes them to files."""

import asyncio
import logging
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dicomio import Application, AssociationRejected, Proposal, Refused, Status, StoreRequest
from dicomio.cli.errors import UsageError
from dicomio.cli.facts import Facts
from dicomio.cli.hooks import Hook, Runner, values_for
from dicomio.cli.modalities import prefix_of
from dicomio.cli.output import Output
from dicomio.cli.receiving import Receiver, drop, publish, who
from dicomio.cli.serving import serve_application
from dicomio.cli.studies import Studies, Study, rename
from dicomio.threads import in_thread

__all__ = ["StoreSCP", "run"]

logger = logging.getLogger("dicomio.cli.storescp")

# Seconds that commands get to end when the server does.
GRACE: Final = 30.0


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    scp = StoreSCP(args, output)
    return serve_application(scp.application(), args, output)


class StoreSCP(Receiver):
    """The receiver.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.on_reception = hook("-xcr", args.exec_on_reception, "#a #c #r" if args.ignore else "#p #f #a #c #r")
        self.on_study = hook("-xcs", args.exec_on_eostudy, "#p #a #c #r")
        by_study = Studies.wanted(args)
        if args.eostudy_timeout is not None and not by_study:
            raise UsageError("option -tos needs one of -ss, -su, -sp and -xcs")
        if args.rename_on_eostudy and args.sorting is None:
            raise UsageError("option -rns needs one of -ss, -su and -sp")
        if args.ignore and self.on_study is not None:
            raise UsageError("option --ignore leaves nothing for -xcs")
        super().__init__(args, output)
        self.sorted = by_study

    def application(self) -> Application:
        """The application that does it."""
        app = super().application()
        if self.args.refuse or self.args.reject:
            app.on_associate(self.screen)
        return app

    @asynccontextmanager
    async def lifespan(self, app: Application) -> AsyncIterator[None]:
        """What is there while it serves."""
        self.runner = Runner(to_stderr=self.output.json, one_by_one=self.args.exec_sync)
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
        path = None
        if args.ignore or args.abort_after:
            await drop(request)
        else:
            path = await self.keep(request)
        if args.abort_after:
            request.association.abort(detail="as wanted by --abort-after")
            return
        await self.react(request, path)
        await asyncio.sleep(args.sleep_after)

    async def react(self, request: StoreRequest, path: Path | None) -> None:
        """Has the command run that is to be run for each object."""
        if self.on_reception is not None:
            directory, name = (path.parent, path.name) if path is not None else (self.root, "")
            await self.run_command(self.on_reception, values_for(directory, name, *who(request)))

    async def run_command(self, command: Hook, values: dict[str, str]) -> None:
        """Runs a command; waits for its end where that is wanted."""
        running = await self.runner.start(command.arguments(values))
        if self.args.exec_sync:
            # Whoever waits may be cancelled, the command is not.
            await asyncio.shield(running)

    async def place(self, request: StoreRequest, facts: Facts, staged: Path, name: str) -> Path:
        """Gives the file its name, in the directory of its study.

        Raises:
            Refused: it does not say to which it belongs.
        """
        if not self.sorted:
            return await super().place(request, facts, staged, name)
        if not facts.study_uid:
            raise Refused(Status.CANNOT_UNDERSTAND, "no Study Instance UID")
        study = self.studies.study(facts, *who(request))
        try:
            path = await in_thread(publish, staged, study.directory / name)
            if self.args.rename_on_eostudy:
                study.files[name] = prefix_of(request.sop_class_uid)
        finally:
            self.studies.arrived(study)
        return path

    async def study_complete(self, study: Study) -> None:
        """Does what is to be done when a study is complete."""
        logger.info("study %s from %s is complete", study.uid, study.calling)
        if study.files:
            await in_thread(rename, study)
        if self.on_study is not None:
            await self.run_command(
                self.on_study, values_for(study.directory, "", study.calling, study.called, study.host)
            )


def hook(option: str, command: str | None, allowed: str) -> Hook | None:
    """The command of an option, if there is one."""
    return Hook(option, command, allowed) if command is not None else None

"""What all tools that wait for peers have in common."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from dicomio import Address, Application, Limits, Server, Timeout, serve
from dicomio.cli.output import Output
from dicomio.cli.security import server_tls
from dicomio.cli.shutdown import decide_shutdown
from dicomio.server import run as run_server
from dicomio.workers import reserve_port, supervise

__all__ = ["serve_application", "server_maker"]

IDLE: Final = 600.0


def host_of(args: Namespace) -> str | None:
    """The address to listen on; with port 0 the system would choose another port for each kind of address."""
    return getattr(args, "host", None) or ("0.0.0.0" if args.port == 0 else None)


def server_maker(app: Application, args: Namespace) -> Callable[..., Server]:
    """What makes the server that the options describe, given a port, and whether that is `shared`.

    Raises:
        UsageError: the TLS options are not right.
    """
    context = server_tls(args)
    timeout = Timeout(
        artim=args.acse_timeout,
        release=args.acse_timeout,
        response=args.dimse_timeout,
        idle=args.dimse_timeout or IDLE,
    )
    writing = getattr(args, "socket_timeout", None)
    if writing is not None:
        timeout = replace(timeout, write=writing or None)
    limits = Limits(max_pdu=args.max_pdu, associations=args.max_associations)

    def make(port: int, *, shared: bool) -> Server:
        return serve(app, host_of(args), port, ssl=context, timeout=timeout, limits=limits, reuse_port=shared)

    return make


def serve_application(app: Application, args: Namespace, output: Output) -> int:
    """Serves until SIGINT or SIGTERM, with as many processes as wanted.

    Returns:
        The exit code.

    Raises:
        UsageError: the TLS options are not right.
    """
    make = server_maker(app, args)
    if hasattr(args, "allow_shutdown"):
        decide_shutdown(app, allowed=args.allow_shutdown)
    try:
        if args.workers == 1:
            shared = getattr(args, "shared_port", False)
            run_server(make(args.port, shared=shared), lambda server: tell(server.addresses, output))
        else:
            holder, (name, port) = reserve_port(host_of(args), args.port)
            with holder:
                supervise(
                    args.workers,
                    lambda ready, place: run_server(make(port, shared=True), lambda server: ready(), place=place),
                    lambda: tell([Address("", name, port)], output),
                )
    except OSError as error:
        output.error(f"cannot listen on port {args.port}: {error.strerror or error}", error)
        return 1
    return 0


def tell(addresses: Sequence[Address], output: Output) -> None:
    """Says where it listens; scripts wait for this line."""
    address = next((address for address in addresses if ":" not in address.host), addresses[0])
    host = f"[{address.host}]" if ":" in address.host else address.host
    output.line(f"listening on {host}:{address.port}")

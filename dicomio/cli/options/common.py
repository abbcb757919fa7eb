"""What all tools have in common: general, network, identity and TLS options."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import (
    ALL,
    ARCHIVE,
    CONNECTION,
    FIND,
    GENERAL,
    IDENTITY,
    NETWORK,
    OUTPUT,
    REPEATED,
    RETRIEVE,
    SCP,
    SCUS,
    SECURITY,
    SERVERS,
    TITLED,
)
from dicomio.tls import Profile

__all__ = ["ARGUMENTS", "OPTIONS"]

SHELLS: Final = ("bash", "zsh", "fish")

ARGUMENTS: Final = (
    Argument("HOST", "host name or IP address of the peer; not with --profile", SCUS, convert=values.host),
    Argument("PORT", "TCP port of the peer; not with --profile", SCUS, convert=values.port),
    Argument(
        "PORT",
        "TCP port (11112), 0 for any that is free",
        (*SCP, *ARCHIVE),
        "?",
        convert=values.server_port,
        default=11112,
    ),
    Argument("SHELL", "one of bash, zsh, fish", ("completion",), choices=SHELLS),
)

OPTIONS: Final = (
    Option(("-h", "--help"), "print this help and exit", ALL, GENERAL, action="help"),
    Option(("--version",), "print the version and exit", ALL, GENERAL, action="version"),
    Option(("-v", "--verbose"), "tell what is done", ALL, GENERAL, name="log_level", const="info"),
    Option(("-d", "--debug"), "as -v, and where errors come from", ALL, GENERAL, name="log_level", const="debug"),
    Option(("-q", "--quiet"), "tell neither warnings nor errors", ALL, GENERAL, name="log_level", const="quiet"),
    Option(
        ("-ll", "--log-level"),
        f"one of {', '.join(values.LOG_LEVELS)} (warn)",
        ALL,
        GENERAL,
        "LEVEL",
        values.log_level,
        default="warn",
        choices=values.LOG_LEVELS,
    ),
    Option(
        ("-lc", "--log-config"),
        "where log records go: a dictConfig in .json or .toml, else a file for logging.config.fileConfig",
        ALL,
        GENERAL,
        "FILE",
    ),
    Option(("--json",), "print results as JSON lines", ALL, GENERAL, default=False),
    Option(("--no-progress",), "show no progress", (*SCUS, "demo"), GENERAL, default=False),
    Option(("-aet", "--aetitle"), "our AE title (the tool's name)", TITLED, CONNECTION, "TITLE", values.ae_title),
    Option(
        ("-aec", "--call"),
        "AE title of the peer",
        SCUS,
        CONNECTION,
        "TITLE",
        values.ae_title,
        default="ANY-SCP",
    ),
    Option(
        ("--profile",),
        "the peer is this table of the file of peers, which gives HOST, PORT and what no option says otherwise",
        SCUS,
        CONNECTION,
        "NAME",
    ),
    Option(("--peers",), "the file of peers, in TOML (peers.toml)", SCUS, CONNECTION, "FILE"),
    Option(("-to", "--timeout"), "seconds to connect (30)", SCUS, CONNECTION, "SECONDS", values.seconds, default=30.0),
    Option(
        ("-ta", "--acse-timeout"),
        "seconds for opening and releasing an association (30)",
        NETWORK,
        CONNECTION,
        "SECONDS",
        values.seconds,
        default=30.0,
    ),
    *(
        Option(("-td", "--dimse-timeout"), meaning, tools, CONNECTION, "SECONDS", values.seconds)
        for meaning, tools in (
            ("seconds for a message of the peer (unlimited)", SCUS),
            ("seconds for a message of the peer (unlimited), and without any (600)", SERVERS),
        )
    ),
    Option(
        ("-pdu", "--max-pdu"),
        "longest PDU to receive in bytes, 0 for any (262144)",
        NETWORK,
        CONNECTION,
        "BYTES",
        values.max_pdu,
        default=262_144,
    ),
    Option(
        ("--window",),
        "operations to have outstanding; not negotiated by default",
        SCUS,
        CONNECTION,
        "NUMBER",
        values.count,
    ),
    Option(("--repeat",), "do it this often (1)", REPEATED, CONNECTION, "NUMBER", values.count, default=1),
    Option(("--abort",), "abort the association instead of releasing it", REPEATED, CONNECTION, default=False),
    Option(("-usr", "--user"), "user name", SCUS, IDENTITY, "NAME"),
    Option(("-pwd", "--password"), "passcode of the user", SCUS, IDENTITY, "PASSCODE"),
    Option(("-epw", "--empty-password"), "an empty passcode", SCUS, IDENTITY, default=False),
    Option(("-kt", "--kerberos"), "file with a Kerberos ticket", SCUS, IDENTITY, "FILE"),
    Option(("--saml",), "file with a SAML assertion", SCUS, IDENTITY, "FILE"),
    Option(("--jwt",), "file with a JSON Web Token", SCUS, IDENTITY, "FILE"),
    Option(
        ("-rsp", "--pos-response"),
        "expect a positive response",
        SCUS,
        IDENTITY,
        name="positive_response",
        default=False,
    ),
    Option(
        ("+tls", "--enable-tls"),
        "speak TLS with this private key and certificate (PEM files)",
        NETWORK,
        SECURITY,
        "KEY CERTIFICATE",
        values.two,
        name="tls",
        words=2,
    ),
    Option(
        ("+tla", "--anonymous-tls"),
        "speak TLS without a certificate of our own",
        SCUS,
        SECURITY,
        name="tls",
        const=(),
    ),
    Option(("-tls", "--disable-tls"), "speak no TLS (default)", NETWORK, SECURITY, name="tls", const=False),
    Option(("-pem", "--pem-keys"), "keys and certificates are PEM files (always so)", NETWORK, SECURITY, default=False),
    Option(("+cf", "--add-cert-file"), "trust the certificates in a file", NETWORK, SECURITY, "FILE", action="append"),
    Option(
        ("+cd", "--add-cert-dir"),
        "trust the certificates in a directory",
        NETWORK,
        SECURITY,
        "DIRECTORY",
        action="append",
    ),
    Option(
        ("+crl", "--add-crl-file"),
        "refuse peers whose certificates are in this revocation list",
        NETWORK,
        SECURITY,
        "FILE",
        action="append",
    ),
    Option(
        ("+crv", "--enable-crl-vfy"),
        "look at revocation lists (always so, with +crl)",
        NETWORK,
        SECURITY,
        default=False,
    ),
    Option(
        ("-rc", "--require-peer-cert"),
        "refuse peers without a certificate that is trusted (default)",
        NETWORK,
        SECURITY,
        name="peer_certificate",
        const="require",
    ),
    Option(
        ("-vc", "--verify-peer-cert"),
        "verify the certificate of a peer that has one",
        SERVERS,
        SECURITY,
        name="peer_certificate",
        const="verify",
    ),
    Option(
        ("-ic", "--ignore-peer-cert"),
        "take no notice of the certificate of the peer",
        NETWORK,
        SECURITY,
        name="peer_certificate",
        const="ignore",
    ),
    Option(
        ("+ps", "--std-passwd"),
        "ask for the password of the private key, if it has one",
        NETWORK,
        SECURITY,
        default=False,
    ),
    Option(("+pw", "--use-passwd"), "password of the private key", NETWORK, SECURITY, "PASSWORD"),
    Option(("-pw", "--null-passwd"), "the private key has no password", NETWORK, SECURITY, default=False),
    *(
        Option(spellings, meaning, NETWORK, SECURITY, name="tls_profile", const=profile)
        for spellings, meaning, profile in (
            (("+py", "--profile-bcp195-nd"), "non-downgrading BCP 195 profile (default)", Profile.NON_DOWNGRADING),
            (("+px", "--profile-bcp195"), "BCP 195 profile", Profile.BCP_195),
            (("+pz", "--profile-bcp195-ex"), "extended BCP 195 profile", Profile.EXTENDED),
        )
    ),
    *(
        Option(("-od", "--output-directory"), meaning, tools, OUTPUT, "DIRECTORY")
        for meaning, tools in (
            ("where files are written (here)", (*SCP, *RETRIEVE)),
            ("where -X writes the matches (here); implies -X", FIND),
            ("where the archive is (./archive)", ARCHIVE),
            ("where the files that come back are written (nowhere that stays)", ("demo",)),
        )
    ),
    Option(
        ("+B", "--bit-preserving"),
        "write data sets exactly as received (default)",
        RETRIEVE,
        OUTPUT,
        name="bit_preserving",
        default=True,
    ),
)

"""Which transfer syntaxes objects can be converted from: `--list-decoders`."""

from dicomio.sop import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

__all__ = ["list_decoders"]

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


def list_decoders() -> str:
    """The transfer syntaxes that can be read here and now."""
    # The table of options names this function, and is loaded where nobody calls it.
    from pydicom.uid import UID, AllTransferSyntaxes

    from dicomio.datasets import convertible

    lines = ["Transfer syntaxes supported natively:", *(f"- {UID(uid).name}" for uid in NATIVE)]
    lines += ["", "Transfer syntaxes supported by decoders:"]
    for uid in AllTransferSyntaxes:
        if uid not in NATIVE and convertible(uid, (ExplicitVRLittleEndian,)):
            lines.append(f"- {uid.name}")
    return "\n".join(lines) + "\n"

"""What is raised about captures, beside `OSError`."""

from dicomio.errors import DicomError

__all__ = ["InvalidCapture"]


class InvalidCapture(DicomError, ValueError):
    """A file that is no capture, or a damaged one; the text says what is wrong with it and where."""

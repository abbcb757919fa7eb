"""The border to pydicom: SOP instances to send, and data sets between bytes and `pydicom.Dataset`.

Everything here is synchronous and free of shared state, so that it can run in a worker thread.
"""

from dicomio.datasets.codec import decode, encode
from dicomio.datasets.convert import convert, convertible
from dicomio.datasets.instance import Instance
from dicomio.datasets.part10 import file_header, safe_name

__all__ = ["Instance", "convert", "convertible", "decode", "encode", "file_header", "safe_name"]

"""An archive to embed: an application that keeps DICOM objects below a directory and finds them again.

```python
archive = Archive("objects", ae_title="ARCHIVE")
archive.app.run(port=11112)
```
"""

from dicomio.archive.archive import Archive

__all__ = ["Archive"]

"""An archive to embed: an application that keeps DICOM objects below a directory and finds them again.

```python
archive = Archive("objects", ae_title="ARCHIVE")
archive.app.run(port=11112)
```
"""

try:
    from dicomio.archive.archive import Archive
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in ("aiosqlite", "alembic", "sqlalchemy"):
        raise
    raise ModuleNotFoundError(
        f"dicomio.archive needs {error.name}, which is not installed: pip install 'dicomio[archive]'", name=error.name
    ) from error

__all__ = ["Archive"]

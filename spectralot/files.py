"""Writing a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks import ParameterError
from .hints import PathLike

if TYPE_CHECKING:
    import zipfile


def refuse_device(path: PathLike) -> None:
    """Raise OSError if this is a device, of which there may be no end.

    Parameters
    ----------
    path : str or path-like
        What is to be read.

    Raises
    ------
    OSError
        If it is one, or is not there.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device")


def check_archive(archive: zipfile.ZipFile) -> None:
    """Raise ValueError unless all members of an archive are there and have their checksums.

    NumPy reads no further than a header says, and zipfile counts nothing.

    Parameters
    ----------
    archive : zipfile.ZipFile
        Open for reading.

    Raises
    ------
    ValueError
        If something is missing or damaged.
    """
    if bad := archive.testzip():
        raise ValueError(f"Bad CRC-32 for file {bad!r}")
    file: Any = archive.fp
    file.seek(-22 - len(archive.comment), os.SEEK_END)
    if int.from_bytes(file.read(22)[10:12], "little") != len(archive.infolist()):
        raise ValueError("it lacks some of its members")


@contextmanager
def writing(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    Parameters
    ----------
    path : str or path-like
        The file to write.
    overwrite : bool
        Replace a file that is already there.

    Yields
    ------
    pathlib.Path
        Where the block has to write; removed if the block raises.

    Raises
    ------
    ParameterError
        If `path` exists and `overwrite` is false, or if the system refuses to write.

    Notes
    -----
    A process that is killed outright leaves its hidden .spectralot-*.part behind. Nothing reads it
    or removes it later: in a folder that several machines share, none can tell whether another one
    is still writing. Remove it when nothing runs there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(f"{folder}/hello.txt") as part:
    ...         _ = part.write_text("hello")
    ...     Path(folder, "hello.txt").read_text()
    'hello'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"cannot write {path}: there is no folder {path.parent}")
    if os.path.lexists(path) and not overwrite:
        raise ParameterError(f"cannot write {path}: it exists already; set overwrite to replace it")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ParameterError(f"cannot write {path}: it is a device or a pipe")
    part = path.with_name(f".spectralot-{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror or error}") from None
    except ParameterError as error:  # of who wrote the part as a file of its own
        if str(part) not in str(error):
            raise
        raise ParameterError(str(error).replace(str(part), str(path))) from None
    finally:
        with suppress(OSError):  # of a disk that has become read-only
            part.unlink(missing_ok=True)

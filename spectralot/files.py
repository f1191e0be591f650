"""Writing a file whole or not at all."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path

from .checks import ParameterError


@contextmanager
def writing(path, *, overwrite=False):
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
    part = path.with_name(f".spectralot-{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise ParameterError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)

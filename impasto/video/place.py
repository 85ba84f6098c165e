"""A file that is written beside its place, and takes it when all went well."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.errors import ImpastoError, OutputError, OutputExists
from impasto.video.ffmpeg import library


def check(path: Path, force: bool) -> None:
    """Check that a file can be written: to be called before long work.

    Raises:
        OutputExists: a file is there, and `force` is not set.
        OutputError: no such folder, a folder in the file's place, or no permission to write.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give a file name")
    if path.exists() and not force:
        raise OutputExists(f"{path} exists already: --force (force=True) replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent} to write {path.name} into: make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {path.parent}")


class Partial:
    """A file for FFmpeg to write to. Every byte is written or an error raised, for FFmpeg takes no note of half a write."""

    def __init__(self, path: Path, force: bool) -> None:
        self.path, self.force = path, force
        self._target = Path(os.path.realpath(path))  # a link stays one, and its target is replaced
        own = uuid.uuid4().hex[:12]  # not the process's number, which another machine may have too
        self._place = self._target.with_name(f".impasto-{own}-{path.name}")
        self._file = self._place.open("wb+", buffering=0)
        self.name = os.fspath(self._place)
        """FFmpeg reads the file again by its name where it moves the index to the front."""

    def write(self, data: bytes) -> int:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()

    @property
    def closed(self) -> bool:
        """Whether it is closed: then PyAV writes no end to it."""
        return self._file.closed

    def close(self) -> None:
        """Close it; PyAV may do so too."""
        self._file.close()

    def commit(self) -> None:
        """Take the place.

        Raises:
            OutputExists: a file appeared there meanwhile, and `force` is not set.
        """
        os.fsync(self._file.fileno())
        self._file.close()
        if self._target.exists() and not self.force:
            raise OutputExists(f"{self.path} appeared meanwhile: --force (force=True) replaces it")
        self._place.replace(self._target)

    def discard(self) -> None:
        """Close it and let it disappear, if it did not take its place."""
        self._file.close()
        self._place.unlink(missing_ok=True)


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """What system and libraries raise while writing, as one line of ours.

    Raises:
        OutputError: it cannot be written: no space, no permission, or what the encoder says.
    """
    try:
        yield
    except ImpastoError:
        raise
    except MemoryError as error:
        raise OutputError(f"cannot write {path}: not enough memory for its encoder") from error
    except (OSError, ValueError, library().FFmpegError) as error:
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error

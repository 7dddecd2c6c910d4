"""Unpacking archives: all or nothing, inside their folder, within limits."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from wframe.data.download import check_disk
from wframe.errors import UserError

MOST_FILES = 5_000_000
MOST_TIMES = 100  # an archive's content is at most so many times its size, or `SMALL`
SMALL = 1_000_000_000
STAGE = ".unpack-"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into `folder`; what was unpacked before is replaced only when all is well.

    Raises:
        UserError: not a whole archive, a member that points outside or is the archive itself, or too much content.
    """
    drop_leftovers(folder)
    work = Path(mkdtemp(prefix=STAGE, dir=folder))
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _check(archive, ((info.filename, info.file_size) for info in zipped.infolist()))
                zipped.extractall(work)
        else:
            with tarfile.open(archive) as tar:
                _check(archive, ((member.name, member.size) for member in tar))
                tar.extractall(work, filter="data")
        for item in work.iterdir():
            target = folder / item.name
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            item.replace(target)
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: a member points outside; not unpacked ({error})") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the archive is well, the disk isn't
        raise UserError(f"{archive}: can't be unpacked ({error}). Remove it and fetch again.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def drop_leftovers(folder: Path) -> None:
    """Remove what an unpacking that was killed left behind."""
    for left in folder.glob(f"{STAGE}*"):
        shutil.rmtree(left, ignore_errors=True)


def _check(archive: Path, members: Iterable[tuple[str, int]]) -> None:
    """Refuse an archive that would write outside its folder, over our own files, or without end."""
    limit = max(SMALL, MOST_TIMES * archive.stat().st_size)
    total = 0
    for count, (name, size) in enumerate(members, 1):
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or ".." in parts:
            raise UserError(f"{archive}: its member {name} points outside; not unpacked")
        if parts and (parts[0] == archive.name or parts[0].startswith(".")) and parts[0] != ".":
            raise UserError(f"{archive}: its member {name} would take the place of one of our own files; not unpacked")
        total += size
        if total > limit or count > MOST_FILES:
            raise UserError(
                f"{archive}: it holds more than {limit / 1e9:,.0f} GB or {MOST_FILES:,} files; not unpacked. "
                "Unpack it by hand if that is right."
            )
    check_disk(archive.parent, total, f"the content of {archive.name}")

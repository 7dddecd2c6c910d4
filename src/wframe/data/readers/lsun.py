"""LSUN's databases (lmdb), one for each category."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from wframe.data.readers import Candidate
from wframe.errors import UserError


def read(path: str, class_: str) -> Iterator[Candidate]:
    """LSUN's lmdb (key → encoded image), read in key order straight from the database: no key list, no cache."""
    if class_ != "all":
        raise UserError(f"an LSUN database is one category: its class is `all`, not {class_!r}")
    key, more = b"\0", True
    while more:  # the pages of an open database count as this process's memory: it is opened anew now and then
        more = False
        with _lmdb(path) as transaction:
            cursor = transaction.cursor()
            if cursor.set_range(key):
                for key in islice(cursor.iternext(values=False), 1000):
                    yield Candidate(key.decode("ascii", "backslashreplace"), partial(transaction.get, key))
                    more = True
        key += b"\0"  # the least key above the last one


def count(path: str, class_: str) -> int:
    """Return how many images the database has."""
    with _lmdb(path) as transaction:
        return transaction.stat()["entries"]


@contextmanager
def _lmdb(path: str) -> Iterator[Any]:
    """Open a database for reading; yield a transaction.

    Raises:
        UserError: it isn't there, or not whole.
    """
    import lmdb

    file = Path(path, "data.mdb")
    if not file.is_file():
        raise UserError(f"{path}: no LSUN database here (no data.mdb). `wframe fetch lsun-bedroom` gets it.")
    try:
        with lmdb.open(path, readonly=True, lock=False, readahead=False, max_readers=1) as database:
            needs = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            if file.stat().st_size < needs:  # reading beyond the end would kill the process (SIGBUS)
                raise lmdb.Error(f"{file.stat().st_size:,} bytes of at least {needs:,}")
            with database.begin() as transaction:
                yield transaction
    except lmdb.Error as error:
        raise UserError(f"{path}: not a whole LSUN database ({error}). Fetch it again.") from error

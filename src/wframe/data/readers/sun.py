"""The SUN database: category folders."""

from collections.abc import Iterator

from wframe.data.readers import Candidate
from wframe.data.readers._files import below


def read(path: str, class_: str) -> Iterator[Candidate]:
    """SUN's category folders: `PATH/CLASS`, or SUN397's `PATH/C/CLASS`, sorted under first letters."""
    return below(path, *("",) if class_ == "all" else (class_, f"{class_[0]}/{class_}"))

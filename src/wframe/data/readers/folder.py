"""Class folders of image files: anyone's own images."""

from collections.abc import Iterator

from wframe.data.readers import Candidate
from wframe.data.readers._files import below


def read(path: str, class_: str) -> Iterator[Candidate]:
    """Class folders of image files: `PATH/CLASS/**`; class `all` is everything below PATH.

    PATH may be an archive (.zip, .tar, .tar.gz, .tar.xz), and `ARCHIVE!SUBFOLDER` a folder in it. Files of a
    folder come in natural order (2 before 10); an archive's members in the archive's order, in which a compressed
    tar has to be read anyway. Hidden files are left out.
    """
    return below(path, "" if class_ == "all" else class_)

"""CelebA's aligned faces, as released."""

from collections.abc import Iterator

from wframe.data.readers import Candidate
from wframe.data.readers._files import below


def read(path: str, class_: str) -> Iterator[Candidate]:
    """CelebA's aligned faces: a folder or zip of jpgs. (Its parquet files: `source: huggingface`.)"""
    return below(path, "" if class_ == "all" else class_)

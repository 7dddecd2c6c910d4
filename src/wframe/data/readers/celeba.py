"""CelebA's aligned faces."""

from collections.abc import Iterator
from pathlib import Path

from wframe.data.readers import Candidate
from wframe.data.readers._files import below
from wframe.errors import UserError


def read(path: str, class_: str) -> Iterator[Candidate]:
    """CelebA's aligned faces: a folder or zip of jpgs, or a folder of parquet files as Hugging Face has them."""
    tables = sorted(Path(path).glob("*.parquet")) if class_ == "all" else []
    return _parquet_rows(tables) if tables else below(path, "" if class_ == "all" else class_)


def _parquet_rows(tables: list[Path]) -> Iterator[Candidate]:
    """Yield the images of parquet files whose column `image` has the encoded bytes, row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table in tables:
        try:
            with pq.ParquetFile(table) as file:
                row = 0
                for batch in file.iter_batches(100, columns=["image"]):
                    for image in batch.column("image").field("bytes"):
                        yield Candidate(f"{table.name}[{row}]", image.as_py)
                        row += 1
        except (pa.ArrowException, AttributeError, KeyError, OSError) as error:
            raise UserError(
                f"{table}: can't be read as a table of images, with their bytes in a column `image` ({error})"
            ) from error

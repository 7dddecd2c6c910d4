"""Images packed as parquet, as the Hub has image datasets: encoded bytes in a struct, class names in the schema."""

import io
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import REAL_DATA
from PIL import Image


def packed(
    images: list[bytes | None],
    labels: list[int] | None = None,
    names: list[str] | None = None,
    image: str = "image",
    label: str = "label",
    rows: int = 100,
) -> bytes:
    """A parquet file, `rows` rows to a row group."""
    features: dict[str, dict] = {image: {"_type": "Image"}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    column = [None if raw is None else {"bytes": raw, "path": f"{row}.png"} for row, raw in enumerate(images)]
    columns = {image: pa.array(column, kind)}
    if labels is not None:
        features[label] = {"_type": "ClassLabel", "names": names} if names else {"_type": "Value", "dtype": "int64"}
        columns[label] = pa.array(labels, pa.int64())
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=rows)
    return stream.getvalue()


def generated(seed: int, size: tuple[int, int] = (40, 40), kind: str = "PNG") -> bytes:
    """An image that no other seed gives."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return encoded(Image.fromarray(coarse).resize(size), kind)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, kind)
    return stream.getvalue()


def photographs(folder: str, n: int, seed: int) -> list[bytes]:
    """Files of the real data below `folder`, as they are; images made here where there is no real data."""
    found = sorted(path for path in (REAL_DATA / folder).glob("*") if path.is_file())[:n] if REAL_DATA.is_dir() else []
    return [path.read_bytes() for path in found] + [
        generated(seed + k, (178, 218), "JPEG") for k in range(len(found), n)
    ]


def cifar10(n: int, seed: int) -> tuple[list[bytes], list[int]]:
    """CIFAR-10's images as PNG and their labels, n of each class; made here where there is no real data."""
    batch = REAL_DATA / "cifar10-partial" / "cifar-10-batches-py" / "data_batch_1"
    if not batch.is_file():
        return [generated(seed + k, (32, 32)) for k in range(10 * n)], [k % 10 for k in range(10 * n)]
    from wframe.data.readers import candidates

    names = CIFAR10
    images, labels = [], []
    for label, name in enumerate(names):
        found = candidates("cifar10", str(Path(batch).parent), name)
        images += [encoded(Image.fromarray(np.asarray(candidate.read()))) for candidate in islice(found, n)]
        labels += [label] * n
    order = np.random.default_rng(seed).permutation(len(labels))
    return [images[k] for k in order], [labels[k] for k in order]


CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

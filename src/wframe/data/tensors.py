"""Having only some tensors of a large file: by ranges, or from the whole file where there is no other way."""

import io
import sys
from pathlib import Path
from typing import IO

from safetensors.numpy import save_file

from wframe.data.archive import read_tensors
from wframe.data.download import Part, as_size, transfer
from wframe.data.patience import Patience
from wframe.data.ranges import BLOCK, NoRanges, RemoteFile
from wframe.data.refused import Refused
from wframe.data.registry import File
from wframe.data.verify import problem


def bring_tensors(
    file: File, whole: File, path: Path, locked: str | None, patience: Patience, offline: bool = False
) -> str:
    """Put a file of some tensors of `whole` at `path`; return where they came from.

    First choice is the whole file where it lies beside `path`, checked. Then each source is asked for the tensors
    alone; then, of the sources that send only whole files, for the whole file, which is checked and removed.

    Raises:
        Refused: with a line for each source.
    """
    beside, part = path.with_name(whole.name), Part(path.with_name(path.name + ".part"))
    reasons: list[str] = []
    if beside.exists():
        if wrong := problem(whole, beside, None):
            reasons.append(f"{beside}: {wrong}")
        else:
            with beside.open("rb") as stream:
                _keep(file, stream, part, path, locked)
            return f"{whole.name}, put here by hand"
    sources, whole_only = [] if offline else file.sources, []
    for url in sources:
        try:
            with RemoteFile(url, patience) as remote:
                _keep(file, io.BufferedReader(remote, BLOCK), part, path, locked)
                got, size = as_size(remote.received), as_size(remote.size)
                print(f"{file.name}: {got} of the {size} at {url}, in {remote.requests} requests", file=sys.stderr)
            return url
        except NoRanges:
            whole_only.append(url)
        except Refused as reason:
            reasons.append(f"{url}: {reason}")
    for url in whole_only:
        much = as_size(whole.expected_size, whole.size is not None)
        print(f"{url}: this server sends only whole files: downloading all of it, {much}", file=sys.stderr)
        loaded = Part(beside.with_name(beside.name + ".part"))
        try:
            transfer(url, loaded, whole, whole.has_hash, patience)
            if wrong := problem(whole, loaded.path, None):
                loaded.drop()
                raise Refused(wrong)
            with loaded.path.open("rb") as stream:
                _keep(file, stream, part, path, locked)
            loaded.drop()
            return url
        except Refused as reason:
            reasons.append(f"{url}: {reason}")
    raise Refused("\n".join(reasons) or f"{file.name}: {'(offline)' if offline else '(no server has it any more)'}")


def _keep(file: File, stream: IO[bytes], part: Part, path: Path, locked: str | None) -> None:
    """Read the tensors and put them at `path`, if they are what the registry, or the first fetch, has."""
    save_file(read_tensors(stream, file.tensors), part.path)
    if wrong := problem(file, part.path, locked):
        part.drop()
        raise Refused(wrong)
    part.move(path)

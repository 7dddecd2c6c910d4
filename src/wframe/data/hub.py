"""The Hugging Face Hub, by its own client: what a repository has at a commit, and its files.

The client brings retries, mirrors (HF_ENDPOINT), tokens (HF_TOKEN), its cache and offline mode (HF_HUB_OFFLINE).
Beyond it: the commit that a server answers for has to be the one asked for, and every byte is hashed.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wframe.data.download import BUSY
from wframe.data.patience import Patience, patiently, watched
from wframe.data.refused import Refused

T = TypeVar("T")
STAGE = ".hub"  # in an entry's folder: what isn't checked yet; a killed fetch goes on with the files that are complete


class Place(NamedTuple):
    """A repository at a commit."""

    kind: str  # dataset or model
    repository: str
    commit: str

    @property
    def address(self) -> str:
        """Where people find it."""
        return f"huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"


class Remote(NamedTuple):
    """What the Hub says of a file: its size, and its content's hash."""

    size: int
    sha256: str | None  # of large files (LFS)
    blob: str  # of others: git's own hash


def place(text: str) -> Place:
    """Return the place that `datasets/OWNER/NAME@COMMIT` or `OWNER/NAME@COMMIT` names."""
    repository, _, commit = text.partition("@")
    kind = "dataset" if repository.startswith("datasets/") else "model"
    return Place(kind, repository.removeprefix("datasets/"), commit)


def listing(where: Place, patience: Patience) -> dict[str, Remote]:
    """Return all files of a repository at a commit, by path; asks the server.

    Raises:
        Refused: the Hub doesn't answer for it; the message says why.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    def ask() -> dict[str, Remote]:
        tree = HfApi().list_repo_tree(
            where.repository, repo_type=where.kind, revision=where.commit, recursive=True, expand=False
        )
        return {
            item.path: Remote(
                item.lfs.size if item.lfs else item.size, item.lfs.sha256 if item.lfs else None, item.blob_id
            )
            for item in tree
            if isinstance(item, RepoFile)
        }

    return _ask(where, ask, patience)


def cached(where: Place, name: str) -> Path | None:
    """Return a file in the Hub's own cache on this machine; None if it isn't there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(where.repository, name, repo_type=where.kind, revision=where.commit)
    return Path(found) if isinstance(found, str) else None


def download(where: Place, name: str, remote: Remote | None, target: Path, patience: Patience) -> str:
    """Put a file at `target`, from the cache on this machine or the server; return which one served it.

    Nothing is at `target` before its size and hash are what the Hub says of it (`remote`).

    Raises:
        Refused: it can't be had, or isn't what it should be.
    """
    stage = target.parents[name.count("/")] / STAGE
    if (local := cached(where, name)) is not None:
        staged, source = stage / name, f"the Hugging Face cache, {where.repository}@{where.commit}"
        staged.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local, staged)
        remote = remote or _by_cache(local)
    else:
        _drop_leftovers(stage)
        try:
            staged, source = _ask(where, lambda: _from_server(where, name, stage), patience)
        except Refused:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    if wrong := _differs(staged, remote):
        shutil.rmtree(stage)  # or the client would take it for complete the next time
        raise Refused(wrong)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)
    return source


def _from_server(where: Place, name: str, stage: Path) -> tuple[Path, str]:
    """Download a file to `stage`; return its path there, and its address."""
    from huggingface_hub import constants, hf_hub_download

    options: dict[str, Any] = {"repo_type": where.kind, "revision": where.commit, "local_dir": stage}
    about = hf_hub_download(where.repository, name, dry_run=True, **options)
    if about.commit_hash != where.commit:
        raise Refused(f"the server answers for commit {about.commit_hash} instead of {where.commit}")
    staged = Path(hf_hub_download(where.repository, name, **options))
    return staged, f"{constants.ENDPOINT}/{where.address.partition('/')[2]}/resolve/{where.commit}/{name}"


def _ask(where: Place, question: Callable[[], T], patience: Patience) -> T:
    """Return the client's answer to a question; it is asked again where the server is busy or the connection breaks."""

    def once() -> T:
        with _reasons(where), watched(patience) as counters, _over_http(counters):
            return question()

    return patiently(once, patience)


@contextmanager
def _over_http(counters: list[Callable[[], int]]) -> Iterator[None]:
    """Have the client use plain HTTP, and add counters of what comes.

    Its other protocol, Xet, receives in threads of its own, which an alarm can't interrupt. The growing file tells too
    little: the client writes 10 MB at a time.
    """
    from huggingface_hub import constants, get_session

    def hook(answer: Any) -> None:
        counters.append(lambda: answer.num_bytes_downloaded)

    client = get_session()
    hooks, xet = client.event_hooks, constants.HF_HUB_DISABLE_XET
    client.event_hooks = hooks | {"response": [*hooks["response"], hook]}
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        client.event_hooks = hooks
        constants.HF_HUB_DISABLE_XET = xet


def _by_cache(path: Path) -> Remote | None:
    """What the cache says of a large file: there, it is named after its SHA-256."""
    blob = path.resolve()
    return Remote(blob.stat().st_size, blob.name, "") if len(blob.name) == 64 else None


def _differs(path: Path, remote: Remote | None) -> str | None:
    """Return how a file differs from what the Hub says of it; None if it doesn't."""
    if remote is None:
        return None
    size = path.stat().st_size
    if size != remote.size:
        return f"{size:,} bytes instead of {remote.size:,}"
    digest = hashlib.sha256() if remote.sha256 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    expected = remote.sha256 or remote.blob
    if digest.hexdigest() != expected:
        return f"{digest.name} {digest.hexdigest()} instead of {expected}, which the Hub states for this commit"
    return None


def _drop_leftovers(stage: Path) -> None:
    """Remove what a killed download left: the client gives each try a name of its own, and uses none again."""
    for part in stage.rglob("*.incomplete") if stage.is_dir() else []:
        part.unlink(missing_ok=True)


@contextmanager
def _reasons(where: Place) -> Iterator[None]:
    """Turn what the client raises into words."""
    import httpx2 as httpx
    from huggingface_hub import errors

    link = f"https://{where.address}"
    said: list[tuple[type[Exception], Callable[[Any], str]]] = [
        (errors.GatedRepoError, lambda e: f"it is gated: accept its terms at {link}, then set HF_TOKEN to your token"),
        (errors.RepositoryNotFoundError, lambda e: f"no such repository ({_status(e)}), or it needs your HF_TOKEN"),
        (errors.RevisionNotFoundError, lambda e: f"the repository has no commit {where.commit} any more (status 404)"),
        (errors.RemoteEntryNotFoundError, lambda e: "the commit has no such file (status 404)"),
        (errors.OfflineModeIsEnabled, lambda e: "HF_HUB_OFFLINE is set, and the file isn't in this machine's cache"),
        (errors.HfHubHTTPError, lambda e: f"{_status(e)}{_advice(e)}"),
        (errors.FileMetadataError, lambda e: f"the server doesn't speak the Hub's language ({e})"),
        (httpx.HTTPError, lambda e: f"{type(e).__name__}: {e}"),
    ]
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        # the client's own "not found" hides what kept it from finding the file
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
        for kind, words in said:
            if isinstance(cause, kind):
                raise Refused(words(cause), _passes(cause)) from error
        if isinstance(error, OSError) and error.errno is None:  # the client's own check of sizes
            raise Refused(str(error).splitlines()[0], again=True) from error
        raise


def _passes(error: BaseException) -> bool:
    """Whether it may be better in a moment: a busy server, a broken connection."""
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        return _code(error) in BUSY
    return not isinstance(error, errors.OfflineModeIsEnabled | errors.FileMetadataError)


def _code(error: Any) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _status(error: Any) -> str:
    return f"status {_code(error)}" if _code(error) else str(error).splitlines()[0]


def _advice(error: Any) -> str:
    if _code(error) == 401:
        return ": set HF_TOKEN to your token"
    if _code(error) == 403:
        return ": this address or token isn't allowed to"
    return ": it limits requests; try again later, or set HF_TOKEN" if _code(error) == 429 else ""

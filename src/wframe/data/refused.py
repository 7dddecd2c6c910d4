"""Why a source didn't serve a file."""


class Refused(Exception):
    """A source didn't serve the file, or not the right one; the next source is tried.

    `again` says whether the same source may serve it in a moment, `after` how many seconds it asked to wait.
    """

    def __init__(self, reason: str, again: bool = False, after: float = 0.0) -> None:
        super().__init__(reason)
        self.again, self.after = again, after

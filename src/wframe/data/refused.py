"""Why a source didn't serve a file."""


class Refused(Exception):
    """A source didn't serve the file, or not the right one; the next source is tried."""

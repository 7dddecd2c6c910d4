"""Errors that the user can fix."""


class UserError(Exception):
    """A message for the user: what is wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2.
    """

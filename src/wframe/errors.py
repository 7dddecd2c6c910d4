"""What goes wrong in a way that the user can mend."""


class UserError(Exception):
    """A message for a person: what was wrong, where (file, key, value), and what to do.

    The command line prints it without a traceback and exits with status 2.
    """

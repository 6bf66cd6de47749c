"""What is wrong with a command line."""

from dagir.errors import DagirError


class UsageError(DagirError):
    """An argument of the command that cannot be used. Exit code 2."""

    exit_code = 2

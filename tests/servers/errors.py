"""What can go wrong with a test server."""


class UnavailableError(Exception):
    """This machine has no way to run the servers; says what would give it one."""


class ServerError(Exception):
    """A server did not start, or went away; says what its log ends with."""

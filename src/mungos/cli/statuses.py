"""With which status a command exits, and how it says why."""

from __future__ import annotations

import click

from mungos.printable import printable

__all__ = [
    "FAILED",
    "LACKING",
    "NOT_STARTED",
    "OK",
    "STATUSES",
    "USAGE",
    "Failure",
    "Interrupted",
    "Lacking",
    "NotStarted",
]

OK = 0
FAILED = 1
USAGE = 2
NOT_STARTED = 3
LACKING = 77  # not run, in the words of many test drivers; no other command of ours ends with it

STATUSES = """\b
Exit status:
  0    it went well
  1    it failed: no connection, a TLS alert, an unclean end, a status of 400
       or more; for a server: something was left open after its end
  2    wrong usage; also when a package is missing that the command needs
  3    it could not start: address in use, unreadable certificate, ...
  128+N  a client was ended by signal N (^C: 130)"""


class Failure(click.ClickException):
    """The thing failed: status 1, and one line that says what and what to do."""

    exit_code = FAILED

    def show(self, file: object = None) -> None:
        """Write the line to standard error; what a peer put into it can't move the cursor."""
        del file
        click.echo("mungos: " + printable(self.message, keep="\n"), err=True)


class NotStarted(Failure):
    """It could not start: status 3."""

    exit_code = NOT_STARTED


class Lacking(Failure):
    """A Debian mirror does not hold what a root is made of, of any release: status 77."""

    exit_code = LACKING


class Interrupted(BaseException):
    """A signal ended a client. Not an Exception: nothing on the way may take it for a failure of its own.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

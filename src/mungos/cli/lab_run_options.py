"""The options of `mungos lab run`, as data, and a parser for command lines without a mistake in them.

Importing click takes longer than all that `lab run` does before the command starts. So the table below is
the only definition of the options: `parse` reads a correct command line by it, and gives up on everything
else, for which `mungos.cli.lab_run` makes a click command of the same table, with its help and messages.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ARGUMENT", "OPTIONS", "Option", "Request", "parse"]

ARGUMENT = "COMMAND..."


class Option:
    """An option of the command line.

    Args:
        names: as typed; for a pair, the one that switches on first.
        attribute: of `Request`.
        kind: "flag", "pair", "seconds", "count", "text", "file" or "choice".
        default: the attribute's value without the option.
        text: for the help.
        metavar: what its value is called in the help.
        choices: of a "choice".
    """

    __slots__ = ("attribute", "choices", "default", "kind", "metavar", "names", "text")

    def __init__(
        self,
        names: tuple[str, ...],
        attribute: str,
        kind: str,
        default: object,
        text: str,
        *,
        metavar: str = "",
        choices: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.attribute = attribute
        self.kind = kind
        self.default = default
        self.text = text
        self.metavar = metavar
        self.choices = choices


class Request:
    """What the command line asks for; the attributes are those of the table, and the command."""

    __slots__ = (
        "arch",
        "command",
        "deadline",
        "grace",
        "history",
        "html",
        "idle_ok",
        "json",
        "junit",
        "locals",
        "name",
        "network",
        "no_history",
        "no_isolation",
        "pid1",
        "quiet",
        "retries",
        "stall",
        "terminal",
        "timestamps",
    )

    arch: str
    command: tuple[str, ...]
    deadline: float
    grace: float
    history: str
    html: str
    idle_ok: bool
    json: str
    junit: str
    locals: bool
    name: str
    network: str | None
    no_history: bool
    no_isolation: bool
    pid1: bool
    quiet: bool
    retries: int
    stall: float
    terminal: bool
    timestamps: bool

    def __init__(self, values: dict[str, object], command: tuple[str, ...]) -> None:
        for option in OPTIONS:
            value = values.get(option.attribute)
            setattr(self, option.attribute, option.default if value is None else value)
        self.command = command


OPTIONS = (
    Option(
        ("--deadline",), "deadline", "seconds", 600.0, "End it after so long, whatever it does.", metavar="S"
    ),
    Option(
        ("--stall",),
        "stall",
        "seconds",
        60.0,
        "Call it stalled after so long without output and under 1 % of a CPU; spinning after so long with "
        "90 % of a CPU and neither output nor I/O.",
        metavar="S",
    ),
    Option(("--idle-ok",), "idle_ok", "flag", False, "Neither stall nor spin counts: a server waits."),
    Option(
        ("--pid1",),
        "pid1",
        "flag",
        False,
        "The command itself is process 1 of its namespace, as in a container without an init.",
    ),
    Option(
        ("--pty", "--pipe"),
        "terminal",
        "pair",
        False,
        "Its output is a pseudo-terminal, or two pipes (the default), which programs fill in blocks.",
    ),
    Option(
        ("--arch",),
        "arch",
        "text",
        "native",
        "Run it on these processors, in turn: native, and what `mungos lab arch` has built. Deadlines are "
        "stretched by the factor measured there.",
        metavar="LIST",
    ),
    Option(
        ("--retries",),
        "retries",
        "count",
        0,
        "Try again so often when it does not pass. What passes then is flaky, not passed.",
        metavar="N",
    ),
    Option(
        ("--network",),
        "network",
        "choice",
        None,  # private, unless --no-isolation leaves it no choice
        "Of its own, with loopback only (the default), or the host's.",
        choices=("private", "host"),
    ),
    Option(
        ("--no-isolation",),
        "no_isolation",
        "flag",
        False,
        "No namespaces: it shares processes and network with the machine.",
    ),
    Option(
        ("--grace",),
        "grace",
        "seconds",
        2.0,
        "Between SIGTERM and SIGKILL, when it must be ended.",
        metavar="S",
    ),
    Option(
        ("--name",),
        "name",
        "text",
        "",
        "What reports and the history call it; else the command.",
        metavar="NAME",
    ),
    Option(("--json",), "json", "file", "", "Write all that is known as JSON.", metavar="FILE"),
    Option(("--junit",), "junit", "file", "", "Write JUnit XML.", metavar="FILE"),
    Option(("--html",), "html", "file", "", "Write one page, complete in itself.", metavar="FILE"),
    Option(
        ("--locals",),
        "locals",
        "flag",
        False,
        "Reports show the values of variables in its stacks: whoever reads them reads its passwords.",
    ),
    Option(
        ("--history",),
        "history",
        "file",
        "",
        "Where the history is kept (default: mungos/lab.sqlite in $XDG_STATE_HOME or ~/.local/state).",
        metavar="FILE",
    ),
    Option(("--no-history",), "no_history", "flag", False, "Keep no history of this run."),
    Option(("--quiet", "-q"), "quiet", "flag", False, "Don't pass its output on."),
    Option(
        ("--timestamps", "-t"),
        "timestamps",
        "flag",
        False,
        "Write before each line of output when it came.",
    ),
)

MOST_SECONDS = 10_000_000.0
MOST_RETRIES = 1000

_BY_NAME = {name: option for option in OPTIONS for name in option.names}


def parse(arguments: Sequence[str]) -> Request | None:
    """Read a command line.

    Args:
        arguments: what follows `mungos lab run`.

    Returns:
        What it asks for; None when something in it is wrong, or only click knows what it means.
    """
    values: dict[str, object] = {}
    index, end = 0, len(arguments)
    while index < end:
        word = arguments[index]
        if word == "--":
            index += 1
            break
        if not word.startswith("-") or word == "-":
            break
        index += 1
        name, equals, text = word.partition("=")
        option = _BY_NAME.get(name)
        if option is None:
            return None
        if option.kind in {"flag", "pair"}:
            if equals:
                return None
            values[option.attribute] = option.kind == "flag" or name == option.names[0]
            continue
        if not equals:
            if index == end:
                return None
            text = arguments[index]
            index += 1
        value = _value(option, text)
        if value is None:
            return None
        values[option.attribute] = value
    if index == end:
        return None
    return Request(values, tuple(arguments[index:]))


def _value(option: Option, text: str) -> object:
    """The option's value, None when the text is none."""
    try:
        if option.kind == "seconds":
            seconds = float(text)
            return seconds if 0 < seconds <= MOST_SECONDS else None
        if option.kind == "count":
            number = int(text)
            return number if 0 <= number <= MOST_RETRIES else None
    except ValueError:
        return None
    if option.kind == "choice":
        return text if text in option.choices else None
    if option.kind == "file" and text in {"", "-"}:  # "-" is no file to us, and an empty one a mistake
        return None
    return text

"""What both ends may say about a handshake: groups, cipher suites, ALPN, a key log, an engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import click

from mungos.cli.engine_choice import engine_option, provider_option
from mungos.cli.key_log import KeyLog
from mungos.cli.parameter_types import OUTPUT_FILE, ParamType
from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse
from mungos.printable import printable
from mungos.tls import DEFAULT_GROUPS, DEFAULT_SUITES, Credential, ExternalPsk
from mungos.tls.engines.builtin.suites import GROUP_CODES, SUITES

__all__ = [
    "ALPN_LIST",
    "HANDSHAKE_OPTIONS",
    "Handshake",
    "bundled",
    "handshake",
    "read_credential",
    "set_up_failure",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]

_MAX_ALPN = 255  # bytes, RFC 7301 section 3.1
_HEX = re.compile(r"[0-9A-Fa-f]+")
_NOT_SET_UP = "TLS can't be set up: "


class _List(ParamType[tuple[str, ...]]):
    """Names with commas between them, each known and each once; the case of letters does not matter."""

    name = "list"

    def __init__(self, what: str, known: Mapping[str, object]) -> None:
        self._what = what
        self._known = {name.casefold(): name for name in known}

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        found: list[str] = []
        for text in map(str.strip, str(value).split(",")):
            name = self._known.get(text.casefold())
            if name is None:
                known = ", ".join(self._known.values())
                self.fail(f"{printable(text)!r} is no {self._what}; known are {known}", param, ctx)
            if name in found:
                self.fail(f"{name} is named twice", param, ctx)
            found.append(name)
        return tuple(found)


class _Protocols(ParamType[tuple[str, ...]]):
    """Names of protocols with commas between them."""

    name = "list"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(str(value).split(","))
        for name in names:
            if not (name.isascii() and name.isprintable() and 1 <= len(name) <= _MAX_ALPN):
                self.fail(
                    f"{printable(name[:40])!r} is no ALPN name: 1 to {_MAX_ALPN} bytes of ASCII", param, ctx
                )
        return names


class _Psk(ParamType[ExternalPsk]):
    """IDENTITY:HEX, a key that both sides know; with `:sha384` behind it one for the suites of that hash."""

    name = "psk"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ExternalPsk:
        if isinstance(value, ExternalPsk):
            return value
        # What is wrong with it is told without it: messages are kept where secrets are not.
        identity, colon, digits = str(value).rpartition(":")
        hash_name: Literal["sha256", "sha384"] = "sha256"
        if ":" in identity and not _HEX.fullmatch(digits) and _HEX.fullmatch(identity.rpartition(":")[2]):
            if digits not in {"sha256", "sha384"}:
                self.fail("the hash behind a pre-shared key is :sha256 or :sha384", param, ctx)
            hash_name = "sha384" if digits == "sha384" else "sha256"
            identity, colon, digits = identity.rpartition(":")
        if not colon:
            self.fail("a pre-shared key is given as IDENTITY:HEX: there is no colon", param, ctx)
        if not digits:
            self.fail("a pre-shared key is given as IDENTITY:HEX: there is no key behind it", param, ctx)
        if not _HEX.fullmatch(digits):
            self.fail("the key in IDENTITY:HEX is hexadecimal: 0 to 9 and a to f", param, ctx)
        if len(digits) % 2:
            self.fail(f"the key in IDENTITY:HEX has two digits for each byte, not {len(digits)}", param, ctx)
        try:
            return ExternalPsk(identity.encode(), bytes.fromhex(digits), hash_name)
        except Misuse as error:
            self.fail(str(error), param, ctx)


GROUP_LIST = _List("key exchange group", GROUP_CODES)
SUITE_LIST = _List("TLS 1.3 cipher suite", SUITES)
ALPN_LIST = _Protocols()


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a configuration of either side takes from the options that both have.

    Attributes:
        groups, suites: in order of preference.
        keylog: not opened yet; None: no key is written down.
    """

    groups: tuple[str, ...]
    suites: tuple[str, ...]
    keylog: KeyLog | None


HANDSHAKE_OPTIONS: tuple[Option[Any], ...] = (
    click.option(
        "--tls-groups",
        "groups",
        type=GROUP_LIST,
        metavar="LIST",
        help=f"Key exchange groups, in order of preference: some of {', '.join(GROUP_CODES)}.",
    ),
    click.option(
        "--tls-ciphers",
        "suites",
        type=SUITE_LIST,
        metavar="LIST",
        help=f"Cipher suites of TLS 1.3, in order of preference: some of {', '.join(SUITES)}.",
    ),
    click.option(
        "--tls-keylog",
        "keylog",
        type=OUTPUT_FILE,
        metavar="FILE",
        help="Append the keys of each session to FILE (RFC 9850), for Wireshark. Who reads them reads all.",
    ),
    click.option(
        "--tls-psk",
        "psks",
        type=_Psk(),
        multiple=True,
        metavar="IDENTITY:HEX",
        help="A pre-shared key (TLS 1.3, 16 bytes or more; :sha384 behind it for suites of that hash); "
        "repeatable. Whoever lists this machine's processes can read it here.",
    ),
    engine_option,
    provider_option,
)
"""In the order of the help."""


def handshake(
    groups: tuple[str, ...] | None, suites: tuple[str, ...] | None, keylog: Path | None
) -> Handshake:
    """From the options; what is not given is the default."""
    return Handshake(
        groups or DEFAULT_GROUPS, suites or DEFAULT_SUITES, None if keylog is None else KeyLog(keylog)
    )


def read_credential(chain: Path, key: Path) -> Credential:
    """A certificate and its key. Raises NotStarted for a file that can't be read or holds the other's."""
    try:
        return Credential.from_files(chain, key)
    except Misuse:
        raise NotStarted(f"{chain} is no certificate and {key} no private key: exchange the two") from None
    except OSError as error:
        raise NotStarted(f"can't read {error.filename}: {error.strerror}") from None


def set_up_failure(engine: str, error: Misuse, otherwise: str = _NOT_SET_UP) -> NotStarted:
    """Why an engine refuses a configuration, and which one would not.

    Args:
        engine: its own name.
        error: what it said.
        otherwise: how the message begins when the engine is not to blame.
    """
    if engine == "openssl" and str(error).startswith("the engine openssl "):
        return NotStarted(f"{_NOT_SET_UP}{error}; the built-in one can: --tls-engine builtin")
    if "private_keys=True" in str(error):  # said for programs
        return NotStarted(
            f"{otherwise}--tls-provider pure loads no private key: pure-with-private-keys does, and is not "
            "constant in time: who can measure how long it takes learns about the key"
        )
    return NotStarted(f"{otherwise}{error}")


def bundled(kind: type[Any]) -> Callable[[Command], Command]:
    """Decorates a command that takes some of its options as one argument, `tls`.

    Args:
        kind: the dataclass that is made of them; its fields bear their names.
    """
    names = [field.name for field in fields(kind)]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_bundle(**values: Any) -> Any:
            taken = {name: values.pop(name) for name in names}
            return command(tls=kind(**taken), **values)

        return cast("Command", with_bundle)

    return decorate

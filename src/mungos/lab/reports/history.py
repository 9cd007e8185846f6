"""The history of runs, in SQLite: what was run, how it ended, what was found.

Several runs may write at once, on one machine: the database is in WAL mode, and a writer waits for another.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable

from mungos.lab.record import Record
from mungos.lab.reports.history_place import APPLICATION, VERSION, Unwritable, check_history
from mungos.lab.reports.wording import command_line, name_of, took

__all__ = ["FindingRow", "History", "RunRow"]

BUSY_TIMEOUT = 10.0
"""Seconds that one writer waits for another."""
_BETWEEN_TRIES = 0.02  # seconds

KEEP_DAYS = 400
KEEP_RUNS = 100_000
"""What is older, or beyond so many, is forgotten: now and then, when a run is added."""

PRUNE_EVERY = 100
"""Runs between two such times."""

RunRow = tuple[int, float, str, str, str, str | None, str, int, int, float, float, float | None, str]
"""The columns of `runs`, in their order."""

FindingRow = tuple[int, int, str, str, str, str]
"""The columns of `findings`, in their order."""

_TABLES = f"""
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started REAL NOT NULL,
    name TEXT NOT NULL,
    command TEXT NOT NULL,
    processor TEXT NOT NULL,
    emulator TEXT,
    verdict TEXT NOT NULL,
    exit_status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    duration REAL NOT NULL,
    cpu REAL NOT NULL,
    explained_in REAL,
    version TEXT NOT NULL
);
CREATE TABLE findings (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    rule TEXT NOT NULL,
    title TEXT NOT NULL,
    who TEXT NOT NULL,
    certainty TEXT NOT NULL
);
CREATE INDEX runs_by_name ON runs (name, started);
CREATE INDEX runs_by_time ON runs (started);
CREATE INDEX findings_by_run ON findings (run);
PRAGMA user_version = {VERSION};
PRAGMA application_id = {APPLICATION};
"""

_SELECT = (
    "SELECT id, started, name, command, processor, emulator, verdict, exit_status, attempts, duration, cpu, "
    "explained_in, version FROM runs WHERE started >= ? AND (? IS NULL OR name = ?) "
    "ORDER BY started DESC, id DESC LIMIT ?"
)
_SELECT_FINDINGS = (
    "SELECT run, attempt, rule, title, who, certainty FROM findings WHERE run BETWEEN ? AND ? ORDER BY rowid"
)


class History:
    """An open history. Close it, or use it as a context manager.

    Args:
        path: of the file, made when it is missing.

    Raises:
        Unwritable: it can't be opened or made.
    """

    def __init__(self, path: str) -> None:
        check_history(path)
        self.path = path
        try:
            # Transactions are begun by hand: only so does a writer wait at its beginning, and nowhere else.
            self._database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        except sqlite3.Error as error:
            raise Unwritable(f"the history {path} can't be opened: {error}") from None
        try:
            self._prepare_in_turn()
        except BaseException as error:
            self._database.close()
            if isinstance(error, sqlite3.Error):
                raise Unwritable(f"the history {path}: {error}") from None
            raise

    def close(self) -> None:
        """Give it back; may be called again."""
        self._database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, runs: Iterable[Record]) -> None:
        """Keep these runs; all of them or, when it raises, none.

        Raises:
            Unwritable: the disk is full, or another writer holds it for too long.
        """

        def insert() -> None:
            last = 0
            for run in runs:
                last = self._insert(run)
            if last and last % PRUNE_EVERY == 0:
                self._forget(time.time() - KEEP_DAYS * 86400, KEEP_RUNS)

        self._at_once("IMMEDIATE", insert)

    def prune(self, *, before: float, keep: int = KEEP_RUNS) -> int:
        """Forget old runs.

        Args:
            before: seconds since 1970: what started earlier is forgotten.
            keep: at most so many are kept, the latest.

        Returns:
            How many were forgotten.

        Raises:
            Unwritable: see `add`.
        """
        forgotten: list[int] = []
        self._at_once("IMMEDIATE", lambda: forgotten.append(self._forget(before, keep)))
        return forgotten[0]

    def rows(
        self, *, name: str | None = None, since: float = 0.0, last: int | None = None
    ) -> tuple[list[RunRow], list[FindingRow]]:
        """What is kept, as it is kept; `mungos.lab.reports.past` makes more of it.

        Args:
            name: only runs of this name; None for all.
            since: seconds since 1970: only what started then or later.
            last: at most so many, the latest.

        Returns:
            Runs, the latest first, and findings; of other runs, too.

        Raises:
            Unwritable: it can't even be read.
        """
        runs: list[RunRow] = []
        findings: list[FindingRow] = []

        def select() -> None:
            limit = -1 if last is None else last
            runs.extend(self._database.execute(_SELECT, (since, name, name, limit)))
            numbers = [row[0] for row in runs] or [0]
            findings.extend(self._database.execute(_SELECT_FINDINGS, (min(numbers), max(numbers))))

        self._at_once("DEFERRED", select)
        return runs, findings

    def _prepare_in_turn(self) -> None:
        # The timeout of `connect` does not hold for the change to WAL mode: SQLite gives up at once there.
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                return self._prepare()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_BETWEEN_TRIES)

    def _prepare(self) -> None:
        database = self._database
        database.execute("PRAGMA foreign_keys = ON")
        # In WAL mode a commit need not wait for the disk: a power cut loses the last run, and never the file.
        database.execute("PRAGMA synchronous = NORMAL")
        # A short log: whoever opens it after a process that did not close it reads all of that.
        database.execute("PRAGMA wal_autocheckpoint = 64")
        if self._is_ours():
            return
        if database.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise Unwritable(f"the history {self.path} is on a file system without shared memory")
        self._at_once("IMMEDIATE", self._make_tables)
        # So that the file's own header says what it is.
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _make_tables(self) -> None:
        if not self._is_ours():  # another may have made them since
            for statement in _TABLES.split(";"):
                self._database.execute(statement)

    def _is_ours(self) -> bool:
        """Whether the tables are there; False for a database without any."""
        application = self._one("PRAGMA application_id")
        version = self._one("PRAGMA user_version")
        if application == APPLICATION:
            if version > VERSION:
                raise Unwritable(
                    f"the history {self.path} has version {version}; this program knows up to {VERSION}"
                )
            return True
        if version or application or self._one("SELECT count(*) FROM sqlite_master"):
            raise Unwritable(f"{self.path} is no history of the lab; it was left as it is")
        return False

    def _one(self, statement: str) -> int:
        return int(self._database.execute(statement).fetchone()[0])

    def _insert(self, run: Record) -> int:
        last = run.attempts[-1] if run.attempts else None
        values = (
            _number(run.started),
            _text(name_of(run)),
            _text(command_line(run.order.command)),
            _text(run.platform.processor),
            run.platform.emulator,
            run.verdict.value,
            run.exit_status,
            len(run.attempts),
            _number(took(run)),
            _number(sum(each.cpu for each in run.attempts)),
            last.explained_in if last else None,
            run.version,
        )
        number = self._database.execute(
            "INSERT INTO runs (started, name, command, processor, emulator, verdict, exit_status, attempts, "
            "duration, cpu, explained_in, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        ).lastrowid
        self._database.executemany(
            "INSERT INTO findings (run, attempt, rule, title, who, certainty) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, index, each.rule, _text(each.title), _text(each.who), each.certainty)
                for index, attempt in enumerate(run.attempts, 1)
                for each in attempt.findings
            ],
        )
        return number or 0

    def _forget(self, before: float, keep: int) -> int:
        return self._database.execute(
            "DELETE FROM runs WHERE started < ? OR id IN "
            "(SELECT id FROM runs ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?)",
            (before, keep),
        ).rowcount

    def _at_once(self, kind: str, work: Callable[[], None]) -> None:
        """Do it in one transaction: all of it or nothing."""
        database = self._database
        try:
            database.execute(f"BEGIN {kind}")
            try:
                work()
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unwritable(f"the history {self.path}: {error}") from None


def _number(value: float) -> float:
    """What the database takes for a number: "not a number" would be no value at all."""
    return value if abs(value) < float("inf") else 0.0


def _text(text: str) -> str:
    """What the database can keep: it takes no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

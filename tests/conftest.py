"""What every test runs under: a deadline, a leak check, stacks on request, and rules for foreign programs.

Environment:
    MUNGOS_TEST_TIME_FACTOR: every deadline of a test is multiplied by it (default 1; emulated processors
        want 10 or more). Tests that need a limit of their own ask the fixture `time_factor`.
    MUNGOS_HYPOTHESIS_PROFILE: `default`, `s390x` (a tenth of the examples), `nightly` (ten times as many).
    MUNGOS_FOREIGN_PROGRAMS: the foreign programs that are there, separated by commas; tests marked for
        others, or for none by name, are deselected. Unset: all are expected.
    MUNGOS_TEST_ENGINES: the TLS engines to test, separated by commas; tests of others are deselected.
    CI: when it is "true", a missing foreign program fails its test instead of skipping it, unless it is one
        of `OPTIONAL`.

On SIGUSR1 the process prints the stacks of all its threads and goes on.
"""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator

import hypothesis
import pytest

from tests.leftovers import holdings, left_behind

# Which Debian package brings a foreign program.
DEBIAN_PACKAGES = {
    "certutil": "libnss3-tools",
    "chromium": "chromium",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "gnutls-cli": "gnutls-bin",
    "gnutls-serv": "gnutls-bin",
    "java": "default-jdk-headless",
    "mmdebstrap": "mmdebstrap",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "pk12util": "libnss3-tools",
    "proot": "proot",
    "qemu-s390x-static": "qemu-user-static",
    "s390x-linux-gnu-gcc": "gcc-s390x-linux-gnu",
    "selfserv": "libnss3-tools",
    "tstclnt": "libnss3-tools",
}
# Large, and one of many: its tests are skipped where it is missing, in CI, too.
OPTIONAL = frozenset({"java", "proot"})
SEARCHED = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

TLS_ENGINES = frozenset({"builtin", "openssl", "wolfssl", "mbedtls"})
TIME_FACTOR = float(os.environ.get("MUNGOS_TEST_TIME_FACTOR", "1"))
PROFILE = os.environ.get("MUNGOS_HYPOTHESIS_PROFILE", "default")
EXAMPLES_FACTOR = {"default": 1.0, "s390x": 0.1, "nightly": 10.0}
FEWEST_EXAMPLES = 10
LEAK_PATIENCE = 1.0  # seconds, before the time factor: a thread told to stop may still be stopping

_dump_descriptor = pytest.StashKey[int]()
_scaled: set[object] = set()


def _examples(wanted: int) -> int:
    return max(min(wanted, FEWEST_EXAMPLES), int(wanted * EXAMPLES_FACTOR[PROFILE]))


for _name in EXAMPLES_FACTOR:
    # Hypothesis has a profile of its own for CI, in which a seed has no effect; ours says its seed.
    hypothesis.settings.register_profile(
        _name, max_examples=_examples(100), deadline=None, print_blob=True, derandomize=False
    )
hypothesis.settings.register_profile(
    "s390x",
    hypothesis.settings.get_profile("s390x"),
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


def pytest_configure(config: pytest.Config) -> None:
    if PROFILE not in EXAMPLES_FACTOR:
        raise pytest.UsageError(
            f"MUNGOS_HYPOTHESIS_PROFILE is {PROFILE!r}, not one of {', '.join(EXAMPLES_FACTOR)}"
        )
    hypothesis.settings.load_profile(PROFILE)
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))
    # nohup and a shell's background jobs ignore these, and what the tests start would inherit that. What is
    # caught, even if nothing is done, is not inherited.
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # The real standard error: pytest puts a file in its place while tests run.
    config.stash[_dump_descriptor] = os.dup(2)
    faulthandler.register(signal.SIGUSR1, file=config.stash[_dump_descriptor], all_threads=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _dump_descriptor in config.stash:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        faulthandler.unregister(signal.SIGUSR1)
        os.close(config.stash[_dump_descriptor])
        del config.stash[_dump_descriptor]


def pytest_report_header(config: pytest.Config) -> str:
    return (
        f"mungos: hypothesis profile {PROFILE}, --hypothesis-seed={config.getoption('--hypothesis-seed')}, "
        f"time factor {TIME_FACTOR:g}"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _deselect_foreign(config, items)
    _deselect_engines(config, items)
    limit = float(config.getini("timeout") or 0)
    for item in items:
        if TIME_FACTOR != 1:
            _stretch_deadline(item, limit)
        if EXAMPLES_FACTOR[PROFILE] != 1:
            _scale_examples(item)


def _deselect_foreign(config: pytest.Config, items: list[pytest.Item]) -> None:
    listed = os.environ.get("MUNGOS_FOREIGN_PROGRAMS")
    if listed is None:
        return
    present = set(listed.split(","))
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        marker = item.get_closest_marker("foreign")
        runs = marker is None or (bool(marker.args) and present.issuperset(marker.args))
        (kept if runs else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _deselect_engines(config: pytest.Config, items: list[pytest.Item]) -> None:
    listed = os.environ.get("MUNGOS_TEST_ENGINES")
    if listed is None:
        return
    if unknown := set(listed.split(",")) - TLS_ENGINES:
        raise pytest.UsageError(f"MUNGOS_TEST_ENGINES: {', '.join(sorted(unknown))} is no TLS engine")
    others = TLS_ENGINES.difference(listed.split(","))
    dropped = [item for item in items if not others.isdisjoint(_engines_of(item))]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if others.isdisjoint(_engines_of(item))]


def _engines_of(item: pytest.Item) -> set[str]:
    """The engines that a test's parameters name."""
    parameters = getattr(item, "callspec", None)
    if parameters is None:
        return set()
    return {value for value in parameters.params.values() if isinstance(value, str) and value in TLS_ENGINES}


def _stretch_deadline(item: pytest.Item, limit: float) -> None:
    marker = item.get_closest_marker("timeout")
    options = dict(marker.kwargs) if marker else {}
    own = marker.args[0] if marker and marker.args else options.pop("timeout", limit)
    if own:
        item.add_marker(pytest.mark.timeout(own * TIME_FACTOR, **options), append=False)


def _scale_examples(item: pytest.Item) -> None:
    # The profile's number holds only where a test names none of its own; this scales those too.
    test = getattr(item, "obj", None)
    function = getattr(test, "__func__", test)  # shared by all parameters of a test
    own = getattr(function, "_hypothesis_internal_use_settings", None)
    if (
        isinstance(own, hypothesis.settings)
        and own.max_examples != _examples(100)
        and function not in _scaled
    ):
        scaled = hypothesis.settings(own, max_examples=_examples(own.max_examples))
        function.__dict__["_hypothesis_internal_use_settings"] = scaled
        _scaled.add(function)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves descriptors, threads or child processes behind, and names them."""
    before = holdings()
    yield
    found = left_behind(before, LEAK_PATIENCE * TIME_FACTOR)
    if found:
        pytest.fail("left behind: " + "; ".join(found), pytrace=False)


@pytest.fixture(scope="session")
def time_factor() -> float:
    """By what a test multiplies limits of its own."""
    return TIME_FACTOR


@pytest.fixture(scope="session")
def foreign_program() -> Callable[[str], str]:
    """Finds a program that is not ours: `foreign_program("curl")` is its path. A test whose program is
    missing is skipped with the name of the Debian package that brings it; where CI is "true" it fails, but
    for the `OPTIONAL` ones.
    Such a test is marked, too: `@pytest.mark.foreign("curl")`."""

    def find(name: str) -> str:
        path = shutil.which(name, path=SEARCHED)
        if path is not None:
            return path
        reason = f"{name} is missing: install the Debian package {DEBIAN_PACKAGES.get(name, name)}"
        if os.environ.get("CI") == "true" and name not in OPTIONAL:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return find

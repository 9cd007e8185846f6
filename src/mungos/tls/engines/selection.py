"""Which TLS engine to use: by name, or the first of them that can be used here. Imported when asked for."""

from __future__ import annotations

import importlib
from typing import cast

from mungos import checking
from mungos.errors import Misuse
from mungos.tls.contract import Availability, EngineFactory

__all__ = ["all_engines", "check_name", "select"]

# In the order in which "auto" prefers them: name, module, the factory's name in it.
_ENGINES = {
    "builtin": ("mungos.tls.engines.builtin", "BUILTIN"),
    "openssl": ("mungos.tls.engines.openssl", "OPENSSL"),
    "wolfssl": ("mungos.tls.engines.wolfssl", "WOLFSSL"),
    "mbedtls": ("mungos.tls.engines.mbedtls", "MBEDTLS"),
}


def _load(name: str) -> EngineFactory | Availability:
    """The factory, or why there is none."""
    module, attribute = _ENGINES[name]
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        return Availability(name, present=False, reason=f"the module {error.name} is not installed")
    return cast("EngineFactory", factory)


def _with_provider(engine: Availability, name: str) -> Availability:
    """Whether one provider of an engine can be used."""
    for provider in engine.providers:
        if provider.name == name:
            return provider
    known = ", ".join(provider.name for provider in engine.providers)
    reason = f"unknown cryptographic provider {name!r}; known are {known}"
    if not known:
        reason = f"it has one cryptographic provider only, its own, and not {name!r}"
    return Availability(name, present=False, reason=reason)


def all_engines() -> list[Availability]:
    """Every engine that this version has, usable here or not, in the order in which "auto" prefers them."""
    found = []
    for name in _ENGINES:
        loaded = _load(name)
        found.append(loaded if isinstance(loaded, Availability) else loaded.availability())
    return found


def check_name(name: str) -> None:
    """Raises Misuse for the name of no engine, naming the known ones."""
    if name != "auto" and name not in _ENGINES:
        raise Misuse(f"unknown TLS engine {checking.shown(name)}; known are auto, {', '.join(_ENGINES)}")


def select(name: str = "auto", provider: str | None = None) -> EngineFactory:
    """The factory of an engine.

    Args:
        name: "builtin", "openssl", or "auto": the built-in one where it can be used, else OpenSSL.
        provider: the cryptographic provider that the configuration names, if it names one; only engines that
            have it are considered, and whether their own choice could be used does not matter.

    Raises Misuse for an unknown name, naming the known ones, and for an engine that can't be used here,
    saying what to install.
    """
    check_name(name)
    reasons = []
    for candidate in list(_ENGINES) if name == "auto" else [name]:
        loaded = _load(candidate)
        available = loaded if isinstance(loaded, Availability) else loaded.availability()
        if provider is not None and not isinstance(loaded, Availability):
            available = _with_provider(available, provider)
        if not isinstance(loaded, Availability) and available.present:
            return loaded
        reasons.append(f"{candidate}: {available.reason}")
    raise Misuse(f"no TLS engine can be used here ({'; '.join(reasons)})")

"""Which version of TLS two engines speak with each other in `mungos demo`."""

from __future__ import annotations

from typing import Literal

from mungos.tls.engines import all_engines

__all__ = ["newest_in_common"]

Version = Literal["TLSv1.2", "TLSv1.3"]


def newest_in_common(*engines: str) -> Version | None:
    """The newest version that all of them say they speak, None where there is none."""
    lacks = {feature for engine in all_engines() if engine.name in engines for feature in engine.lacks}
    if "TLSv1.3" not in lacks:
        return "TLSv1.3"
    return None if "TLSv1.2" in lacks else "TLSv1.2"

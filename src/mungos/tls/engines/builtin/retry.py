"""What a server's HelloRetryRequest asks for, and whether the second ClientHello brings it (RFC 8446 sections
4.1.2 and 4.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from mungos.crypto.contract import Provider
from mungos.tls.engines.builtin.faults import IllegalParameter, MissingExtension
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType
from mungos.tls.engines.builtin.messages.extensions import parse_cookie
from mungos.tls.engines.builtin.offer import Offer
from mungos.tls.engines.builtin.suites import GROUP_CODES, Suite

__all__ = ["Retry"]

# Section 4.1.2: what a second ClientHello may change.
_MAY_CHANGE = frozenset(
    {
        ExtensionType.key_share,
        ExtensionType.early_data,
        ExtensionType.cookie,
        ExtensionType.pre_shared_key,
        ExtensionType.padding,
    }
)


@dataclass(slots=True)
class Retry:
    """What is remembered of a HelloRetryRequest."""

    hello: ClientHello
    suite: Suite
    group: str
    cookie: bytes | None

    def check(self, hello: ClientHello, offer: Offer, provider: Provider) -> None:
        """Raise for a second ClientHello that is not what was asked for."""
        first = self.hello
        kept = {code: body for code, body in hello.extensions.items() if code not in _MAY_CHANGE}
        before = {code: body for code, body in first.extensions.items() if code not in _MAY_CHANGE}
        same = (hello.random, hello.session_id, hello.suites) == (
            first.random,
            first.session_id,
            first.suites,
        )
        if not same or kept != before:
            raise IllegalParameter("the second ClientHello changes more than section 4.1.2 allows")
        # Section 4.1.2: early_data is removed.
        if ExtensionType.early_data in hello.extensions:
            raise IllegalParameter("the second ClientHello offers early_data")
        # Section 4.1.2: the list holds a single share, from the group that was asked for.
        if list(offer.shares) != [GROUP_CODES[self.group]]:
            raise IllegalParameter(f"the second ClientHello has not exactly one share for {self.group}")
        body = hello.extensions.get(ExtensionType.cookie)
        echoed = parse_cookie(body) if body is not None else None
        # Section 4.2.2: the cookie comes back as it was sent, and none when none was.
        if echoed is None and self.cookie is not None:
            raise MissingExtension("the second ClientHello's cookie is missing")
        if echoed is not None:
            sent = self.cookie or b""
            if not provider.constant_time_equal(echoed, sent):
                raise IllegalParameter("the second ClientHello's cookie is not what was sent")

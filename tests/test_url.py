"""URLs for connecting and listening."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Misuse
from mungos.url import MAX_SOCKET_PATH_OCTETS, MAX_URL_CHARACTERS, SCHEMES, URL, parse


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("tcp://127.0.0.1:80", URL("tcp", "127.0.0.1", 80), None),
        ("udp://example.com:53", URL("udp", "example.com", 53), None),
        ("tls://[::1]:443", URL("tls", "::1", 443), None),
        ("HTTP://Example.COM", URL("http", "example.com", 80, "/"), "http://example.com/"),
        ("http://example.com:/", URL("http", "example.com", 80, "/"), "http://example.com/"),
        ("http://example.com:8080/a/b?c=d&e", URL("http", "example.com", 8080, "/a/b", "c=d&e"), None),
        ("http://example.com?x", URL("http", "example.com", 80, "/", "x"), "http://example.com/?x"),
        ("http://example.com/?", URL("http", "example.com", 80, "/", ""), None),
        ("http://example.com/a#part", URL("http", "example.com", 80, "/a"), "http://example.com/a"),
        ("https://example.com:443/", URL("https", "example.com", 443, "/"), "https://example.com/"),
        ("https://example.com./", URL("https", "example.com.", 443, "/"), None),
        ("https://xn--bcher-kva.example/", URL("https", "xn--bcher-kva.example", 443, "/"), None),
        ("ws://127.0.0.1/chat?room=1", URL("ws", "127.0.0.1", 80, "/chat", "room=1"), None),
        ("wss://example.com/a%20b?q[]=1", URL("wss", "example.com", 443, "/a%20b", "q[]=1"), None),
        ("http://[2001:DB8::0:1]:81/", URL("http", "2001:db8::1", 81, "/"), "http://[2001:db8::1]:81/"),
        ("http://[fe80::1%eth0]/", URL("http", "fe80::1%eth0", 80, "/"), "http://[fe80::1%25eth0]/"),
        ("http://[fe80::1%25eth0]/", URL("http", "fe80::1%eth0", 80, "/"), None),
        ("http://[fe80::1%25]/", URL("http", "fe80::1%25", 80, "/"), "http://[fe80::1%2525]/"),
        ("http://[::ffff:c000:201]/", URL("http", "::ffff:192.0.2.1", 80, "/"), "http://[::ffff:192.0.2.1]/"),
        ("unix:///run/x.sock", URL("unix", path="/run/x.sock"), None),
        ("unix:/run/x.sock", URL("unix", path="/run/x.sock"), "unix:///run/x.sock"),
        ("unix:x.sock", URL("unix", path="x.sock"), None),
        ("unix:@abstract name", URL("unix", path="@abstract name"), None),
        ("unix:///run/a?b#c%20d", URL("unix", path="/run/a?b#c%20d"), None),
    ],
)
def test_what_is_understood(text: str, expected: URL, written: str | None) -> None:
    url = parse(text)
    assert url == expected
    assert str(url) == (written or text)
    assert parse(str(url)) == url


@pytest.mark.parametrize(
    ("text", "expected", "dual_stack"),
    [
        ("tcp://:0", URL("tcp", "", 0), True),
        ("tcp://[::]:0", URL("tcp", "::", 0), True),
        ("tcp://0.0.0.0:0", URL("tcp", "0.0.0.0", 0), False),
        ("tcp://[::1]:0", URL("tcp", "::1", 0), False),
        ("http://", URL("http", "", 80, "/"), True),
        ("wss://:8443/chat", URL("wss", "", 8443, "/chat"), True),
        ("udp://localhost:0", URL("udp", "localhost", 0), False),
        ("unix:@x", URL("unix", path="@x"), False),
    ],
)
def test_listening(text: str, expected: URL, dual_stack: bool) -> None:
    url = parse(text, for_listening=True)
    assert url == expected
    assert url.dual_stack is dual_stack
    assert parse(str(url), for_listening=True) == url


@pytest.mark.parametrize(
    ("scheme", "transport", "secure"),
    [
        ("tcp", "tcp", False),
        ("udp", "udp", False),
        ("unix", "unix", False),
        ("tls", "tcp", True),
        ("http", "tcp", False),
        ("https", "tcp", True),
        ("ws", "tcp", False),
        ("wss", "tcp", True),
    ],
)
def test_transport_and_security_of_each_scheme(scheme: str, transport: str, secure: bool) -> None:
    url = URL(scheme)
    assert (url.transport, url.secure) == (transport, secure)


def test_the_table_of_schemes_is_covered() -> None:
    assert set(SCHEMES) == {"tcp", "udp", "unix", "tls", "http", "https", "ws", "wss"}


@pytest.mark.parametrize(
    ("text", "host_header", "target"),
    [
        ("http://example.com/", "example.com", "/"),
        ("http://example.com:8080?a", "example.com:8080", "/?a"),
        ("https://example.com:80/x", "example.com:80", "/x"),
        ("http://[2001:db8::1]/", "[2001:db8::1]", "/"),
        ("http://[fe80::1%25eth0]:81/", "[fe80::1]:81", "/"),
        ("unix:@x", "localhost", "@x"),
    ],
)
def test_host_header_and_target(text: str, host_header: str, target: str) -> None:
    url = parse(text)
    assert (url.host_header, url.target) == (host_header, target)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "has no scheme: write tcp://"),
        ("127.0.0.1:80", "has no scheme: write tcp://"),
        ("example.com", "has no scheme"),
        ("mqtt://example.com", "write tcp, udp"),
        ("ht tp://example.com", "not known"),
        ("tcp:127.0.0.1:80", "write // after tcp:"),
        ("tcp://127.0.0.1", "write tcp://host:port"),
        ("tcp://127.0.0.1:", "write tcp://host:port"),
        ("tcp://:80", "write tcp://127.0.0.1"),
        ("tcp://127.0.0.1:0", "from 1 to 65535"),
        ("tcp://127.0.0.1:65536", "from 1 to 65535"),
        ("tcp://127.0.0.1:+80", "from 1 to 65535"),
        ("tcp://127.0.0.1:8\u0660", "from 1 to 65535"),
        ("tcp://127.0.0.1:80/", "leave out '/'"),
        ("udp://127.0.0.1:80?x", "leave out"),
        ("tcp://127.0.0.1:80#x", "leave out"),
        ("tcp://::1:80", "in brackets"),
        ("tcp://[::1", r"\[2001:db8::1\]:port"),
        ("tcp://[::1]80", r"\[2001:db8::1\]:port"),
        ("tcp://[127.0.0.1]:80", "not an IPv6 address"),
        ("tcp://[v1.x]:80", "not an IPv6 address"),
        ("tcp://[fe80::1%]:80", "not an IPv6 address"),
        ("http://127.1/", "all four decimal parts"),
        ("http://0x7f.0.0.0x1/", "all four decimal parts"),
        ("http://exa mple.com/", "letters, digits"),
        ("http://example..com/", "empty label"),
        ("http://-x.example/", "begins with '-'"),
        ("http://a%2eb/", "letters, digits"),
        ("http://bücher.example/", "A-label"),
        (f"http://{'a' * 64}.example/", "64 octets"),
        ("http://example.com/a b", "write the path as '/a%20b'"),
        ("http://example.com/é", "write the path as '/%C3%A9'"),
        ("http://example.com/%zz", "write the path as '/%25zz'"),
        ("http://example.com/\r\nX: y", "write the path as"),
        ("http://example.com/?a b", "write the query as 'a%20b'"),
        ("http://example.com\\@evil.example/", "leave out what is before '@'"),
        ("ws://example.com/#x", "%23"),
        ("wss://example.com/#", "%23"),
        ("unix://run/x.sock", "three slashes"),
        ("unix:", "names no socket"),
        ("unix:@", "names no socket"),
        ("unix:///run/", "names no socket"),
        ("unix:a\0b", "NUL"),
        (f"unix:/{'x' * 107}", "108 octets: at most 107"),
        (f"http://example.com/{'x' * MAX_URL_CHARACTERS}", "at most 65536"),
    ],
)
def test_what_is_refused_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(Misuse, match=hint):
        parse(text)


def test_longest_socket_path_is_accepted() -> None:
    path = "/" + "x" * (MAX_SOCKET_PATH_OCTETS - 1)
    assert parse(f"unix://{path}").path == path


@pytest.mark.parametrize("text", ["http://me:s3cret@example.com/", "tcp://s3cret@[::1]:80", "x://a:s3cret@b"])
def test_passwords_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Misuse) as caught:
        parse(text)
    assert "s3cret" not in str(caught.value)


def test_listening_on_a_name_is_refused() -> None:
    with pytest.raises(Misuse, match="needs an IP address"):
        parse("tcp://example.com:80", for_listening=True)
    with pytest.raises(Misuse, match=":0 for one that the system chooses"):
        parse("tcp://127.0.0.1", for_listening=True)


@given(
    st.text(max_size=60),
    st.sampled_from(["", "tcp://", "http://", "ws://[", "unix:", "https://h/"]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_url_that_round_trips_or_misuse(text: str, start: str, for_listening: bool) -> None:
    try:
        url = parse(start + text, for_listening=for_listening)
    except Misuse:
        return
    assert parse(str(url), for_listening=for_listening) == url
    if SCHEMES[url.scheme].has_path:
        assert url.target.isascii()
        assert url.target.isprintable()
        assert " " not in url.target

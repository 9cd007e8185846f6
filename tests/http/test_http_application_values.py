"""What an application puts into a message is judged at the call: none of it can split a head."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from mungos.errors import Misuse
from mungos.http import ClientSession, FileServer, HTTPLimits, Response, ServerSession

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
SPLITTING = ["a\r\nX: 1", "a\nX: 1", "a\rX", "a\0", "a\x7f", "\r\n"]


def server(request: bytes = GET) -> ServerSession:
    session = ServerSession()
    session.start(0.0)
    session.receive(request, 0.0)
    session.next_event()
    session.next_event()
    return session


def client(host: str = "h") -> ClientSession:
    session = ClientSession(host=host)
    session.start(0.0)
    return session


def queued(session: ServerSession | ClientSession) -> bytes:
    return b"".join(map(bytes, session.take(1 << 30)))


@pytest.mark.parametrize(
    "host", [*SPLITTING, "a b", "a/b", "a@b", "a:b", "[::1", b"a", None, 5, ("a",)], ids=repr
)
def test_a_client_s_host_that_is_none_is_refused_as_it_is_built(host: str) -> None:
    with pytest.raises(Misuse, match=r'host is .*: write a host, .*"example.org:8080"'):
        ClientSession(host=host)


@pytest.mark.parametrize(
    "host", ["", "h", "h:80", "192.0.2.1:8080", "[2001:db8::1]:80", "a_b.example", "%41"]
)
def test_a_client_s_host_may_be_what_a_host_field_may_be(host: str) -> None:
    session = client(host)
    session.request("GET", "/")
    assert f"\r\nHost: {host}\r\n".encode() in queued(session)


REQUESTS: list[tuple[str, Callable[[ClientSession, str], object]]] = [
    ("method", lambda session, value: session.request(value, "/")),
    ("target", lambda session, value: session.request("GET", value)),
    ("field", lambda session, value: session.request("GET", "/", (("Host", value + "b"),))),
    ("field", lambda session, value: session.request("GET", "/", ((value, "x"),))),
    ("field", lambda session, value: session.request("GET", "/", (("X", value + "b"),))),
    ("field", lambda session, value: session.request("GET", "/", (("Connection", value + "b"),))),
    ("field", lambda session, value: session.request("GET", "/", (("Date", value + "b"),))),
    ("field", lambda session, value: session.request("GET", "/", (("Expect", value + "b"),), b"x")),
]
RESPONSES: list[tuple[str, Callable[[ServerSession, str], object]]] = [
    ("field", lambda session, value: session.respond(200, b"", ((value, "x"),))),
    ("field", lambda session, value: session.respond(200, b"", (("X", value + "b"),))),
    ("field", lambda session, value: session.respond(200, b"", content_type=value + "b")),
    ("field", lambda session, value: session.start_response(200, (("X", value + "b"),))),
    ("field", lambda session, value: session.informational(103, (("X", value + "b"),))),
    ("field", lambda session, value: session.upgrade((("X", value + "b"),))),
    ("offers", lambda session, value: session.upgrade(protocol=value + "b")),
]


@pytest.mark.parametrize("value", SPLITTING, ids=repr)
@pytest.mark.parametrize(("name", "call"), REQUESTS)
def test_no_text_of_a_request_can_split_its_head(
    name: str, call: Callable[[ClientSession, str], object], value: str
) -> None:
    session = client()
    with pytest.raises(Misuse, match=name):
        call(session, value)
    assert queued(session) == b""


@pytest.mark.parametrize("value", SPLITTING, ids=repr)
@pytest.mark.parametrize(("name", "call"), RESPONSES)
def test_no_text_of_a_response_can_split_its_head(
    name: str, call: Callable[[ServerSession, str], object], value: str
) -> None:
    session = server(UPGRADE)
    with pytest.raises(Misuse, match=name):
        call(session, value)
    assert queued(session) == b""
    session.respond(204)


@pytest.mark.parametrize(
    "status", [200.5, 200.0, "200", True, None, 99, 199, 600, -200, 1 << 40, b"200", [200]], ids=repr
)
@pytest.mark.parametrize("call", ["respond", "start_response"])
def test_a_final_status_is_a_whole_number_from_200_to_599(call: str, status: int) -> None:
    session = server()
    with pytest.raises(Misuse, match=r"status is .*: write a final status, 200 to 599"):
        getattr(session, call)(status)
    assert queued(session) == b""
    session.respond(HTTPStatus.OK)
    assert queued(session).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("status", [103.5, "103", True, None, 200], ids=repr)
def test_an_informational_status_is_a_whole_number_from_100_to_199(status: int) -> None:
    with pytest.raises(Misuse, match="100 and 102 to 199"):
        server().informational(status)


HEADERS: list[object] = [
    "X: 1",
    b"X: 1",
    ("X: 1",),
    ("ab",),
    [b"ab"],
    {"X": "1"},
    (("X",),),
    (("X", "1", "2"),),
    (("X", 1),),
    5,
]


@pytest.mark.parametrize("headers", HEADERS, ids=repr)
def test_fields_are_pairs_and_no_str_is_taken_apart(headers: object) -> None:
    calls: list[Callable[[], object]] = [
        lambda: server().respond(200, b"", headers),  # type: ignore[arg-type]
        lambda: server().start_response(200, headers),  # type: ignore[arg-type]
        lambda: server().informational(103, headers),  # type: ignore[arg-type]
        lambda: client().request("GET", "/", headers),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(Misuse, match=r'fields are pairs .*write \(\("X-Name", "value"\),\)'):
            call()


def test_a_value_that_may_be_a_password_is_in_no_message() -> None:
    with pytest.raises(Misuse) as caught:
        client().request("GET", "/", (("Authorization", "Bearer hunter2\n"),))
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith("field Authorization: ")
    assert "character 15" in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer hunter2"],
        [b"Authorization: Bearer hunter2"],
        "Authorization: Bearer hunter2",
        [("Authorization", "Bearer", "hunter2")],
        [("Authorization: Bearer hunter2", "")],
        [(b"Authorization: Bearer hunter2", b"")],
        [(" hunter2", "")],
        {"Authorization: Bearer hunter2": ""},
        ["hunter2"],
        [["hunter2"]],
    ],
    ids=repr,
)
def test_a_line_that_may_hold_a_password_is_in_no_message(headers: object) -> None:
    with pytest.raises(Misuse) as caught:
        client().request("GET", "/", headers)  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    assert "Bearer" not in str(caught.value)


def test_a_name_of_a_field_that_is_none_is_told_up_to_its_fault() -> None:
    for name, says in (
        ("Authorization: Bearer hunter2", "'Authorization' and then ':' (character 14)"),
        ("", "'' and then nothing at all"),
        ("a" * 300 + "\n", "... (300 characters) and then '\\n' (character 301)"),
    ):
        with pytest.raises(Misuse, match=re.escape(says)):
            client().request("GET", "/", ((name, "x"),))


BODIES: list[object] = [5, -1, True, 2.5, "text", [1, 2], (), {}, object()]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_is_bytes_and_a_number_no_row_of_zeros(body: bytes) -> None:
    begun, asked = server(), client()
    begun.start_response(200)
    asked.request("POST", "/", chunked=True)
    for call in (
        lambda: server().respond(200, body),
        lambda: begun.send_body(body),
        lambda: client().request("POST", "/", body=body),
        lambda: asked.send_body(body),
    ):
        with pytest.raises(Misuse, match=r"(body|data) is .*: write bytes"):
            call()


@pytest.mark.parametrize("length", ["5", -1, True, 2.5, b"5"], ids=repr)
def test_a_length_is_a_whole_number(length: int) -> None:
    with pytest.raises(Misuse, match="length is"):
        server().start_response(200, length=length)
    with pytest.raises(Misuse, match="length is"):
        client().request("POST", "/", length=length)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ServerSession(limits={}), "limits is a dict: write HTTPLimits"),  # type: ignore[arg-type]
        (lambda: ServerSession(date="now"), "date is 'now'"),  # type: ignore[arg-type]
        (lambda: ClientSession(limits=None), "limits is None: write HTTPLimits"),  # type: ignore[arg-type]
        (lambda: ClientSession(max_pipelined="2"), "max_pipelined is '2'"),  # type: ignore[arg-type]
        (lambda: ClientSession(max_pipelined=0), "max_pipelined is 0"),
        (lambda: client().request("GET", "/", chunked=None), "chunked is None: write True or False"),  # type: ignore[arg-type]
        (lambda: client().request(b"GET", "/"), "method is b'GET'"),  # type: ignore[arg-type]
        (lambda: client().request("GET", b"/"), "target is b'/'"),  # type: ignore[arg-type]
        (lambda: client().request("GET", "/a b"), "target is '/a b'"),
    ],
)
def test_sessions_judge_what_they_are_given(make: Callable[[], object], says: str) -> None:
    with pytest.raises(Misuse, match=says):
        make()


# Files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A site: links in it lead to hidden places inside, and outside."""
    site = tmp_path / "site"
    (site / ".git").mkdir(parents=True)
    (site / ".git" / "config").write_text("secret")
    (site / ".env").write_text("secret")
    (site / ".well-known").mkdir()
    (site / ".well-known" / "x").write_text("public")
    (site / "open.txt").write_text("public")
    (tmp_path / "outside.txt").write_text("secret")
    links: dict[str, str | Path] = {
        "link": ".env",
        "far": ".git/config",
        "folder": ".git",
        "twice": "link",
        "absolute": site / ".env",
        "out": "../outside.txt",
        "fine": "open.txt",
        "known": ".well-known/x",
    }
    for name, target in links.items():
        (site / name).symlink_to(target)
    (site / "sub").mkdir()
    (site / "sub" / "index.html").symlink_to("../.env")
    return site


def fetched(root: Path, path: str, *, hidden: bool = False) -> tuple[int, bytes]:
    session = server(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())
    request = session.request
    FileServer(root, hidden=hidden).handle(session, request, 0.0)
    reader = ClientSession(limits=HTTPLimits())
    reader.start(0.0)
    reader.request("GET", "/", (("Host", "h"),))
    reader.receive(queued(session), 0.0)
    head = reader.next_event()
    assert isinstance(head, Response)
    return head.status, getattr(reader.next_event(), "data", b"")


@pytest.mark.parametrize(
    "path", ["/link", "/far", "/folder/config", "/twice", "/absolute", "/out", "/sub/", "/.env"]
)
def test_a_link_to_what_is_hidden_or_outside_is_not_there(root: Path, path: str) -> None:
    status, body = fetched(root, path)
    assert status == 404
    assert b"secret" not in body


def test_links_to_what_may_be_seen_are_followed(root: Path) -> None:
    assert fetched(root, "/fine") == (200, b"public")
    assert fetched(root, "/known") == (200, b"public")
    assert fetched(root, "/link", hidden=True) == (200, b"secret")
    assert fetched(root, "/out", hidden=True)[0] == 404


def test_a_root_that_is_itself_below_a_hidden_folder_is_served(tmp_path: Path) -> None:
    site = tmp_path / ".cache" / "site"
    site.mkdir(parents=True)
    (site / "open.txt").write_text("public")
    assert fetched(site, "/open.txt") == (200, b"public")
    (tmp_path / "link").symlink_to(site)
    assert fetched(tmp_path / "link", "/open.txt") == (200, b"public")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"root": 5}, "root is 5"),
        ({"root": b"/"}, "root is b'/'"),
        ({"index": ""}, "index is ''"),
        ({"index": "../x.html"}, "index is '../x.html'"),
        ({"index": ".index.html"}, "index is '.index.html'"),
        ({"index": ("index.html",)}, "index is a tuple"),
        ({"hidden": "no"}, "hidden is 'no'"),
        ({"precompressed": 1}, "precompressed is 1"),
        ({"cache_control": "max-age=1\nX: 1"}, "field Cache-Control"),
        ({"cache_control": 60}, "cache_control is 60"),
    ],
)
def test_a_file_server_judges_its_options(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(Misuse, match=says):
        FileServer(**{"root": os.fspath(tmp_path), **options})  # type: ignore[arg-type]

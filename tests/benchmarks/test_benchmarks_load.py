"""The load's requests and its checks of answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.answers import WrongAnswer, check_echo, check_http, check_upgrade
from benchmarks.load.requests import client_frame, http_pool, websocket_pool

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nServer: x\r\n\r\nok"


def test_http_pool_is_the_same_for_a_seed_and_all_different() -> None:
    pool = http_pool(64, seed=7)
    assert [exchange.request for exchange in pool] == [exchange.request for exchange in http_pool(64, seed=7)]
    assert len({exchange.request for exchange in pool}) == 64
    assert pool[0].request != http_pool(64, seed=8)[0].request


def test_http_pool_varies_path_headers_and_their_order() -> None:
    heads = [exchange.request.split(b"\r\n") for exchange in http_pool(128, seed=1)]
    assert len({lines[0] for lines in heads}) > 100
    orders = {tuple(line.partition(b":")[0].lower() for line in lines[1:] if line) for lines in heads}
    assert len(orders) > 100


def test_rfc9112_3_2_every_request_has_one_host_and_one_end() -> None:
    for exchange in http_pool(128, seed=3):
        request = exchange.request
        assert request.startswith(b"GET /")
        assert request.lower().count(b"\r\nhost:") == 1
        assert request.find(b"\r\n\r\n") == len(request) - 4


def test_rfc6455_5_7_masked_hello() -> None:
    assert client_frame(b"Hello", bytes.fromhex("37fa213d"), opcode=1) == bytes.fromhex(
        "818537fa213d7f9f4d5158"
    )


@pytest.mark.parametrize(
    ("size", "head"),
    [(64, "8240"), (125, "827d"), (126, "827e007e"), (8192, "827e2000"), (65536, "827f0000000000010000")],
)
def test_rfc6455_5_2_echo_has_the_shortest_length(size: int, head: str) -> None:
    exchange = websocket_pool(1, size=size, seed=1)[0]
    assert exchange.expected[: len(exchange.expected) - size].hex() == head
    assert len(exchange.request) == len(exchange.expected) + 4


def test_websocket_pool_varies_mask_keys_and_payloads() -> None:
    pool = websocket_pool(32, size=64, seed=1)
    assert len({exchange.request[2:6] for exchange in pool}) == 32
    assert len({exchange.expected for exchange in pool}) == 32


def test_response_is_whole_only_with_its_last_byte() -> None:
    for end in range(len(RESPONSE)):
        assert not check_http(RESPONSE[:end], b"ok")
    assert check_http(RESPONSE, b"ok")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RESPONSE.replace(b"200", b"404"), "status"),
        (RESPONSE.replace(b"content-length", b"content-lengthy"), "no Content-Length"),
        (RESPONSE[:-1] + b"!", "body"),
        (RESPONSE + b"x", "body"),
        (RESPONSE.replace(b": 2", b": 1"), "body"),
        (b"x" * 70000, "no end of the head in 70000 bytes"),
    ],
)
def test_wrong_response_is_named(answer: bytes, words: str) -> None:
    with pytest.raises(WrongAnswer, match=words):
        check_http(answer, b"ok")


@given(st.binary(min_size=1, max_size=300), st.data())
@settings(max_examples=100, deadline=None)
def test_echo_is_whole_incomplete_or_wrong(frame: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert check_echo(frame, frame)
    assert not check_echo(frame[:cut], frame)
    with pytest.raises(WrongAnswer):
        check_echo(frame + b"x", frame)
    flipped = frame[:cut] + bytes((frame[cut] ^ 1,)) + frame[cut + 1 :]
    with pytest.raises(WrongAnswer):
        check_echo(flipped, frame)


def test_rfc6455_1_3_accept_value() -> None:
    head = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    check_upgrade(head, b"dGhlIHNhbXBsZSBub25jZQ==")
    with pytest.raises(WrongAnswer, match="Accept"):
        check_upgrade(head, b"AAAAAAAAAAAAAAAAAAAAAA==")
    with pytest.raises(WrongAnswer, match="101"):
        check_upgrade(head.replace(b"101", b"400"), b"dGhlIHNhbXBsZSBub25jZQ==")

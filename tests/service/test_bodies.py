"""Bodies of check-ins: limits, digest, compression; nothing is unpacked that was not asked for."""

import gzip
import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterator

import pytest
import requests

from gatepost.domain.contract import BYTES_SENT, BYTES_UNPACKED, Kind
from tests.fixtures.service import Service
from tests.service.speaker import Speaker


def post(speaker: Speaker, body: bytes, **headers: str) -> tuple[int, str, str]:
    """Status, type and sentence of the answer to a body."""
    answer = requests.post(
        f"{speaker.url}/connector/v1/check-ins", data=body, headers=speaker.headers(body, **headers), timeout=30
    )
    return answer.status_code, answer.json()["type"], answer.json()["detail"]


def test_more_than_a_megabyte_is_refused_before_it_is_read(speaker: Speaker) -> None:
    """The limit of what is sent is told, so that the connector halves its part."""
    assert post(speaker, b"x" * (BYTES_SENT + 1))[:2] == (413, "too-large")


def test_more_than_a_megabyte_in_pieces_is_refused_too(speaker: Speaker) -> None:
    """A body without a length is counted while it streams."""

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (BYTES_SENT // 10)

    answer = requests.post(
        f"{speaker.url}/connector/v1/check-ins", data=pieces(), headers=speaker.headers(b""), timeout=30
    )
    assert (answer.status_code, answer.json()["limit"]) == (413, BYTES_SENT)


def test_a_bomb_is_not_unpacked(speaker: Speaker) -> None:
    """A small body that would become large is refused at 4 MiB, however large it says to be."""
    status, kind, detail = post(speaker, gzip.compress(b" " * 500_000_000))
    assert (status, kind) == (413, "too-large")
    assert f"{BYTES_UNPACKED:,} bytes unpacked" in detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"x", "not JSON"),
        (gzip.compress(b"{}")[:2] + b"x" * 20, "not gzip"),
        (gzip.compress(b"{}")[:-3], "cut off"),
        (gzip.compress(b"{}") + b"tail", "something after its end"),
        (gzip.compress(b"{}") + gzip.compress(b"{}"), "something after its end"),
        (zlib.compress(b"{}"), "not JSON"),
        (b"", "not JSON"),
        (gzip.compress(b"\xff\xfe"), "not JSON"),
        (gzip.compress(b"[1]"), "expected an object"),
        (gzip.compress(b"[" * 200_000), "not JSON"),
        (gzip.compress(b'{"contract": ' + b"9" * 10_000 + b"}"), "not JSON"),
        (gzip.compress(b"{}"), "contract"),
    ],
    ids=str.split("plain broken cut tail twice zlib empty binary list deep huge-number no-contract"),
)
def test_a_body_that_is_no_document_says_why(speaker: Speaker, body: bytes, detail: str) -> None:
    """Cut off, packed wrongly, not JSON: each is malformed, with the reason."""
    status, kind, told = post(speaker, body)
    assert (status, kind) == (400, "malformed")
    assert detail in told


def test_a_body_may_be_sent_unpacked(speaker: Speaker) -> None:
    """Compression is a choice, told by the bytes: what a header says of it is not signed, and not asked."""
    document = speaker.document(Kind.CYCLE, 1)
    answer = requests.post(
        f"{speaker.url}/connector/v1/check-ins",
        data=document,
        headers=speaker.headers(document, **{"Content-Encoding": "gzip"}),
        timeout=30,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha-256=:AAAA:",
        "sha-256=:???:",
        "sha-512=:" + b64encode(hashlib.sha256(b"x").digest()).decode() + ":",
        "sha-256=" + hashlib.sha256(b"x").hexdigest(),
    ],
    ids=["none", "another", "no-base64", "another-algorithm", "another-form"],
)
def test_a_digest_that_does_not_fit_the_bytes_is_refused(speaker: Speaker, digest: str) -> None:
    """What a proxy changed on the way is not applied, and no fault of the document: the same may be sent again."""
    status, kind, told = post(speaker, b"x", **{"Content-Digest": digest})
    assert (status, kind) == (401, "signature")
    assert "Content-Digest" in told


def test_a_stranger_is_refused_before_its_body_is_read(service: Service, speaker: Speaker) -> None:
    """Without a key nobody makes the service unpack anything."""
    assert post(speaker, b"x" * 900_000, **{"Gatepost-Signature": "AAAA"})[:2] == (401, "signature")

"""Tokens: who may ask for what, and what is kept of a token."""

from __future__ import annotations

import json

import pytest

from components.serving.http import tokens
from components.serving.settings import Settings, is_loopback
from data.errors import UserError
from tests.components.serving import bundles
from tests.components.serving.server import Server, binary


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "tokens.json"
    return path, tokens.make(path, "shop", "read"), tokens.make(path, "ops", "admin")


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def test_scopes(made):
    path, read, admin = made
    known = tokens.Tokens(path)
    assert (known.scope(bearer(read)), known.scope(bearer(admin))) == ("read", "admin")
    assert known.scope(f"bearer  {read} ".encode()) == "read"
    strangers = [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        bearer(read[:-1]),
        bearer(read + "x"),
        b"Basic " + read.encode(),
    ]
    strangers += [
        bearer("nobody.secret"),
        bearer(read.replace("shop", "ops")),
        "Bearer \xff.\xff".encode("latin-1"),
    ]
    assert [known.scope(header) for header in strangers] == [None] * len(strangers)


def test_only_hashes_are_kept(made):
    path, read, admin = made
    kept = path.read_text()
    for token in (read, admin):
        assert token.partition(".")[2] not in kept
    assert path.stat().st_mode & 0o077 == 0
    first, second = (json.loads(kept)[name] for name in ("shop", "ops"))
    assert first["salt"] != second["salt"] and len(read.partition(".")[2]) >= 43


def test_a_new_token_of_a_name_ends_the_old_one(made):
    path, read, _ = made
    again = tokens.make(path, "shop", "read")
    known = tokens.Tokens(path)
    assert known.scope(bearer(read)) is None and known.scope(bearer(again)) == "read"


def test_the_file_is_followed(made, monkeypatch):
    path, read, admin = made
    monkeypatch.setattr(tokens, "_LOOK_S", 0.0)
    known = tokens.Tokens(path)
    again = tokens.make(path, "shop", "admin")
    assert (known.scope(bearer(read)), known.scope(bearer(again))) == (None, "admin")
    path.write_text("damaged")
    assert known.scope(bearer(admin)) is None
    path.unlink()
    assert known.scope(bearer(admin)) is None
    new = tokens.make(path, "shop", "read")
    assert (known.scope(bearer(new)), known.scope(bearer(admin))) == ("read", None)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "x" * 65, "ä"])
def test_names(tmp_path, name):
    with pytest.raises(UserError, match="a name has up to 64"):
        tokens.make(tmp_path / "t", name, "read")


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"scope": "read"}}'])
def test_a_file_that_holds_none(tmp_path, text):
    (tmp_path / "t").write_text(text)
    with pytest.raises(UserError, match="not a file of tokens"):
        tokens.Tokens(tmp_path / "t")


def test_others_than_this_machine_need_tokens(made):
    path, *_ = made
    with pytest.raises(UserError, match="others than this machine may ask there"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", tokens=str(path)).tokens
    with pytest.raises(UserError, match="not found"):
        Settings(tokens=str(path) + "x")
    loopback = {"127.0.0.1": True, "127.8.8.8": True, "::1": True, "localhost": True}
    others = {
        "0.0.0.0": False,
        "::": False,
        "10.0.0.1": False,
        "example.org": False,
        "localhost.evil.org": False,
    }
    for host, expected in (loopback | others).items():
        assert is_loopback(host) is expected


def test_a_server_with_tokens(made, tmp_path):
    path, read, admin = made
    bundles.write(tmp_path / "m")
    settings = {"tokens": str(path), "bundles": {"m": str(tmp_path / "m")}}
    body, headers = binary(bundles.example("classification", 1))
    infer, unload = ("POST", "/v2/models/m/infer", body), ("POST", "/v2/repository/models/m/unload", b"{}")
    with Server(tmp_path, worker=settings) as server:
        client = server.client()

        def status(request, token: str | None) -> int:
            told = {"Authorization": f"Bearer {token}"} if token else {}
            return client.ask(*request, headers | told)[0]

        assert [status(infer, token) for token in (None, "shop.wrong", read, admin)] == [401, 401, 200, 200]
        assert [status(unload, token) for token in (None, read)] == [401, 403]
        assert [status(("GET", "/metrics", None), token) for token in (None, read)] == [401, 200]
        assert status(("GET", "/v2/health/ready", None), None) == 200  # probes have no token
        assert client.ask("GET", "/v2")[2]["WWW-Authenticate"].startswith("Bearer")
        assert status(unload, admin) == 200
        assert not any(secret.partition(".")[2] in server.log.read_text() for secret in (read, admin))

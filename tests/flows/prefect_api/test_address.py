"""``PREFECT_API_URL``, as people write it."""

from __future__ import annotations

import os

import pytest

from data.errors import UserError
from flows.prefect_api import address


@pytest.mark.parametrize(
    "given", ["http://prefect:4200/api", "http://prefect:4200/api/", "http://prefect:4200/api//"]
)
def test_a_slash_at_the_end_is_as_good_as_none(monkeypatch, given):
    monkeypatch.setenv("PREFECT_API_URL", given)
    assert address.tidy() == os.environ["PREFECT_API_URL"] == "http://prefect:4200/api"


def test_without_it_there_is_nothing_to_tidy(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert address.tidy() is None


@pytest.mark.parametrize("given", ["http://prefect:4200", "https://prefect/"])
def test_an_address_of_the_page_alone_is_told_with_that_of_the_api(monkeypatch, given):
    monkeypatch.setenv("PREFECT_API_URL", given)
    told = rf"PREFECT_API_URL={given}: is Prefect's page; its API is {given.rstrip('/')}/api\.$"
    with pytest.raises(UserError, match=told):
        address.tidy()


@pytest.mark.parametrize("given", ["prefect:4200/api", "localhost", "file:///x"])
def test_what_is_no_address_is_told(monkeypatch, given):
    monkeypatch.setenv("PREFECT_API_URL", given)
    with pytest.raises(UserError, match=f"PREFECT_API_URL={given}: is no address of a server"):
        address.tidy()

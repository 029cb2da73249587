"""No part of a receiver's address gets into a sentence."""

from __future__ import annotations

import pytest

from importer.notify.masking import masked, scheme_of

URLS = [
    "mailtos://somebody:word%20of@smtp.example.com:465?from=a@example.com&to=reader@example.org&smtp=mail.example.com",
    "wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa",
    "dingtalk://SECsecret@access_token_of_ours/13812345678",
    "https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d-token",
    "ntfys://topic-nobody-knows",
    "https://hc-ping.example/5f0c7b1e-uuid",
]


@pytest.mark.parametrize("url", URLS)
def test_an_address_and_its_parts_are_starred(url: str) -> None:
    rest = url.partition("://")[2]
    parts = [part for part in rest.replace("?", "/").replace("&", "/").replace("=", "/").split("/") if len(part) > 4]
    for part in [url, rest, *parts]:
        assert part not in masked(f"Failed ({part}): refused", url)


def test_a_password_is_starred_as_it_is_written_and_as_it_is_meant() -> None:
    said = masked("bad password 'word of' (word%20of)", URLS[0])
    assert said == "bad password '****' (****)"


def test_a_mail_address_that_is_not_in_the_url_is_starred() -> None:
    assert masked("550 nobody@elsewhere.example is unknown", "json://x") == "550 **** is unknown"


def test_what_helps_stays() -> None:
    said = masked("Socket Exception: [Errno 111] Connection refused error=403", "json://127.0.0.1:8080/secret-token")
    assert said == "Socket Exception: [Errno 111] Connection refused error=403"


def test_an_answer_is_one_line_and_not_too_long() -> None:
    said = masked("first\nsecond" + "x" * 1000, "json://127.0.0.1/")
    assert said.startswith("first second")
    assert len(said) == 400


def test_only_the_kind_of_an_address_is_shown() -> None:
    assert scheme_of(URLS[0]) == "mailtos"
    assert scheme_of("my password is this") == "?"
    assert scheme_of("sct1234key") == "?"

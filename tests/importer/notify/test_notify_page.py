"""The page and the command about messages: no address in sight, and a test that tells the real error."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from config.hidden import Hidden
from importer.dbtime import db_now
from importer.doctor.messages import receivers_of_messages
from importer.notify import outbox
from importer.notify.events import record
from importer.notify.models import Delivery, DeliveryState, Event
from importer.notify.receivers import receivers
from marketdata.texts import Text
from tests.importer.command_line import give_command
from tests.importer.notify.servers import web_hook
from tests.importer.pages import english_browser, post, shown

pytestmark = pytest.mark.django_db

PAGE = "/data/notifications/"
SECRET = "json://127.0.0.1:9/token-of-ours"


@pytest.fixture
def browser(settings: Settings) -> Client:
    settings.COMMAND_LANGUAGE = "en"
    settings.NOTIFY_URLS = [Hidden(SECRET)]
    return english_browser()


def given_up() -> None:
    record("missing:2026-11-20", Event.MISSING, [Text("The bars are not there.")])
    now = db_now()
    outbox.hand_out(now)
    Delivery.objects.update(state=DeliveryState.GIVEN_UP, ended_at=now, error="Connection refused")


def test_the_page_names_receivers_by_their_kind_alone(browser: Client) -> None:
    page = shown(browser, PAGE)
    assert "1: json" in page
    assert "token-of-ours" not in page


def test_without_a_receiver_it_says_how_to_get_one(browser: Client, settings: Settings) -> None:
    settings.NOTIFY_URLS = []
    assert "Set BARVAULT_NOTIFY_URLS" in shown(browser, PAGE)


def test_what_was_given_up_is_on_the_page_and_on_the_data_page(browser: Client) -> None:
    given_up()
    page = shown(browser, PAGE)
    assert "The bars are not there." in page
    assert "1: json · given up" in page
    assert "Connection refused" in page
    assert "1 message could not be delivered for a day and was given up." in shown(browser)
    Delivery.objects.update(ended_at=db_now() - timedelta(days=4))
    assert "given up" not in shown(browser)


def test_the_button_sends_a_test_message_and_tells_the_real_error(browser: Client, settings: Settings) -> None:
    with web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(hook.url())]
        assert post(browser, f"{PAGE}test/", receiver=receivers()[0].key) == (302, PAGE)
        assert "Messages of Barvault arrive here." in hook.bodies[0]
        assert "1: json: the test message was sent." in shown(browser, PAGE)
    post(browser, f"{PAGE}test/")
    page = shown(browser, PAGE)
    assert "Connection refused" in page
    assert "token-of-ours" not in page


@pytest.mark.django_db(transaction=True)
def test_the_command_tests_lists_and_refuses(
    browser: Client, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(SECRET), Hidden(hook.url())]
        outcome = give_command(capsys, "notify", "test", "2")
        assert (outcome.status, outcome.out) == (0, "2: json: sent.\n")
        outcome = give_command(capsys, "notify", "test")
    assert outcome.status == 1
    assert "Connection refused" in outcome.out_lines[0]
    assert "token-of-ours" not in outcome.out
    assert give_command(capsys, "notify", "test", "3").status == 2
    given_up()
    listed = give_command(capsys, "notify").out
    assert "given up" in listed
    assert "token-of-ours" not in listed
    settings.NOTIFY_URLS = []
    assert give_command(capsys, "notify", "test").status == 2


def test_the_doctor_names_receivers_by_their_kind_and_counts_what_was_given_up(browser: Client) -> None:
    given_up()
    said = [str(fact.text) for fact in receivers_of_messages()]
    assert said[0].startswith("Messages go to 1: json;")
    assert said[1].startswith("1 messages were given up")
    assert "token-of-ours" not in str(said)

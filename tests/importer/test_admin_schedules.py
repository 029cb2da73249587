"""Schedules in the admin: looked at and steered, ours and django-q2's; nothing is edited by hand."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django_q.models import Schedule

from importer import schedules
from importer.models import ImportTask
from tests.importer.factories import make_schedule

pytestmark = pytest.mark.django_db

LIST = "/admin/importer/taskschedule/"


@pytest.fixture
def client() -> Client:
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(User.objects.create_superuser("ada"))
    return browser


def act(client: Client, action: str, number: int) -> str:
    return client.post(LIST, {"action": action, "_selected_action": [str(number)]}, follow=True).content.decode()


def test_a_schedule_is_listed_with_its_next_and_last_run(client: Client) -> None:
    make_schedule(7, name="Evening")
    page = client.get(LIST).content.decode()
    for words in ("Evening", "Every trading day at 16:30", "Has not run yet"):
        assert words in page


def test_it_is_paused_resumed_and_run(client: Client) -> None:
    make_schedule(7, kind="import")
    assert "1 schedule: done." in act(client, "pause", 7)
    assert schedules.get_schedule(7).paused
    act(client, "resume", 7)
    assert not schedules.get_schedule(7).paused
    act(client, "run_now", 7)
    assert ImportTask.objects.get().requested_by == "admin: ada"
    assert "still goes on" in act(client, "run_now", 7)


def test_who_may_only_look_can_do_nothing() -> None:
    make_schedule(7)
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_taskschedule"))
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(user)
    act(browser, "pause", 7)
    assert not schedules.get_schedule(7).paused


def test_django_qs_row_shows_the_next_run_and_is_not_edited(client: Client) -> None:
    made = make_schedule(7)
    page = client.get("/admin/django_q/schedule/")
    assert page.status_code == 200
    assert "importer.schedule_firing.ring" in page.content.decode()
    path = f"/admin/django_q/schedule/{made.pk}/change/"
    assert client.get(path).status_code == 200
    assert client.post(path, {"func": "os.getcwd"}).status_code == 403
    assert client.post("/admin/django_q/schedule/add/", {"func": "os.getcwd"}).status_code == 403
    assert Schedule.objects.get().func == "importer.schedule_firing.ring"

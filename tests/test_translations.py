from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext, ngettext

from config.catalogues import (
    extract_messages,
    main,
    missing_translations,
    read_catalogue,
    update_catalogues,
)
from config.translations import compile_stale_catalogues

TEMPLATE = """{% load i18n %}
<div>
  <p title="{% translate 'Start full import' %}">{{ status|default:_("unknown") }}</p>
  {% if tasks %}
    {% blocktranslate count n=tasks|length trimmed %}
      One task waits, at {{ percent }} %.
      {% plural %}
      {{ n }} tasks wait, at {{ percent }} %.
    {% endblocktranslate %}
  {% endif %}
  {% translate "open" context "price" %}
  {% blocktranslate with name=stock.name %}Bars of
    {{ name }}  and more{% endblocktranslate %}
  {% comment %}{% translate "not shown" %}{% endcomment %}
</div>
"""
CODE = """
from django.utils.translation import gettext_lazy as _, gettext_noop, ngettext, pgettext
a = _("lazy")
b = gettext_noop("kept for %(symbol)s")
c = ngettext("%(n)s bar", "%(n)s bars", 2)
d = pgettext("price", "close")
"""


def project(tmp_path: Path) -> Path:
    (tmp_path / "templates" / "partials").mkdir(parents=True)
    (tmp_path / "importer" / "migrations").mkdir(parents=True)
    (tmp_path / "templates" / "partials" / "page.html").write_text(TEMPLATE)
    (tmp_path / "importer" / "code.py").write_text(CODE)
    (tmp_path / "importer" / "migrations" / "0001.py").write_text('_("only in a migration")')
    return tmp_path


def catalogue_of(**strings: str) -> Catalog:
    catalogue = Catalog(locale="zh_Hans")
    for number, (message, string) in enumerate(strings.items()):
        catalogue.add(message, string, [(f"file{number}.py", 0)])
    return catalogue


def problem_of(tmp_path: Path, message: str, string: str, *, fuzzy: bool = False) -> list[str]:
    found = Catalog()
    found.add(message, locations=[("code.py", 0)])
    translated = Catalog(locale="zh_Hans")
    translated.add(message, string, flags=["fuzzy"] if fuzzy else [])
    update_catalogues(translated, tmp_path)
    return missing_translations(found, tmp_path)


def test_every_message_of_code_and_templates_is_translated() -> None:
    problems = missing_translations()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("message", "context"),
    [
        ("Start full import", None),
        ("unknown", None),
        (("One task waits, at %(percent)s %%.", "%(n)s tasks wait, at %(percent)s %%."), None),
        ("open", "price"),
        ("Bars of\n    %(name)s  and more", None),
        ("lazy", None),
        ("kept for %(symbol)s", None),
        (("%(n)s bar", "%(n)s bars"), None),
        ("close", "price"),
    ],
)
def test_a_message_is_found(tmp_path: Path, message: str | tuple[str, str], context: str | None) -> None:
    found = extract_messages(project(tmp_path)).get(message, context)
    assert found is not None
    assert found.id == message


def test_comments_and_migrations_are_left_out(tmp_path: Path) -> None:
    found = extract_messages(project(tmp_path))
    assert found.get("not shown") is None
    assert found.get("only in a migration") is None


def test_an_update_keeps_translations_adds_new_messages_and_drops_old_ones(tmp_path: Path) -> None:
    update_catalogues(catalogue_of(kept="留", dropped="去"), tmp_path)
    update_catalogues(catalogue_of(kept="", added=""), tmp_path)
    after = read_catalogue("zh_Hans", tmp_path)
    assert after["kept"].string == "留"
    assert after["added"].string == ""
    assert "dropped" not in after


def test_an_update_that_finds_nothing_new_changes_nothing(tmp_path: Path) -> None:
    found = extract_messages(project(tmp_path))
    update_catalogues(found, tmp_path)
    path = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    before = path.read_bytes()
    update_catalogues(found, tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("message", "string", "problem"),
    [
        ("%(n)s bars", "", "is not translated"),
        ("%(n)s bars", "%(m)s 条", "other placeholders"),
        ("%(n)s bars", "条", "other placeholders"),
        ("{n} bars", "{m} 条", "other placeholders"),
        ("%(n)s percent", "%(n)s%", "a bare % sign"),
    ],
)
def test_what_is_translated_badly_is_named(tmp_path: Path, message: str, string: str, problem: str) -> None:
    (sentence,) = problem_of(tmp_path, message, string)
    assert problem in sentence
    assert "code.py" in sentence


def test_a_good_translation_is_no_problem(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "%(n)s percent of %(total)d", "%(total)d 的 %(n)s%%") == []


def test_a_fuzzy_translation_counts_as_none(tmp_path: Path) -> None:
    assert "fuzzy" in problem_of(tmp_path, "bar", "日线", fuzzy=True)[0]


def test_a_message_that_is_in_no_catalogue_is_named(tmp_path: Path) -> None:
    assert "make messages" in missing_translations(catalogue_of(bar=""), tmp_path)[0]


def test_an_unknown_command_of_the_tool_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract"]) == 2
    assert "update|check" in capsys.readouterr().err


def test_a_catalogue_is_compiled_when_it_is_newer_than_the_compiled_one(tmp_path: Path) -> None:
    update_catalogues(catalogue_of(bar="日线"), tmp_path)
    (compiled,) = compile_stale_catalogues(tmp_path)
    assert compile_stale_catalogues(tmp_path) == []
    os.utime(compiled, (0, 0))
    assert compile_stale_catalogues(tmp_path) == [compiled]
    assert "日线".encode() in compiled.read_bytes()


def test_processes_that_compile_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    update_catalogues(catalogue_of(bar="日线"), tmp_path)
    folder = tmp_path / "zh_Hans" / "LC_MESSAGES"
    errors: list[BaseException] = []

    def compile_again_and_again() -> None:
        try:
            for _attempt in range(20):
                os.utime(folder / "django.po")
                compile_stale_catalogues(tmp_path)
                assert "日线".encode() in (folder / "django.mo").read_bytes()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=compile_again_and_again) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(path.name for path in folder.iterdir()) == ["django.mo", "django.po"]


def test_a_compiled_catalogue_may_be_read_by_other_users(tmp_path: Path) -> None:
    update_catalogues(catalogue_of(bar="日线"), tmp_path)
    (compiled,) = compile_stale_catalogues(tmp_path)
    mask = os.umask(0)
    os.umask(mask)
    assert compiled.stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_catalogue_stands_where_django_looks_for_it() -> None:
    for code, _name in settings.LANGUAGES:
        if code != "en":
            assert (settings.BASE_DIR / "locale" / translation.to_locale(code) / "LC_MESSAGES" / "django.po").is_file()


def test_messages_are_shown_in_chinese() -> None:
    with translation.override("zh-hans"):
        assert gettext("trading day") == "交易日"


def test_english_shows_the_message_itself_and_not_the_default_language() -> None:
    assert settings.LANGUAGE_CODE == "zh-hans"
    with translation.override("en"):
        assert gettext("trading day") == "trading day"
        assert ngettext("one bar", "%(n)s bars", 1) == "one bar"
        assert ngettext("one bar", "%(n)s bars", 2) == "%(n)s bars"

"""Settings: each has a default that works on one machine; the environment or ``.env`` changes it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.addresses import LOOPBACK_NAMES, is_loopback, names_of, origins_of
from config.databases import complete_database, placed_below
from config.environment_values import EnvironmentValues, make_folder
from config.events import EVENT_KINDS
from config.secret_key import read_or_create_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = EnvironmentValues()
env.read_file(Path(env.str("BARVAULT_ENV_FILE", default=str(BASE_DIR / ".env"))))

DEMO = env.bool("BARVAULT_DEMO", default=False)
VAR_DIR = make_folder(BASE_DIR / env.str("BARVAULT_VAR_DIR", default="var"))

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_create_secret_key(VAR_DIR / "secret_key")

HOST = env.str("BARVAULT_HOST", default="127.0.0.1")
PORT = env.int("BARVAULT_PORT", default=5000)
EXTRA_ALLOWED_HOSTS = env.words("BARVAULT_ALLOWED_HOSTS")
ALLOWED_HOSTS = [*LOOPBACK_NAMES, *names_of(HOST), *EXTRA_ALLOWED_HOSTS]
# Others can reach the server: every page and call needs an account or a token.
LOGIN_REQUIRED = bool(EXTRA_ALLOWED_HOSTS) or not is_loopback(HOST)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
# Browsers reach us through a proxy that speaks HTTPS: cookies are for HTTPS alone.
HTTPS = env.bool("BARVAULT_HTTPS", default=False)
CSRF_TRUSTED_ORIGINS = origins_of(EXTRA_ALLOWED_HOSTS, PORT)
CSRF_FAILURE_VIEW = "config.error_pages.csrf_failure"
# All servers on one machine share a browser's cookies, whatever their port: ours have names of their own.
CSRF_COOKIE_NAME = "barvault_csrf"
SESSION_COOKIE_NAME = "barvault_session"
LANGUAGE_COOKIE_NAME = "barvault_language"
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = HTTPS
# HTTPS, redirects to it and HSTS are the proxy's work; without a proxy there is only this machine.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
if not HTTPS:
    SILENCED_SYSTEM_CHECKS += ["security.W012", "security.W016"]
# The longest body of a request: some ten times the symbols of all stocks.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

INSTALLED_APPS = [
    "marketdata",
    # Before django_q: our qcluster command replaces django-q2's.
    "importer",
    "django_q",
    "django_htmx",
    "ninja",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    # First of all: what another web site sends through the user's browser goes no further.
    "config.guard.Guard",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.error_pages.OneShape",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.accounts.AccountRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "importer.context.every_page",
            ],
        },
    },
]

DATABASE_FILE = VAR_DIR / ("demo.sqlite3" if DEMO else "barvault.sqlite3")
# The demo keeps its simulated market apart, whatever the real database is.
_database_variable = "BARVAULT_DEMO_DATABASE_URL" if DEMO else "DATABASE_URL"
if DEMO:
    _address = env.db_url("BARVAULT_DEMO_DATABASE_URL", default=f"sqlite:///{DATABASE_FILE}")
else:
    _address = env.db_url("DATABASE_URL", default=f"sqlite:///{DATABASE_FILE}")
DATABASES = {"default": complete_database(placed_below(_address, BASE_DIR), VAR_DIR, _database_variable)}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

BROKER_URL = env.str("BARVAULT_BROKER_URL", default="")
# Two clusters on one database need two names; the machine's is right unless they run on one machine.
HOST_NAME = env.str("BARVAULT_HOST_NAME", default=socket.gethostname())
WORKERS = env.int("BARVAULT_WORKERS", default=max(2, min(4, os.cpu_count() or 2)))
# Each value was chosen by experiment: docs/decisions/002-django-q2.md
Q_CLUSTER = {
    "name": "barvault",
    "workers": WORKERS,
    "queue_limit": 1,
    "bulk": 1,
    "timeout": 60,
    "retry": 120,
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,
    "recycle": 200,
    "catch_up": False,
    "guard_cycle": 0.5,
    "poll": 0.2,
    "time_zone": "Asia/Shanghai",
    # Our dispatcher runs the schedules: the Sentinel must not wait for the database.
    "scheduler": False,
    "broker_class": "importer.cluster_redis.WatchedRedis" if BROKER_URL else "importer.cluster_orm.WatchedOrm",
}
if BROKER_URL:
    Q_CLUSTER["redis"] = BROKER_URL
else:
    # The same alias as the data: with another one, django-q2 silently loses transactions.
    Q_CLUSTER["orm"] = "default"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(VAR_DIR / "cache")}
}

SOURCE = env.str("BARVAULT_SOURCE", default="simulated" if DEMO else "auto")
API_TOKENS = [
    token for token in (env.str("BARVAULT_API_TOKEN", default=""), *env.words("BARVAULT_API_TOKENS")) if token
]
FILES_ROOT = env.str("BARVAULT_FILES_ROOT", default="")
# What happens when a source disagrees with a bar that is stored: "keep" or "replace"; either way it is listed.
ON_DIFFERENCE = env.str("BARVAULT_ON_DIFFERENCE", default="keep")
if ON_DIFFERENCE not in ("keep", "replace"):
    raise ImproperlyConfigured(f"BARVAULT_ON_DIFFERENCE is {ON_DIFFERENCE!r}; it must be keep or replace.")
PACE_MIN = env.seconds("BARVAULT_PACE_MIN", default=0.1)
PACE_MAX = env.seconds("BARVAULT_PACE_MAX", default=0.3)
# The shortest gap of single sources, in place of PACE_MIN: "sina=0.5,tencent=0.3".
PACE_FLOORS = env.numbers("BARVAULT_PACE_FLOORS")
# How long a source that refused is left alone: this long at first, twice as long each time, up to an hour.
BREAKER_FIRST_REST = env.seconds("BARVAULT_BREAKER_FIRST_REST", default=30.0, above_zero=True)
BREAKER_LONGEST_REST = env.seconds("BARVAULT_BREAKER_LONGEST_REST", default=3600.0, above_zero=True)
# The longest that one request may take, from the connection to the last byte.
REQUEST_TIMEOUT = env.seconds("BARVAULT_REQUEST_TIMEOUT", default=10.0, above_zero=True)
# The sources that `auto` asks, in this order: "eastmoney,sina"; when empty that of the registry.
AUTO_ORDER = env.words("BARVAULT_AUTO_ORDER")
# The quote servers of 通达信 to choose from: "192.0.2.1:7709,192.0.2.2"; those that tdxpy knows when empty.
TDX_SERVERS = env.servers("BARVAULT_TDX_SERVERS", port=7709)
SIMULATED_STOCKS = env.int("BARVAULT_SIMULATED_STOCKS", default=5400)
SIMULATED_SEED = env.int("BARVAULT_SIMULATED_SEED", default=1)
SIMULATED_LATENCY = env.float("BARVAULT_SIMULATED_LATENCY", default=0.15 if DEMO else 0.0)
SIMULATED_ERROR_RATE = env.float("BARVAULT_SIMULATED_ERROR_RATE", default=0.0)

# Who is told what happened: addresses as apprise takes them. docs/notifications.md
NOTIFY_URLS = env.addresses("BARVAULT_NOTIFY_URLS")
NOTIFY_EVENTS = frozenset(env.words("BARVAULT_NOTIFY_EVENTS")) or EVENT_KINDS
if unknown_events := sorted(NOTIFY_EVENTS - EVENT_KINDS):
    raise ImproperlyConfigured(
        f"BARVAULT_NOTIFY_EVENTS names {', '.join(unknown_events)}; it may name {', '.join(sorted(EVENT_KINDS))}."
    )
# Nothing is sent in these hours; what happens then is sent when they end.
NOTIFY_QUIET = env.hours("BARVAULT_NOTIFY_QUIET")
# One message a day in place of one per event; alarms are sent at once all the same.
NOTIFY_DIGEST = env.clock("BARVAULT_NOTIFY_DIGEST")
# The bars of a trading day that are not there by then are missed.
NOTIFY_MISSING_AT = env.clock("BARVAULT_NOTIFY_MISSING_AT", default="20:00")
# A dead man's switch: asked after each good update, with /fail after a failed one.
PING_URL = env.web_address("BARVAULT_PING_URL")
# Chunks and failures of tasks that ended so many days ago are forgotten; the tasks themselves stay. 0: never.
KEEP_DETAILS_DAYS = env.int("BARVAULT_KEEP_DETAILS_DAYS", default=365)
# Where people reach the pages: messages link to it.
BASE_URL = env.web_address("BARVAULT_BASE_URL").reveal().rstrip("/") or f"http://127.0.0.1:{PORT}"

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
# Of the command line: en or zh-hans; by default English where the locale is English.
COMMAND_LANGUAGE = env.str("BARVAULT_LANGUAGE", default="")
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
USE_I18N = True
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

LOG_FORMAT = env.str("BARVAULT_LOG_FORMAT", default="text")
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"BARVAULT_LOG_FORMAT is {LOG_FORMAT!r}; it must be text or json.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "class": "config.log_lines.EnglishLines",
            "format": "%(asctime)s %(levelname)s %(name)s %(about)s%(message)s",
        },
        "json": {"()": "config.log_lines.json_formatter"},
    },
    "filters": {"task": {"()": "config.log_lines.TaskFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["task"]}},
    "loggers": {
        # A page that opens several connections at once is no trouble.
        "waitress.queue": {"level": "ERROR"},
        # A line for each message that it sends and runs. Its own setting of the level counts only without handlers.
        "django-q": {"level": "WARNING"},
    },
    "root": {"handlers": ["console"], "level": env.str("BARVAULT_LOG_LEVEL", default="INFO")},
}

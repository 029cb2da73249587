from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import set_language

from config import error_pages
from importer.api import api
from importer.health import healthz, readyz
from importer.metrics import metrics

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", auth.LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("language/", login_not_required(set_language), name="set_language"),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/", error_pages.unknown_api_url),
    path("api/", api.urls),
    # What is left below /api. Being a view, it keeps Django from trying the address with a slash.
    path("api/<path:other>", error_pages.unknown_api_url),
    path("api", error_pages.unknown_api_url),
    path("", include("importer.urls")),
]

handler400 = error_pages.bad_request
handler403 = error_pages.permission_denied
handler404 = error_pages.not_found
handler500 = error_pages.server_error

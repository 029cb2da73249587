"""The product's pages and two that take their time, for tests of the web server's stop."""

from __future__ import annotations

import time
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import urlpatterns as product_urls


def slow(request: HttpRequest) -> HttpResponse:
    """Answer after ``seconds``; the file ``begun`` appears first."""
    Path(request.GET["begun"]).touch()
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("finished")


urlpatterns = [*product_urls, path("slow/", slow)]

from __future__ import annotations

from django.urls import path

from importer import views

urlpatterns = [
    path("", views.data, name="home"),
    path("data/", views.data, name="data"),
    path("data/live/", views.live, name="live"),
    path("data/estimate/", views.estimate, name="estimate"),
    path("data/import/", views.start, {"kind": "import"}, name="start_import"),
    path("data/update/", views.start, {"kind": "update"}, name="start_update"),
    path("data/tasks/", views.tasks, name="tasks"),
    path("data/tasks/<uuid:task_id>/", views.task, name="task"),
    path("data/tasks/<uuid:task_id>/live/", views.task_live, name="task_live"),
    path("data/tasks/<uuid:task_id>/cancel/", views.cancel, name="cancel_task"),
    path("data/tasks/<uuid:task_id>/<str:action>/", views.act, name="act_on_task"),
]

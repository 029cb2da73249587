from __future__ import annotations

from django.urls import path

from importer import notify_views, schedule_views, task_views, views

urlpatterns = [
    path("", views.data, name="home"),
    path("data/", views.data, name="data"),
    path("data/live/", views.live, name="live"),
    path("data/estimate/", views.estimate, name="estimate"),
    path("data/import/", views.start, {"kind": "import"}, name="start_import"),
    path("data/update/", views.start, {"kind": "update"}, name="start_update"),
    path("data/notifications/", notify_views.notifications, name="notifications"),
    path("data/notifications/test/", notify_views.test, name="test_notification"),
    path("data/schedules/", schedule_views.all_schedules, name="schedules"),
    path("data/schedules/live/", schedule_views.live, name="schedules_live"),
    path("data/schedules/daily/", schedule_views.daily, name="daily_update"),
    path("data/schedules/<int:schedule_id>/", schedule_views.change, name="schedule"),
    path("data/schedules/<int:schedule_id>/delete/", schedule_views.delete, name="delete_schedule"),
    path("data/schedules/<int:schedule_id>/<str:action>/", schedule_views.act, name="act_on_schedule"),
    path("data/tasks/", task_views.tasks, name="tasks"),
    path("data/tasks.csv", task_views.tasks_csv, name="tasks_csv"),
    path("data/tasks/live/", task_views.tasks_live, name="tasks_live"),
    path("data/tasks/<uuid:task_id>/", task_views.task, name="task"),
    path("data/tasks/<uuid:task_id>/live/", task_views.task_live, name="task_live"),
    path("data/tasks/<uuid:task_id>/cancel/", task_views.cancel, name="cancel_task"),
    path("data/tasks/<uuid:task_id>/<str:action>/", task_views.act, name="act_on_task"),
]

"""The admin's view of what is stored. Bars are shown as a read-only list: their key is composite."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from marketdata.models import AbsentDay, Bar, CorporateAction, IndexDay, Stock, TradingDay
from marketdata.readonly_admin import ReadOnlyAdmin
from marketdata.symbols import Board

BARS_PER_PAGE = 200


class BoardFilter(admin.SimpleListFilter):
    """The boards by their names; the table keeps short ones."""

    title = gettext_lazy("board")
    parameter_name = "board"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(board.value, str(board.label)) for board in Board]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Stock]) -> QuerySet[Stock]:
        return queryset.filter(board=self.value()) if self.value() else queryset


def board_label(board: str) -> str:
    """Return a board's name; a value that is none stays as it is."""
    return str(Board(board).label) if board in Board.values else board


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = (
        "symbol",
        "name",
        "exchange",
        "on_board",
        "listed_on",
        "delisted_on",
        "first_bar",
        "last_bar",
        "bars",
    )
    list_filter = ("exchange", BoardFilter)
    search_fields = ("symbol", "name", "former_symbol")
    ordering = ("symbol",)
    fields = (
        "symbol", "former_symbol", "name", "exchange", "on_board", "listed_on", "delisted_on", "bars", "first_bar",
        "last_bar", "covered_from", "covered_until",
    )  # fmt: skip
    show_full_result_count = False

    @admin.display(description=gettext_lazy("board"), ordering="board")
    def on_board(self, stock: Stock) -> str:
        return board_label(stock.board)

    @admin.display(description=gettext_lazy("bars"), ordering="bar_count")
    def bars(self, stock: Stock) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:marketdata_stock_bars", args=[stock.pk]), f"{stock.bar_count:,}")  # fmt: skip  # noqa: E501

    def get_urls(self) -> list[URLPattern]:
        bars = path("<int:stock_id>/bars/", self.admin_site.admin_view(self.bars_view), name="marketdata_stock_bars")
        return [bars, *super().get_urls()]

    def bars_view(self, request: HttpRequest, stock_id: int) -> HttpResponse:
        """Show a stock's bars, the newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        stock = Stock.objects.filter(pk=stock_id).first()
        if stock is None:
            raise Http404
        page = Paginator(Bar.objects.filter(stock=stock).order_by("-date"), BARS_PER_PAGE).get_page(
            request.GET.get("page")
        )
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Bars of %(stock)s") % {"stock": stock},
            "opts": self.opts,
            "stock": stock,
            "page": page,
        }
        return TemplateResponse(request, "admin/marketdata/bars.html", context)


@admin.register(AbsentDay)
class AbsentDayAdmin(ReadOnlyAdmin):
    list_display = ("stock", "date", "source", "confirmed_at")
    list_filter = ("source",)
    list_select_related = ("stock",)
    search_fields = ("stock__symbol", "stock__name")
    date_hierarchy = "date"
    show_full_result_count = False


@admin.register(IndexDay)
class IndexDayAdmin(ReadOnlyAdmin):
    list_display = ("index", "date", "close", "amount", "source")
    list_filter = ("index", "source")
    date_hierarchy = "date"
    show_full_result_count = False


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnlyAdmin):
    list_display = ("stock", "ex_date", "cash_per_share", "new_shares_per_share", "rights_per_share", "rights_price")
    list_select_related = ("stock",)
    search_fields = ("stock__symbol", "stock__name")
    date_hierarchy = "ex_date"
    show_full_result_count = False


@admin.register(TradingDay)
class TradingDayAdmin(ReadOnlyAdmin):
    list_display = ("date",)

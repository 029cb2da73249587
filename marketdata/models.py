"""What is stored: stocks with an exact summary, raw daily bars, corporate actions, trading days."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from marketdata.coverage import Interval


class Exchange(models.TextChoices):
    SHANGHAI = "SH", _("Shanghai")
    SHENZHEN = "SZ", _("Shenzhen")
    BEIJING = "BJ", _("Beijing")


class Stock(models.Model):
    """An A-share, and the summary that ``store.py`` keeps exact in the same transaction as its bars."""

    symbol = models.CharField(_("symbol"), max_length=9, unique=True)
    code = models.CharField(_("code"), max_length=6)
    # Beijing gave its stocks other codes in 2025; empty for all others.
    former_symbol = models.CharField(_("former symbol"), max_length=9, blank=True, default="")
    exchange = models.CharField(_("exchange"), max_length=2, choices=Exchange)
    name = models.CharField(_("name"), max_length=40, blank=True)
    board = models.CharField(_("board"), max_length=20, blank=True)
    listed_on = models.DateField(_("listed on"), null=True, blank=True)
    delisted_on = models.DateField(_("delisted on"), null=True, blank=True)
    first_bar = models.DateField(_("first bar"), null=True, editable=False)
    last_bar = models.DateField(_("last bar"), null=True, editable=False)
    bar_count = models.PositiveIntegerField(_("bars"), default=0, editable=False)
    # The range for which a source was asked and answered: days without a bar in it are known to have none.
    covered_from = models.DateField(_("covered from"), null=True, editable=False)
    covered_until = models.DateField(_("covered until"), null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["symbol"]
        verbose_name = _("stock")
        verbose_name_plural = _("stocks")
        indexes: ClassVar = [
            models.Index(fields=["code"], name="stock_code"),
            models.Index(fields=["former_symbol"], name="stock_former_symbol"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.name}".strip()

    @property
    def covered(self) -> Interval | None:
        if self.covered_from is None or self.covered_until is None:
            return None
        return self.covered_from, self.covered_until


class Bar(models.Model):
    """One stock's trading day, as traded: raw prices in yuan, volume in shares, amount in yuan.

    No index on ``date`` alone (it costs ten times the write speed), and no foreign key in the database
    (``store.py`` is the only writer).
    """

    pk = models.CompositePrimaryKey("stock_id", "date")
    stock = models.ForeignKey(Stock, on_delete=models.CASCADE, related_name="bars", db_index=False, db_constraint=False)
    date = models.DateField(_("date"))
    open = models.FloatField(_("open"))
    high = models.FloatField(_("high"))
    low = models.FloatField(_("low"))
    close = models.FloatField(_("close"))
    volume = models.BigIntegerField(_("volume (shares)"))
    amount = models.FloatField(_("amount (yuan)"))
    source = models.CharField(_("source"), max_length=12)

    class Meta:
        verbose_name = _("bar")
        verbose_name_plural = _("bars")

    def __str__(self) -> str:
        return f"{self.stock_id} {self.date}"


class AbsentDay(models.Model):
    """A trading day on which a stock has no bar: ``source`` was asked for it, knew the stock, and had none.

    Suspended as a rule. A repair does not ask for it again.
    """

    stock = models.ForeignKey(Stock, on_delete=models.CASCADE, related_name="absent_days")
    date = models.DateField(_("date"))
    source = models.CharField(_("source"), max_length=12)
    confirmed_at = models.DateTimeField(_("confirmed at"), auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["stock", "date"]
        verbose_name = _("day without a bar")
        verbose_name_plural = _("days without a bar")
        constraints: ClassVar = [models.UniqueConstraint(fields=["stock", "date"], name="one_absence_per_day")]

    def __str__(self) -> str:
        return f"{self.stock_id} {self.date}"


class IndexDay(models.Model):
    """A day of an exchange's composite index: ``close`` in points, ``amount`` (turnover) in yuan.

    Kept only while the database holds the whole of that exchange, so that the two can be compared.
    """

    index = models.CharField(_("index"), max_length=9)
    date = models.DateField(_("date"))
    close = models.FloatField(_("close (points)"))
    amount = models.FloatField(_("amount (yuan)"))
    source = models.CharField(_("source"), max_length=12)

    class Meta:
        ordering: ClassVar = ["index", "date"]
        verbose_name = _("day of an index")
        verbose_name_plural = _("days of indexes")
        constraints: ClassVar = [models.UniqueConstraint(fields=["date", "index"], name="one_day_per_index")]

    def __str__(self) -> str:
        return f"{self.index} {self.date}"


class CorporateAction(models.Model):
    """What happens to a holder of one share on the ex-date: cash in yuan before tax, new shares, rights."""

    stock = models.ForeignKey(Stock, on_delete=models.CASCADE, related_name="corporate_actions")
    ex_date = models.DateField(_("ex-date"))
    cash_per_share = models.FloatField(_("cash per share (yuan)"), default=0.0)
    new_shares_per_share = models.FloatField(_("bonus and transferred shares per share"), default=0.0)
    rights_per_share = models.FloatField(_("rights per share"), default=0.0)
    rights_price = models.FloatField(_("rights price (yuan)"), default=0.0)
    # Where it is known, it proves or overrules the facts; with no facts at all it says that the price went ex.
    previous_close = models.FloatField(_("exchange's previous close (yuan)"), null=True, blank=True)
    source = models.CharField(_("source"), max_length=12, blank=True)

    class Meta:
        ordering: ClassVar = ["stock", "ex_date"]
        verbose_name = _("corporate action")
        verbose_name_plural = _("corporate actions")
        constraints: ClassVar = [models.UniqueConstraint(fields=["stock", "ex_date"], name="one_action_per_ex_date")]

    def __str__(self) -> str:
        return f"{self.stock_id} {self.ex_date}"


class TradingDay(models.Model):
    """A day on which the exchange is open, published after the calendar that is installed was made."""

    date = models.DateField(_("date"), primary_key=True)

    class Meta:
        ordering: ClassVar = ["date"]
        verbose_name = _("trading day")
        verbose_name_plural = _("trading days")

    def __str__(self) -> str:
        return str(self.date)


class Origin(models.Model):
    """The one row that says whether this database holds the real market or a simulated one."""

    REAL = "real"
    SIMULATED = "simulated"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    kind = models.CharField(max_length=10, choices=[(REAL, _("real")), (SIMULATED, _("simulated"))])

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_origin")]

    def __str__(self) -> str:
        return self.kind

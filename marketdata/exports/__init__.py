"""The formats that bars are exported to: one module each, and one line in ``FORMATS``."""

from __future__ import annotations

from marketdata.exports.base import Export
from marketdata.exports.csv_files import CsvExport
from marketdata.exports.parquet_file import ParquetExport
from marketdata.exports.qlib_folder import QlibExport

FORMATS: dict[str, type[Export]] = {"csv": CsvExport, "parquet": ParquetExport, "qlib": QlibExport}

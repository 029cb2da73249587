"""``python -m benchmarks [--only NAME ...] [--quick] [--list]``: measure, print each figure, judge.

Exit status 1 when a bar is missed or a benchmark fails, 2 when NAME is unknown. With ``--quick`` (small data, one
round) the figures only show that everything runs: they are not judged.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import benchmarks
from benchmarks.figures import Benchmark, CannotMeasure, Figure, Run, registered
from tests.environment import isolate

FRAME = {"__main__", "figures"}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this benchmark; may be given several times")
    parser.add_argument("--quick", action="store_true", help="small data, one round, nothing is judged")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    options = parser.parse_args(arguments)

    set_up_django()
    import_benchmarks()
    chosen = registered()
    if options.list:
        for each in chosen:
            print(f"{each.name:12} {each.subject}")
        return 0
    if options.only:
        unknown = set(options.only) - {each.name for each in chosen}
        if unknown:
            names = ", ".join(each.name for each in chosen) or "none"
            print(f"There is no benchmark {', '.join(sorted(unknown))}. There are: {names}.", file=sys.stderr)
            return 2
        chosen = [each for each in chosen if each.name in options.only]
    return run_all(chosen, rounds=1 if options.quick else 5, quick=options.quick)


def set_up_django() -> None:
    """Load Django on an empty, migrated SQLite database of this run's own."""
    isolate(prefix="barvault-bench-")
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ.setdefault("BARVAULT_LOG_LEVEL", "WARNING")
    from config.translations import compile_stale_catalogues

    compile_stale_catalogues()
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def import_benchmarks() -> None:
    """Import every module of this package: a benchmark registers itself."""
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.name not in FRAME:
            importlib.import_module(f"benchmarks.{module.name}")


def run_all(chosen: Sequence[Benchmark], *, rounds: int, quick: bool) -> int:
    """Run the benchmarks one after the other, print their figures and return the exit status."""
    missed, unmeasured, broken = 0, 0, 0
    for each in chosen:
        print(f"{each.name}: {each.subject}", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"barvault-bench-{each.name}-") as folder:
            try:
                figures = each.figures(Run(folder=Path(folder), rounds=rounds, quick=quick))
            except CannotMeasure as reason:
                unmeasured += 1
                print(f"  not measured: {reason}", flush=True)
                continue
            except Exception:  # noqa: BLE001 - one that breaks must not hide what the others measure
                broken += 1
                traceback.print_exc()
                continue
        for figure in figures:
            missed += not figure.met
            print(f"  {line(figure, judged=not quick)}", flush=True)
    print(summary(missed=0 if quick else missed, unmeasured=unmeasured, broken=broken, quick=quick))
    return 1 if broken or (missed and not quick) else 0


def line(figure: Figure, *, judged: bool) -> str:
    """Return the figure as one line: verdict, value, bar, detail."""
    verdict = "      " if not judged else "ok    " if figure.met else "MISSED"
    sign = "≥" if figure.comparison == ">=" else "≤"
    text = f"{verdict} {figure.name:48} {figure.value:8.2f} {figure.unit:6} (bar: {sign} {figure.bar:g})"
    return f"{text}  {figure.detail}".rstrip()


def summary(*, missed: int, unmeasured: int, broken: int, quick: bool) -> str:
    """Return the closing sentence."""
    parts = [
        "a quick run, not judged" if quick else f"{missed} missed" if missed else "every bar that was measured is met"
    ]
    if unmeasured:
        parts.append(f"{unmeasured} not measured")
    if broken:
        parts.append(f"{broken} failed")
    return f"benchmarks: {', '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

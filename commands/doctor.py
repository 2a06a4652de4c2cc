"""`doctor`: whether this installation and this machine can do the work; one line a check, and what to do about it."""

import dataclasses
import json
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from commands.checks import Check, Status, first_line, installation, machine
from commands.failing import with_errors
from commands.streams import as_typed, show
from interp.errors import GramscopeError, WeightsError

# In the order of causes: a problem often explains those below it.
CHECKS = (
    installation.check_python,
    installation.check_packages,
    installation.check_torch,
    installation.check_opencv,
    installation.check_weights,
    installation.check_samples,
    machine.check_processor,
    machine.check_devices,
    machine.check_memory,
    machine.check_output,
    machine.check_modules,
    machine.check_self_test,
)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a check that fails to run.")] = False,
) -> None:
    """Check the installation and the machine: packages, weights, devices, memory, and a small restyling.

    Example: python cli.py doctor
    """

    def examine() -> None:
        checks = []
        for check in CHECKS:
            checks.append(run(check, debug))
            if not as_json:
                show(line(checks[-1]))
        if as_json:
            rows = [dataclasses.asdict(check) for check in checks]
            show(json.dumps({"command": "doctor", "ok": exit_code(checks) == 0, "checks": rows}))
        if exit_code(checks):
            raise typer.Exit(exit_code(checks))

    with_errors(examine, debug)


def run(check: Callable[[], Check], debug: bool = False) -> Check:
    """Run a check; one that raises is a problem too."""
    try:
        return check()
    except Exception as error:
        if debug:
            traceback.print_exc()
        finding = f"{type(error).__name__}: {first_line(error)}"
        name = check.__name__.removeprefix("check_").replace("_", "-")
        advice = "Mend what is listed above first; if nothing is, run again with --debug and report the traceback."
        return Check(name, Status.PROBLEM, finding, advice)


def line(check: Check) -> str:
    """A check for the terminal."""
    text = f"{check.status:7}  {check.name:9}  {check.finding}" + (f"  -> {check.advice}" if check.advice else "")
    return as_typed(text)


def exit_code(checks: list[Check]) -> int:
    """The first problem's: later ones often follow from it."""
    problems = [check.name for check in checks if check.status is Status.PROBLEM]
    if not problems:
        return 0
    return WeightsError.exit_code if problems[0] == "weights" else GramscopeError.exit_code

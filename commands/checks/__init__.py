"""Checks of the `doctor` command: what was found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended: only a problem stops commands from working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: Of the check.
        status: How it ended.
        finding: What was found, in a few words.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    status: Status
    finding: str
    advice: str = ""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; torch's go on with hints for its developers."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]

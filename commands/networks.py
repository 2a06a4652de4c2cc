"""Networks that stay loaded while a process works on one picture after another."""

from collections.abc import Callable, Hashable
from typing import Any


class Networks:
    """What was loaded, by what asked for it."""

    def __init__(self) -> None:
        self._loaded: dict[Hashable, Any] = {}

    def get(self, asked: Hashable, load: Callable[[], Any]) -> Any:
        """A network as asked for; loaded the first time."""
        if asked not in self._loaded:
            self._loaded[asked] = load()
        return self._loaded[asked]

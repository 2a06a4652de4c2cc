"""The prompts: one class a file, named after it; see `segment.prompt`."""

import pkgutil


def prompt_names() -> tuple[str, ...]:
    """Names of all prompts, `auto` first; none is imported."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(names, key=lambda name: (name != "auto", name)))

"""What the packages promise: every exported name resolves, is documented, and importing a package loads no torch."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = ("interp", "segment", "stylize", "reports")
MODULES = (*PACKAGES, "gramscope")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_resolves_and_is_documented(package: str) -> None:
    module = import_module(package)
    assert module.__all__ and sorted(module.__all__) == list(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_every_function_of_the_python_face_has_an_example() -> None:
    """Run by --doctest-modules."""
    for package in ("interp", "segment", "stylize"):
        module = import_module(package)
        functions = [entry for entry in map(module.__getattr__, module.__all__) if inspect.isfunction(entry)]
        assert [entry.__name__ for entry in functions if ">>>" not in (entry.__doc__ or "")] == []


def test_importing_the_packages_loads_no_torch() -> None:
    code = f"import sys, {', '.join(MODULES)}; print('torch' in sys.modules)"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

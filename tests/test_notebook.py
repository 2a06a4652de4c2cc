"""The teachers' notebook: its code runs, and what it carries is small and says nothing of the machine that ran it."""

import ast
import json
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "what-vgg19-sees.ipynb"
MAX_BYTES = 1_500_000


def code_cells() -> list[dict]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def run(source: str, namespace: dict) -> object:
    """Execute a cell as a notebook does; the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None  # pyright: ignore
    exec(compile(tree, str(NOTEBOOK), "exec"), namespace)
    return eval(compile(last, str(NOTEBOOK), "eval"), namespace) if last else None


def test_every_cell_runs_and_shows_something(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict = {"__name__": "__main__"}
    for cell in code_cells():
        shown = run("".join(cell["source"]), namespace)
        kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
        for kind in kinds - {"text/plain"}:
            assert getattr(shown, f"_repr_{kind.split('/')[1]}_")()
        assert bool(capsys.readouterr().out) == any(output["output_type"] == "stream" for output in cell["outputs"])
    assert namespace["done"].changed_outside == 0


def test_what_it_carries() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) <= MAX_BYTES
    assert all(cell["outputs"] and cell["execution_count"] == number for number, cell in enumerate(code_cells(), 1))
    assert not [
        word for word in ("site-packages", sys.prefix, "Traceback", "Warning", "/home/", "/root/") if word in text
    ]

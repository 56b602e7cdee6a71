"""docs/errors.md tells of every error, as the code has it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gristmill
from gristmill.cli.main import COMMANDS
from gristmill.errors import GristmillError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "errors.md"


def kinds() -> list[type[GristmillError]]:
    """The whole tree, also where other modules add to it."""
    for module in pkgutil.walk_packages(gristmill.__path__, "gristmill."):
        if not re.search(r"\.(proto|_native|__main__|migrations)\b", module.name):
            importlib.import_module(module.name)
    return [GristmillError, *below(GristmillError)]


def below(kind: type[GristmillError]) -> Iterator[type[GristmillError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("gristmill."):
            yield each
            yield from below(each)


def test_the_page_is_made_from_the_code_as_it_is() -> None:
    checked = subprocess.run([sys.executable, "tools/errors.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_every_code_is_on_the_page_and_no_other() -> None:
    assert set(re.findall(r"^### (GM-\d{4})", PAGE.read_text(), re.M)) == {kind.code for kind in kinds()}


def test_no_code_has_two_meanings() -> None:
    codes = Counter(kind.code for kind in kinds() if "code" in vars(kind))
    assert [code for code, count in codes.items() if count > 1] == []


def test_the_commands_that_cures_name_exist() -> None:
    named = set(re.findall(r"`gristmill ([a-z-]+)", PAGE.read_text()))
    assert named
    assert named <= set(COMMANDS)

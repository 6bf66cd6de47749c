"""Every page of the documentation is run as a reader would: its Python in one session, its commands in between."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parent.parent
PAGES = {str(path.relative_to(ROOT / "docs")): path for path in sorted((ROOT / "docs").rglob("*.md"))}
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", flags=re.S | re.M)
TOOL = Path(sys.executable).with_name("dagir-convert")
sys.path.insert(0, str(ROOT / "tools"))


def with_blocks():
    return [
        name for name, path in PAGES.items() if BLOCK.search(path.read_text(encoding="utf-8")) and name != "index.md"
    ]


@pytest.mark.parametrize("name", with_blocks())
def test_a_page_can_be_pasted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space, pasted = {"__name__": "__main__"}, tmp_path / "pasted.py"
    said = ""
    for language, block in BLOCK.findall(PAGES[name].read_text(encoding="utf-8")):
        if language == "python":
            before, said = said.count("\n"), said + block
            pasted.write_text(said, encoding="utf-8")  # autograph reads the source of functions
            exec(compile("\n" * before + block, str(pasted), "exec"), space)
            continue
        for line in block.strip().splitlines():
            run(line)


def run(line):
    """A command of a page, which may say its exit code."""
    command = shlex.split(line, comments=True)
    code = int(line.partition("# exit code ")[2] or 0)
    assert command[0] == "dagir-convert", line
    done = subprocess.run([str(TOOL), *command[1:]], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr


def test_the_generated_pages_are_up_to_date():
    import op_table
    import tool_page

    assert op_table.PAGE.read_text(encoding="utf-8") == op_table.page(), "run: python tools/op_table.py --write"
    assert tool_page.PAGE.read_text(encoding="utf-8") == tool_page.page(), "run: python tools/tool_page.py --write"


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name, path in PAGES.items():
        assert f": {name}" in navigation, name
        for target in re.findall(r"\]\(([^)#:]+\.(?:md|svg))[^)]*\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{name} links to {target}"

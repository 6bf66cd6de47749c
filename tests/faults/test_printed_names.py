"""Names in files command no terminal: errors, tables and summaries show them as they are."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from rich.console import Console

import dagir
from dagir import layers
from dagir.equivalence.report import Case, Report, Row
from dagir.errors import FileError
from dagir.support.printable import printable, printable_lines
from dagir_convert.console import Output, counts_table, entries_table

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold]x[/y]\u202e\ud800\r\nerror: all is well"
SHOWN = "\\x1b[2J\\x1b]0;title\\x07[bold]x[/y]\\u202e\\ud800\\r\\nerror: all is well"


@given(st.text(st.characters()))
def test_what_is_printable_is_seen_and_obeyed_by_nothing(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert all(char.isprintable() or char in "\u200c\u200d" for char in shown)
    assert not text.isprintable() or shown == text
    assert printable(shown) == shown
    assert printable_lines(f"a\n{text}").startswith("a\n")


def test_errors():
    error = FileError(HOSTILE, facts=[(HOSTILE, f"two\nlines of {HOSTILE[:4]}")], remedy=HOSTILE)
    summary, *facts, remedy = str(error).split("\n")
    assert summary == SHOWN
    assert facts == [f"  {SHOWN}  two", f"  {' ' * len(SHOWN)}  lines of \\x1b[2J"]
    assert remedy == f"  remedy: {SHOWN}"


def printed(table):
    console = Console(file=io.StringIO(), width=400, force_terminal=False)
    console.print(table)
    return console.file.getvalue()


def test_tables():
    row = Row(HOSTILE, HOSTILE, "[2]", "float32", 0.0, 0.0)
    report = Report((row,), (Case(((2,),)),), 0, 1, 0.0, rows_read={HOSTILE: (1, 2)})
    for text in (
        printed(counts_table("op", {HOSTILE: 1})),
        printed(entries_table([(HOSTILE, "float32[2]")], [("y", "[/x]")])),
        printed(report.table()),
    ):
        assert SHOWN in text
    assert "\x1b" not in str(report)
    str(report).encode()


def test_remarks(capsys):
    output = Output(plain=True)
    output.note(HOSTILE)
    output.say(HOSTILE)
    with output.step(HOSTILE), output.bar(HOSTILE):
        pass
    said, noted = capsys.readouterr()
    assert "\\x1b[2J" in said
    assert "\x1b" not in said + noted
    assert "\\ud800" in said


def test_summaries_and_graphs(capsys):
    x = dagir.Input((2,), name="x")
    model = dagir.Model(x, layers.Dense(1, name="a\x1b[2J\u202e")(x), name="\x07")
    model.summary()
    lines = []
    model.summary(print_fn=lines.append)
    text = capsys.readouterr().out + "\n".join(lines) + str(model.graph)
    assert "a\\x1b[2J\\u202e" in text
    assert not {"\x1b", "\u202e", "\x07"} & set(text)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_tool_prints_any_file(tmp_path, encoding):
    names = [HOSTILE.replace("\ud800", "é"), "[/x]"]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["[bold]", 3]) for name in names]
    node = helper.make_node("\x1b[2J", names[:1], names[1:])
    proto = helper.make_model(helper.make_graph([node], "g", infos[:1], infos[1:]), producer_name="\x1b[31m")
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    command = [sys.executable, "-m", "dagir_convert.command_line", "inspect", str(path)]
    environment = {"PYTHONIOENCODING": encoding, "PATH": "", "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"[/x]" in done.stdout
    assert b"\\x1b[31m" in done.stdout

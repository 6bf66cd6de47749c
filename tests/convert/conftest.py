"""The tool, called in this process."""

from __future__ import annotations

import sys

import pytest

from dagir_convert.command_line import main


@pytest.fixture
def called(monkeypatch, capsys):
    """Call the tool with arguments; the answer is (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dagir-convert", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call

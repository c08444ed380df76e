"""The command line: finds the command, and turns errors into one to three lines and an exit status."""

import io
import os
import sys
from importlib import import_module
from pkgutil import iter_modules

from videxp import __version__
from videxp.cli import commands
from videxp.core.deferred import defer_torchmetrics
from videxp.core.errors import BadRequest, VidexpError, system_words
from videxp.core.files import expand_home
from videxp.core.own_packages import find_own_packages
from videxp.core.printable import clean_streams


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 failed while running, 2 bad request, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that is not UTF-8, a terminal that is not either
    defer_torchmetrics()
    with clean_streams(), find_own_packages():
        return _answer(sys.argv[1:] if argv is None else argv)


def _answer(arguments: list[str]) -> int:
    """Run one command and say its errors."""
    try:
        return _dispatch(arguments)
    except VidexpError as error:
        if os.environ.get("VIDEXP_TRACEBACK") == "1":
            raise
        print(f"videxp: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("videxp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `videxp list | head`
        sys.stderr.close()
        return 0
    except Exception as error:
        if os.environ.get("VIDEXP_TRACEBACK") == "1":
            raise
        if (words := system_words(error)) is not None:  # a full disk, no right to a file
            print(f"videxp: {words}", file=sys.stderr)
            return 1
        text = " ".join(str(error).split())
        print(f"videxp: {type(error).__name__}: {text[:500]}", file=sys.stderr)
        print("videxp: VIDEXP_TRACEBACK=1 shows where", file=sys.stderr)
        return 1


def _dispatch(arguments: list[str]) -> int:
    names = command_names()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text(names))
        return 0 if arguments else 2
    name, *rest = arguments
    if name in ("-V", "--version"):
        print(f"videxp {__version__}")
        return 0
    if name in ("-sc", "--shell-completion"):
        return import_module("videxp.cli.commands.completion").main(rest)
    if name not in names:
        from difflib import get_close_matches

        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"commands: {', '.join(names)}"
        raise BadRequest(f"unknown command {name!r}: {hint}")
    return import_module(f"videxp.cli.commands.{name}").main([_expand_home(word) for word in rest])


def _expand_home(word: str) -> str:
    """`dataset.root=~/clips` and `--output=~/x`: a shell expands ~ only where a word begins with it."""
    before, equals, path = word.rpartition("=")
    return before + equals + str(expand_home(path)) if path == "~" or path.startswith("~/") else word


def command_names() -> list[str]:
    """One module under videxp/commands, one command."""
    found = {module.name for module in iter_modules(commands.__path__)}
    return [name for name in commands.ORDER if name in found] + sorted(found - set(commands.ORDER))


def help_text(names: list[str]) -> str:
    lines = [f"videxp {__version__}: reproducible experiments for video deep learning", ""]
    for name in names:
        module = import_module(f"videxp.cli.commands.{name}")
        lines.append(f"  videxp {name:<11}{module.SUMMARY}")
    lines += [
        "",
        "RECIPE is a name from `videxp list recipes` or a YAML file; RUN is a run folder.",
        "videxp COMMAND --help",
    ]
    return "\n".join(lines)

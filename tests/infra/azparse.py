"""Has the real Azure CLI parse command lines, and stops it before it runs them.

Reads from standard input a JSON list of command lines, each a list of arguments without
`az`, and prints a JSON list with one entry for each: "" if its groups, command,
options and their fixed values exist and no required one is missing, else what az says.
A line that ends with `--help` only asks whether there is such a command. It runs in
the Python that has azure-cli. No connection is made, nobody is signed in.
"""

import contextlib
import io
import json
import sys

from azure.cli.core import get_default_cli
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS


class Parsed(Exception):
    """az has understood the command line."""


def stop(*_, **__):
    raise Parsed


def parse(arguments):
    cli = get_default_cli()
    cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, stop)
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli,
        parser_cls=cli.parser_cls,
        commands_loader_cls=cli.commands_loader_cls,
        help_cls=cli.help_cls,
    )
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            cli.invocation.execute(list(arguments))
    except Parsed:
        return ""
    except SystemExit as end:
        if end.code in (0, None) and arguments[-1] == "--help":
            return ""
        return said.getvalue().strip().split("\n")[0] or "it cannot be parsed"
    except Exception as error:  # az has many, and each is a refusal
        return str(error) or type(error).__name__
    return "it was not parsed to its end"


print(json.dumps([parse(line) for line in json.load(sys.stdin)]))

"""The command line: groups, options and exit codes. What a command does is imported when it runs."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from console import __version__
from console.cli import complete, complete_recorded
from console.cli.complete_arguments import arguments as arguments_of
from console.errors import DbdeckError, Exit, UsageError

if TYPE_CHECKING:
    from console.cli.context import Services


class Duration(click.ParamType[float]):
    """Seconds, or a number with its unit: 500ms, 30s, 5m, 1h."""

    name = "duration"
    _UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}

    def __init__(self, least: float) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|)", str(value))
        seconds = float(found[1]) * self._UNITS[found[2]] if found else 0.0
        if seconds < self._least:
            self.fail(
                f"{value!r} is no duration of at least {self._least:g} s, like 30, 30s or 5m", param, ctx
            )
        return seconds


F = TypeVar("F", bound=Callable[..., Any])
SUBJECTS = ("locks", "sessions", "deadlocks", "transactions", "horizon", "tables", "indexes", "progress",
            "accounts", "drain", "backups", "drills", "overview")  # fmt: skip
MOST_ROWS = 2**63 - 1  # as a ledger can count them
_HELP = {"help_option_names": ["-h", "--help"]}
_NARROW, _WIDE = 50, 100


def main(services: Services, arguments: list[str] | None = None) -> int:
    """The exit code; nothing but exit codes of the contract leaves, and no traceback for bad input."""
    try:
        _refuse_no_text(sys.argv[1:] if arguments is None else arguments)
        result = cli.main(
            args=arguments, prog_name="dbdeck", standalone_mode=False, obj=services, terminal_width=_width()
        )
    except DbdeckError as error:
        return _complain(error)
    except SystemExit:
        return Exit.OK  # click's own answer to a reader of --help that left
    except click.exceptions.Abort:
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001 - the last door: a defect of ours is told in one line
        return _defect(error)
    return result if isinstance(result, int) else Exit.OK


def _width() -> int:
    """Of help, as click works it out, which imports shutil for it and with that three compressors."""
    told = os.environ.get("COLUMNS", "")
    columns = int(told) if told.isdecimal() else 0
    if not columns:
        with contextlib.suppress(OSError):  # no terminal
            columns = os.get_terminal_size().columns
    return max(min(columns or 80, _WIDE) - 2, _NARROW)


def _refuse_no_text(words: list[str]) -> None:
    """Bytes that are no text arrive as lone surrogates, which no server, no ledger and no terminal takes."""
    for number, word in enumerate(words, 1):
        if word.encode("utf-8", "replace").decode() != word:
            raise UsageError(f"argument {number} is not UTF-8; nothing was executed")


def _defect(error: Exception) -> int:
    """A traceback could show values of variables; it is printed only where somebody asks for it."""
    if os.environ.get(complete.VARIABLE):
        return Exit.OK  # it would be printed into the line that somebody types
    if os.environ.get("DBDECK_DEBUG"):
        raise error
    click.echo(f"dbdeck: a defect of dbdeck itself: {type(error).__name__}", err=True)
    click.echo("  hint: run it again with DBDECK_DEBUG=1 and report what is printed", err=True)
    return Exit.FAILED


def _complain(error: DbdeckError) -> int:
    from console.cli.output import complaint

    complaint(error)
    return int(getattr(error, "code", error.exit))


def _run(main: Coroutine[Any, Any, int]) -> int:
    from console.cli.run import run

    return run(main)


def config_option(function: F) -> F:
    """-c and --master-key-fd are understood before and after the command's name."""

    def keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value:
            context.obj.config_path = value

    def keep_fd(context: click.Context, _: click.Parameter, value: int | None) -> None:
        if value is not None:
            context.obj.master_fd = value

    master = click.option(
        "--master-key-fd", type=click.IntRange(min=0), metavar="N", expose_value=False, callback=keep_fd,
        help="read the vault's master from this file descriptor",
    )  # fmt: skip
    return click.option(
        "-c", "--config", metavar="FILE", expose_value=False, callback=keep, help="config file",
        shell_complete=complete.files,
    )(master(function))  # fmt: skip


def target_option(function: F) -> F:
    return click.option(
        "-t", "--target", metavar="NAME", help="a target of the config", shell_complete=complete.targets
    )(function)


# What a write to a full, failing or closed stdout says; every other file of ours tells its own name.
_STDOUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)


class Cli(click.Group):
    """click ends a process whose stdout breaks with exit code 1, which here means a failed action."""

    def invoke(self, ctx: click.Context) -> Any:
        from console.cli.output import lost

        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            lost(error)
            return Exit.OK
        except OSError as error:
            if error.errno not in _STDOUT_ERRORS:
                raise  # something else broke, and is told as what it is
            lost(error)
            return Exit.FAILED
        return code


def _plainly(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        os.environ["DBDECK_ASCII"] = "1"  # console.present.plain


@click.group(cls=Cli, invoke_without_command=True, context_settings=_HELP)
@config_option
@click.option(
    "--ascii", is_flag=True, expose_value=False, callback=_plainly,
    help="draw with ASCII alone, whatever the locale is",
)  # fmt: skip
@click.option(
    "-t", "--target", metavar="NAME", help="the target on which the console opens; default: the first",
    shell_complete=complete.targets,
)  # fmt: skip
@click.version_option(__version__, message="dbdeck %(version)s")
@click.pass_context
def cli(context: click.Context, target: str | None) -> int | None:
    """The operations console for PostgreSQL, MySQL and MariaDB. Without a command it opens the console.

    Every action is written to the audit ledger before it is executed.
    """
    if context.invoked_subcommand is not None:
        if target is not None:
            _misplaced(context.invoked_subcommand, target)
        return None
    from console.cli.console import start

    return start(context.obj, target)


def _misplaced(command: str, target: str) -> NoReturn:
    """Raises UsageError: a command that went on without it might act somewhere else."""
    import shlex

    from console.errors import UsageError

    raise UsageError(
        f"-t {shlex.quote(target)} before a command is for the console alone; nothing was started",
        f"behind the command: `dbdeck {command} … -t {shlex.quote(target)}`",
    )


@cli.command("init")
@config_option
@click.option("--find", is_flag=True, help="only list the servers that were found")
@click.option("--name", default="", metavar="NAME", help="of the target, as -t takes it")
@click.option("--engine", type=click.Choice(("postgres", "mysql")), help="MariaDB is mysql")
@click.option("--host", default="", metavar="HOST", help="name, address, or the folder of a unix socket")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="default: 5432 (postgres), 3306 (mysql)"
)
@click.option("--database", default="", metavar="DB", help="to connect to; default: postgres (mysql: none)")
@click.option("--environment", type=click.Choice(("prod", "staging", "dev", "demo")), help="default: prod")
@click.option(
    "--tls",
    type=click.Choice(("verify-full", "verify-ca", "require", "off")),
    help="default: verify-full; off on this machine",
)
@click.option(
    "--ca", default="", metavar="FILE", help="authorities to trust; default: the system's",
    shell_complete=complete.files,
)  # fmt: skip
@click.option("--create/--no-create", default=None, help="make dbdeck's logins, or use some that are there")
@click.option("--admin", default="", metavar="USER", help="who makes them; default: postgres, root (mysql)")
@click.option(
    "--admin-password", metavar="REF", help="a reference: env:NAME, file:PATH, command:ARGV, keyring:…"
)
@click.option("--admin-host", default="", metavar="HOST", help="another way for that: a socket's folder")
@click.option("--monitor", default="", metavar="USER", help="who looks; default: dbdeck_monitor")
@click.option("--monitor-password", metavar="REF", help="of one that is there; default: none is sent")
@click.option("--operator", default="", metavar="USER", help="who acts; default: dbdeck_operator")
@click.option("--operator-password", metavar="REF", help="of one that is there; default: none is sent")
@click.option("--read-only", is_flag=True, help="without an operator")
@click.option("--from-host", default="", metavar="HOST", help="MySQL: from where they may log in; default: %")
@click.option("--ledger", default="", metavar="URL", help="default: SQLite below ~/.local/state/dbdeck")
@click.option("--ledger-password", metavar="REF", help="of the URL's user")
@click.option("--keyring", default="", metavar="BACKEND", help="default: vault")
@click.option("--reason", default="", help="recorded with the logins that are made")
@click.option("--yes", is_flag=True, help="take the defaults and approve without being asked")
@click.option("--force", is_flag=True, help="write a new config in the place of one that is there")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def init_command(services: Services, /, **options: Any) -> int:
    """Find a server, make its logins with the least rights, the ledger and the config, and check them."""
    from console.cli.init import init
    from console.cli.init_answers import InitOptions

    return _run(init(services, InitOptions(**options)))


@cli.command()
@config_option
@click.option("--select", default="", metavar="K=V,…", help="only some: env=prod,engine=postgres,LABEL=…")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.option("--csv", "as_csv", is_flag=True, help="comma separated")
@click.pass_obj
def targets(services: Services, select: str, as_json: bool, as_csv: bool) -> int:
    """List the configured targets."""
    from console.cli.show import targets as show_targets

    return show_targets(services, select, as_json, as_csv)


@cli.command()
@config_option
@click.option(
    "-t", "--target", "names", multiple=True, metavar="NAME", help="only these targets",
    shell_complete=complete.targets,
)  # fmt: skip
@click.option("--select", default="", metavar="K=V,…", help="only some: env=prod,engine=postgres")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def doctor(services: Services, names: tuple[str, ...], select: str, as_json: bool) -> int:
    """Check targets, privileges (with the missing GRANT), TLS, clocks, our own load, and the ledger."""
    from console.cli.doctor import doctor as check

    return _run(check(services, names, select, as_json))


@cli.command()
@config_option
@click.argument("subject", type=click.Choice(SUBJECTS), metavar="SUBJECT")
@target_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document a reading")
@click.option("--csv", "as_csv", is_flag=True, help="comma separated")
@click.option("--watch", type=Duration(0.2), metavar="D", help="again and again: 2, 500ms, 1m")
@click.option("--select", default="", metavar="K=V,…", help="several targets: env=prod,engine=postgres")
@click.option("--check", is_flag=True, help="accounts: look for weak, default and shared passwords, offline")
@click.option(
    "--budget",
    type=Duration(0.1),
    default="30",
    metavar="D",
    help="how long --check may try guesses: 30s, 5m",
)
@click.pass_obj
def show(services: Services, /, subject: str, **options: Any) -> int:
    """Show what a pane shows: the blocking tree (locks), every session (sessions), all targets (overview).

    SUBJECT is one of locks, sessions, deadlocks, transactions, horizon, tables, indexes, progress, accounts,
    drain, backups, drills and overview.
    """
    from console.cli.show import ShowOptions
    from console.cli.show import show as show_subject

    if subject == "overview":
        from console.cli.overview import show as show_overview

        return _run(show_overview(services, ShowOptions(**options)))
    return _run(show_subject(services, subject, ShowOptions(**options)))


@cli.command()
@config_option
@click.argument("name")
@target_option
@click.option("--yes", is_flag=True, help="measure it; without, only what it would cost is told")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def measure(services: Services, name: str, target: str | None, yes: bool, as_json: bool) -> int:
    """Measure what is wasted in a table or an index by reading it; first tells what that costs."""
    from console.cli.measure import measure as run_measure

    return _run(run_measure(services, name, target, yes=yes, as_json=as_json))


@cli.command()
@config_option
@click.argument("name", required=False, shell_complete=complete.actions)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def actions(services: Services, name: str | None, as_json: bool) -> int:
    """List the actions; with NAME its arguments, locks, privileges and what undoes it."""
    from console.cli.act import catalogue

    return catalogue(services, name, as_json)


@cli.command()
@config_option
@click.argument("action", shell_complete=complete.actions)
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]…", shell_complete=arguments_of)
@target_option
@click.option(
    "--args", "args_from", metavar="-|FILE", help="read the arguments as JSON", shell_complete=complete.files
)
@click.option(
    "-o", "--out", metavar="FILE", help="save the plan, for `apply FILE`; - is stdout",
    shell_complete=complete.files,
)  # fmt: skip
@click.option("--exit-code", is_flag=True, help="exit 10 when there is something to do")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def plan(
    services: Services,
    /,
    action: str,
    arguments: tuple[str, ...],
    **options: Any,
) -> int:
    """Show what an action would do: statements, forecast, warnings. Changes nothing."""
    from console.cli.act import PlanOptions, plan_action

    return _run(plan_action(services, action, arguments, PlanOptions(**options)))


@cli.command()
@config_option
@click.argument(
    "action", metavar="ACTION|PLANFILE", required=False, default="", shell_complete=complete.actions_or_files
)
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]…", shell_complete=arguments_of)
@target_option
@click.option(
    "--args", "args_from", metavar="-|FILE", help="read the arguments as JSON", shell_complete=complete.files
)
@click.option("--reason", default="", help="why; recorded in the ledger (required)")
@click.option("--ticket", default="", help="recorded in the ledger")
@click.option("--yes", is_flag=True, help="approve without being asked")
@click.option("--confirm", default="", metavar="TEXT", help="the target's name, for high risk in prod")
@click.option("--timeout", type=Duration(0.1), metavar="D", help="give up before any effect: 30s, 5m")
@click.option(
    "--watch", type=Duration(0.0), metavar="D", help="follow what comes of it at most so long: 0, 30s"
)
@click.option("--idempotency-key", metavar="K", help="a second run with the same key does nothing")
@click.option("--approve-wait", type=Duration(0.1), metavar="D", help="wait for others to approve: 10m")
@click.option(
    "--resume",
    metavar="ID",
    help="what an earlier action left undone",
    shell_complete=complete_recorded.actions,
)
@click.option(
    "--break-glass", is_flag=True, help="where policy allows it, without the ledger while it is out of reach"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def apply(
    services: Services,
    /,
    action: str,
    arguments: tuple[str, ...],
    **options: Any,
) -> int:
    """Run an action, or a saved plan. It is recorded in the ledger before it is executed."""
    from console.cli.act import ApplyOptions, apply_action

    if bool(action) == bool(options["resume"]):
        raise click.UsageError("give an ACTION or a PLANFILE, or --resume ID")

    return _run(apply_action(services, action, arguments, ApplyOptions(**options)))


@cli.command()
@config_option
@click.argument("plan_hash", metavar="HASH")
@click.option("--reason", default="", help="what you looked at; recorded (required)")
@click.option("--yes", is_flag=True, help="approve without being asked")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def approve(services: Services, plan_hash: str, reason: str, yes: bool, as_json: bool) -> int:
    """Approve a plan that somebody else wants to apply, by its hash."""
    from console.cli.policy import approve as approve_plan

    return _run(approve_plan(services, plan_hash, reason, yes, as_json))


@cli.group()
def policy() -> None:
    """Who may do what, where and when."""


@policy.command("explain")
@config_option
@click.argument("action", shell_complete=complete.actions)
@click.option(
    "-t", "--target", metavar="NAME", help="where; default: the only target there is",
    shell_complete=complete.targets,
)  # fmt: skip
@click.option("--who", metavar="USER", help="an account of this machine; default: yours")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="a group of --who")
@click.option("--risk", type=click.Choice(("low", "medium", "high")), help="default: the action's own")
@click.option("--at", metavar="TIME", help="with a UTC offset; default: now")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def policy_explain(services: Services, /, **options: Any) -> int:
    """Whether somebody may run an action, and which rule decides; exit 4 where not."""
    from console.cli.policy import Question, explain

    return explain(services, Question(**options))


@policy.command("test")
@config_option
@click.pass_obj
def policy_test(services: Services) -> int:
    """Try the tests of the policy; exit 1 where one does not hold."""
    from console.cli.policy import test

    return test(services)


@cli.group()
def audit() -> None:
    """The ledger: every action, written before it was executed."""


@audit.command("init")
@config_option
@click.option("--writer", "writers", multiple=True, metavar="ROLE", help="may append")
@click.option("--auditor", "auditors", multiple=True, metavar="ROLE", help="may read")
@click.option("--redactor", "redactors", multiple=True, metavar="ROLE", help="may take texts of rows away")
@click.pass_obj
def audit_init(
    services: Services, writers: tuple[str, ...], auditors: tuple[str, ...], redactors: tuple[str, ...]
) -> int:
    """Make the ledger's table, with the rights of the configured URL."""
    from console.cli.audit import init

    return _run(init(services, writers, auditors, redactors))


@audit.command("list")
@config_option
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=50, show_default=True)
@click.option(
    "--action",
    "action_id",
    metavar="ID",
    help="only the rows of one action",
    shell_complete=complete_recorded.actions,
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="intent, step, outcome, refused …")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.option("--csv", "as_csv", is_flag=True, help="comma separated")
@click.pass_obj
def audit_list(services: Services, /, **options: Any) -> int:
    """List ledger rows, newest first."""
    from console.cli.audit import ListOptions, list_rows

    return _run(list_rows(services, ListOptions(**options)))


@audit.command("show")
@config_option
@click.argument("action_id", metavar="ID", shell_complete=complete_recorded.actions)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_show(services: Services, action_id: str, as_json: bool) -> int:
    """Show all rows of one action (its id, or the id of one of its rows)."""
    from console.cli.audit import show as show_action

    return _run(show_action(services, action_id, as_json))


@audit.command("verify")
@config_option
@click.option(
    "--file", "paths", multiple=True, metavar="FILE",
    help="verify an export instead, or several that go on from each other; works offline",
    shell_complete=complete.files,
)  # fmt: skip
@click.option(
    "--anchor", "anchors", multiple=True, metavar="FILE", help="checkpoints kept in a file",
    shell_complete=complete.files,
)  # fmt: skip
@click.option(
    "--trust", "trusted", multiple=True, metavar="KEY", help="a public key; else those of the config"
)
@click.option("--incremental", is_flag=True, help="only what came after the newest trusted checkpoint")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_verify(services: Services, /, **options: Any) -> int:
    """Check every hash, chain, checkpoint, anchor, and this machine's journals; exit 11 on a fault."""
    from console.cli.audit import VerifyOptions, verify

    return _run(verify(services, VerifyOptions(**options)))


@audit.command("export")
@config_option
@click.argument("path", metavar="FILE|-", shell_complete=complete.files)
@click.option(
    "--format",
    "form",
    type=click.Choice(("rows", "json", "cef")),
    default="rows",
    show_default=True,
    help="rows: exactly as stored, to be verified; json, cef: for a log collector",
)
@click.option(
    "--above", type=click.IntRange(0, MOST_ROWS), metavar="ID",
    help="only rows after this one; 0 begins a series of exports",
)  # fmt: skip
@click.pass_obj
def audit_export(services: Services, path: str, form: str, above: int | None) -> int:
    """Write the ledger, a row a line."""
    from console.cli.audit import export

    return _run(export(services, path, form, above))


@audit.command("doctor")
@config_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_doctor(services: Services, as_json: bool) -> int:
    """Compare the ledger's definitions, triggers and rights with what dbdeck makes."""
    from console.cli.audit import doctor

    return _run(doctor(services, as_json))


@audit.command("redact")
@config_option
@click.argument("number", metavar="ROW", type=click.IntRange(1, MOST_ROWS))
@click.option("--reason", default="", metavar="TEXT", help="why; recorded with your name")
@click.option("--yes", is_flag=True, help="do it: nothing brings the text back")
@click.pass_obj
def audit_redact(services: Services, number: int, reason: str, yes: bool) -> int:
    """Take the text of a row away. Recorded first; the row and its hash stay, and verify knows."""
    from console.cli.audit import redact

    return _run(redact(services, number, reason, yes))


@audit.command("keygen")
@click.argument("path", metavar="FILE", shell_complete=complete.files)
def audit_keygen(path: str) -> int:
    """Make a key that signs checkpoints. Who acts should not be able to read it."""
    from console.cli.checkpoint import keygen

    return keygen(path)


@audit.command("checkpoint")
@config_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_checkpoint(services: Services, as_json: bool) -> int:
    """Verify what is new, record a signed checkpoint, and keep a copy in every anchor."""
    from console.cli.checkpoint import make

    return _run(make(services, as_json))


@audit.command("prove")
@config_option
@click.argument("action_id", metavar="ID", shell_complete=complete_recorded.actions)
@click.option(
    "-o", "--out", "path", required=True, metavar="FILE.zip", help="a file that is not there yet",
    shell_complete=complete.files,
)  # fmt: skip
@click.pass_obj
def audit_prove(services: Services, action_id: str, path: str) -> int:
    """Prove an action to somebody without the ledger: its rows, a signed checkpoint, and what checks them."""
    from console.cli.checkpoint import prove

    return _run(prove(services, action_id, path))


@audit.command("merge")
@config_option
@click.argument("place", metavar="[FOLDER|FILE]", required=False, shell_complete=complete.files)
@click.option("--died", is_flag=True, help="a journal without its end too: you know that its writer died")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_merge(services: Services, place: str | None, died: bool, as_json: bool) -> int:
    """Bring the journals of break-glass into the ledger; again, and nothing is there twice."""
    from console.cli.glass import merge

    return _run(merge(services, place, died, as_json))


@audit.command("review")
@config_option
@click.argument("which", metavar="WRITER|ID", shell_complete=complete_recorded.actions)
@click.option("--reason", default="", metavar="TEXT", help="what you looked at; recorded (required)")
@click.option("--yes", is_flag=True, help="review without being asked")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_review(services: Services, which: str, reason: str, yes: bool, as_json: bool) -> int:
    """Say that you have looked at what somebody else did by break-glass. Recorded; it runs nothing."""
    from console.cli.glass import review

    return _run(review(services, which, reason, yes, as_json))


@audit.command("open")
@config_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_open(services: Services, as_json: bool) -> int:
    """List intents whose end is not known."""
    from console.cli.audit import open_intents

    return _run(open_intents(services, as_json))


@audit.command("reconcile")
@config_option
@click.option(
    "--action",
    "action_id",
    metavar="ID",
    help="only this one, with --as and --reason",
    shell_complete=complete_recorded.actions,
)
@click.option(
    "--as", "said", type=click.Choice(("applied", "not-applied")), help="what you found out yourself"
)
@click.option("--reason", default="", metavar="TEXT", help="how you know; recorded with your name")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_reconcile(
    services: Services, action_id: str | None, said: str | None, reason: str, as_json: bool
) -> int:
    """Look at the server for each open intent and record what is found. Executes nothing."""
    from console.cli.audit import reconcile

    return _run(reconcile(services, action_id, said, reason, as_json))


@audit.command("compare")
@config_option
@click.option(
    "-t", "--target", metavar="NAME", help="a target of the config; not needed when there is one",
    shell_complete=complete.targets,
)  # fmt: skip
@click.option("--since", metavar="WHEN", help="compare with the last look by then: a time, or 8h, 2d ago")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def audit_compare(services: Services, target: str | None, since: str | None, as_json: bool) -> int:
    """Look at the server and list what changed that no action declared; exit 11 where something did."""
    from console.cli.compare import compare

    return _run(compare(services, target, since, as_json))


@cli.group()
def runbook() -> None:
    """Guided runbooks: typed documents whose every step is recorded, and which another can go on with."""


def run_options(function: F) -> F:
    """What a run may be asked, answered beforehand."""
    options = (
        click.option("--reason", default="", help="why; recorded in the ledger (required to start)"),
        click.option("--ticket", default="", help="recorded in the ledger"),
        click.option("--yes", is_flag=True, help="approve each action's plan without being asked"),
        click.option("--confirm", multiple=True, metavar="STEP=PHRASE", help="what a step wants typed"),
        click.option("--attest", multiple=True, metavar="STEP=TEXT", help="a step by hand is done, and how"),
        click.option("--decide", multiple=True, metavar="STEP=CHOICE", help="what only a person can say"),
        click.option("--json", "as_json", is_flag=True, help="one JSON document an event"),
    )
    for option in reversed(options):
        function = option(function)
    return function


params_option = click.option("-p", "--param", "given", multiple=True, metavar="KEY=VALUE", help="a param")


@runbook.command("list")
@config_option
@click.option("--symptom", default="", metavar="WORDS", help="only those with these words, in any order")
@click.option("--suggest", is_flag=True, help="look at the target, and list what it speaks for, and why")
@target_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_list(services: Services, symptom: str, suggest: bool, target: str | None, as_json: bool) -> int:
    """List the runbooks: those that are shipped, and those of the config's folders."""
    if suggest:
        from console.cli.runbook_find import suggest as suggest_runbooks

        return _run(suggest_runbooks(services, symptom, target, as_json))
    from console.cli.runbook_documents import list_all

    return list_all(services, symptom, as_json)


@runbook.command("show")
@config_option
@click.argument("name", metavar="ID", shell_complete=complete.runbooks)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_show(services: Services, name: str, as_json: bool) -> int:
    """Show a runbook: what it is for, its params and its steps."""
    from console.cli.runbook_documents import show

    return show(services, name, as_json)


@runbook.command("lint")
@config_option
@click.argument("names", nargs=-1, metavar="[ID|FILE]…", shell_complete=complete.runbooks_or_files)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_lint(services: Services, names: tuple[str, ...], as_json: bool) -> int:
    """Check runbooks without a server, and walk their fixtures; exit 2 on an error."""
    from console.cli.runbook_documents import check

    return check(services, names, as_json)


@runbook.command("new")
@config_option
@click.argument("name", metavar="ID")
@click.option(
    "-o", "--out", default="-", metavar="FILE", help="a new file; - is stdout", shell_complete=complete.files
)
@click.pass_obj
def runbook_new(_: Services, name: str, out: str) -> int:
    """Write a commented runbook to begin with; `lint` has nothing against it."""
    from console.cli.runbook_documents import new

    return new(name, out)


@runbook.command("schema")
@config_option
@click.pass_obj
def runbook_schema(services: Services) -> int:
    """Print the JSON schema of runbooks, with the arguments of the actions there are."""
    from console.cli.runbook_documents import print_schema

    return print_schema(services)


@runbook.command("plan")
@config_option
@click.argument("name", metavar="ID", shell_complete=complete.runbooks)
@target_option
@params_option
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_plan(
    services: Services, name: str, target: str | None, given: tuple[str, ...], as_json: bool
) -> int:
    """Show the whole tree: what is known now, what is decided at run time, what takes it back."""
    from console.cli.runbook_documents import plan as plan_runbook

    return _run(plan_runbook(services, name, given, target, as_json))


@runbook.command("run")
@config_option
@click.argument("name", metavar="ID", shell_complete=complete.runbooks)
@target_option
@params_option
@run_options
@click.pass_obj
def runbook_run(
    services: Services, /, name: str, target: str | None, given: tuple[str, ...], **options: Any
) -> int:
    """Run a runbook. What it asks and was not answered here makes it wait, in the ledger."""
    from console.cli.runbook import run as run_runbook
    from console.cli.runbook_answers import RunOptions

    return _run(run_runbook(services, name, given, target, RunOptions(**options)))


@runbook.command("status")
@config_option
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=complete_recorded.runs)
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_status(services: Services, run_id: str | None, as_json: bool) -> int:
    """List the newest runs; with RUN all that happened in it."""
    from console.cli.runbook_status import status

    return _run(status(services, run_id, as_json))


@runbook.command("resume")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@run_options
@click.pass_obj
def runbook_resume(services: Services, /, run_id: str, **options: Any) -> int:
    """Go on with a run by what the ledger says; follow it where somebody else runs it."""
    from console.cli.runbook import resume
    from console.cli.runbook_answers import RunOptions

    return _run(resume(services, run_id, RunOptions(**options)))


@runbook.command("handover")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@click.option("--to", required=True, metavar="NAME", help="who has it from now on")
@click.option("--note", default="", help="what they should know; recorded")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_handover(services: Services, run_id: str, to: str, note: str, as_json: bool) -> int:
    """Hand a run that nobody runs now over to somebody; they go on with `resume`."""
    from console.cli.runbook_others import hand_over

    return _run(hand_over(services, run_id, to, note, as_json))


@runbook.command("approve")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@click.option("--reason", default="", help="what you looked at; recorded (required)")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_obj
def runbook_approve(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    """Approve a run that somebody else started and that waits for it."""
    from console.cli.runbook_others import approve

    return _run(approve(services, run_id, reason, as_json))


@runbook.command("stop")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@click.option("--reason", default="", help="why; recorded (required)")
@click.option("--json", "as_json", is_flag=True, help="one JSON document an event, and one of the end")
@click.pass_obj
def runbook_stop(services: Services, run_id: str, reason: str, as_json: bool) -> int:
    """End a run that nobody runs now. What it changed stands: nothing is taken back."""
    from console.cli.runbook_others import stop

    return _run(stop(services, run_id, reason, as_json))


@runbook.command("export")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@click.option("--format", "form", type=click.Choice(["md", "html", "json"]), default="md", show_default=True)
@click.option(
    "-o", "--out", default="-", metavar="FILE", help="a new file (0600); - is stdout",
    shell_complete=complete.files,
)  # fmt: skip
@click.pass_obj
def runbook_export(services: Services, run_id: str, form: str, out: str) -> int:
    """Export a run as a post-mortem: its timeline, statements, evidence, and what is not known."""
    from console.cli.runbook_export import export

    return _run(export(services, run_id, form, out))


@runbook.command("note")
@config_option
@click.argument("run_id", metavar="RUN", shell_complete=complete_recorded.runs)
@click.argument("text", metavar="TEXT")
@click.pass_obj
def runbook_note(services: Services, run_id: str, text: str) -> int:
    """Write something down beside the steps of a run, also while another runs it, or after its end."""
    from console.cli.runbook_find import note

    return _run(note(services, run_id, text))


def secret_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="one JSON document")(function)


@cli.group()
def secret() -> None:
    """The keyring's secrets: names only are ever shown."""


@secret.command("set")
@config_option
@click.argument("name", metavar="SERVICE/NAME")
@secret_option
@click.pass_obj
def secret_set(services: Services, name: str, as_json: bool) -> int:
    """Store a secret: it is read from stdin, or asked for twice at a terminal."""
    from console.cli.secret import store

    return _run(store(services, name, as_json))


@secret.command("remove")
@config_option
@click.argument("name", metavar="SERVICE/NAME")
@secret_option
@click.pass_obj
def secret_remove(services: Services, name: str, as_json: bool) -> int:
    """Remove a secret."""
    from console.cli.secret import remove

    return _run(remove(services, name, as_json))


@secret.command("list")
@config_option
@secret_option
@click.pass_obj
def secret_list(services: Services, as_json: bool) -> int:
    """List the names in the vault, and the generations that can be put back."""
    from console.cli.secret import list_names

    return _run(list_names(services, as_json))


@secret.command("master")
@config_option
@click.option(
    "--new-master-key-fd", "fd", type=click.IntRange(min=0), metavar="N",
    help="read the new one from this file descriptor",
)  # fmt: skip
@click.option("--forget", is_flag=True, help="remove the generations that the old master opens")
@secret_option
@click.pass_obj
def secret_master(services: Services, fd: int | None, forget: bool, as_json: bool) -> int:
    """Change the vault's master: everything in it is encrypted anew."""
    from console.cli.secret import change_master

    return _run(change_master(services, fd, forget=forget, as_json=as_json))


@secret.command("restore")
@config_option
@click.argument("generation", type=click.IntRange(min=1))
@secret_option
@click.pass_obj
def secret_restore(services: Services, generation: int, as_json: bool) -> int:
    """Put an earlier generation of the vault back; what is there now is kept."""
    from console.cli.secret import restore

    return _run(restore(services, generation, as_json))


@cli.command()
@click.option("--headless", is_flag=True, help="walk the incident and print it, without a terminal")
@click.option("--scenario", default="lock-storm", type=click.Choice(["lock-storm"]), show_default=True)
@click.pass_obj
def demo(services: Services, headless: bool, scenario: str) -> int:
    """A throw-away PostgreSQL with a live lock storm, to look at and to end."""
    from console.cli.demo import demo as run_demo

    return _run(run_demo(services, scenario, headless=headless))


@cli.command()
@click.argument("what", type=click.Choice(["config"]))
def schema(what: str) -> int:
    """Print the JSON schema of the config, for editors."""
    from console.cli.output import document
    from console.config import json_schema

    document({"config": json_schema}[what]())
    return Exit.OK


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell: eval "$(dbdeck completion bash)"."""
    click.echo(complete.script(shell, cli))
    return Exit.OK

"""Messages in the text format of the server log, whatever log_line_prefix makes of its lines. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from console.engine.postgres.server_log import DEADLOCKS, Lines, LogEntry, Matter, moment

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_PARTS = ("DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT")
_FAILURES = ("ERROR", "FATAL", "PANIC")
_KEYWORD = (
    rf"(?P<keyword>DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|{'|'.join((*_FAILURES, *_PARTS))}):  (?P<text>.*)"
)
_ANY_LINE = re.compile(rf"(?P<prefix>.*?)(?<![A-Z]){_KEYWORD}", re.DOTALL)
_CODE = re.compile(
    r"(?=[A-Z]*\d)([0-9A-Z]{5}): "
)  # every SQLSTATE has a digit; `AUDIT: ` of pgaudit has none
_NO_CODE = "00000"  # of messages that tell of no failure
_LONGEST_PREFIX = 1000  # characters in which the keyword has to come

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ESCAPES = {
    "a": r"(?P<application>.{0,64}?)",
    "u": r"(?P<user>.{0,64}?)",
    "d": r"(?P<database>.{0,64}?)",
    "h": r"(?P<client>\S{0,255}?)",
    "r": r"(?P<client>\S{0,255}?)(?:\(\d+\))?",
    "p": r"(?P<pid>\d{1,10})",
    "t": rf"(?P<at>{_TIME} \S+)",
    "m": rf"(?P<at>{_TIME}\.\d+ \S+)",
    "n": r"(?P<epoch>\d{1,10}\.\d{1,6})",
    "e": r"(?P<code>[0-9A-Z]{5})",
    "l": r"\d+",
    "c": r"[0-9a-f]+\.[0-9a-f]+",
    "P": r"\d*",
    "x": r"\d+",
    "Q": r"-?\d+",
    "s": rf"(?:{_TIME} \S+)?",
}
_ESCAPE = re.compile(r"%(?P<width>-?\d*)(?P<what>.)", re.DOTALL)
_FREE = (".{", "(?P<application>", "(?P<user>", "(?P<database>", "(?P<client>")
_ENDS_FREE = re.compile(r"\{0,\d+\}\?\)?(?:\\s\*\?)?$")
_NAMED = re.compile(r"\(\?P<(\w+)>")


def prefix_pattern(prefix: str) -> str:
    """A regular expression for what `log_line_prefix` writes; manual, "log_line_prefix"."""
    made, place, optional = "", 0, False
    for escape in _ESCAPE.finditer(prefix):
        made += re.escape(prefix[place : escape.start()])
        place = escape.end()
        if escape["what"] == "q":  # processes without a session stop here
            made += "" if optional else "(?:"
            optional = True
        else:
            made += _escaped(escape["what"], made, padded=bool(escape["width"]))
    made += re.escape(prefix[place:])
    return f"{made})?" if optional else made


def _escaped(what: str, before: str, *, padded: bool) -> str:
    if what == "%":
        return "%"
    pattern = _ESCAPES.get(what, ".{0,64}?")
    if pattern.startswith(_FREE) and _ENDS_FREE.search(before):
        return ""  # two names without anything between cannot be told apart, and trying takes long
    name = _NAMED.search(pattern)
    if name and f"(?P<{name[1]}>" in before:
        pattern = pattern.replace(f"?P<{name[1]}>", "?:")
    return rf"\s*?{pattern}\s*?" if padded else pattern


class _Line(msgspec.Struct, frozen=True):
    keyword: str
    text: str
    fields: dict[str, str | None]


class TextLog:
    """A message is complete when the next one begins. Only English messages are understood; of others
    a prefix with %e still tells that there was one, and when.
    """

    def __init__(
        self, zone: ZoneInfo | None, offset: int = 0, prefix: str = "", matter: Matter = DEADLOCKS
    ) -> None:
        self._zone = zone
        self._matter = matter
        self._lines = Lines(offset, skip=offset > 0)
        pattern = prefix_pattern(prefix)
        self._exact = re.compile(rf"(?P<prefix>{pattern}){_KEYWORD}", re.DOTALL)
        self._foreign = (
            re.compile(rf"(?P<prefix>{pattern})[^\s:]+:\s+", re.DOTALL) if "%e" in prefix else None
        )
        self._open: _Message | None = None

    def feed(self, data: bytes) -> list[LogEntry]:
        found = []
        for offset, line in self._lines.feed(data):
            done = self._take(offset, line)
            if done is not None:
                found.append(done.entry(self._zone))
        return found

    def rest(self) -> list[LogEntry]:
        return [] if self._open is None else [self._open.entry(self._zone)]

    def _take(self, offset: int, raw: bytes) -> _Message | None:
        """The message that this line shows to be complete."""
        if raw.startswith(b"\t"):
            if self._open is not None:
                self._open.more(raw[1:].decode(errors="replace"))
            return None
        if self._open is None and not self._matter.near.search(raw):
            return None  # nearly every line: a pattern for the prefix is slow where it does not fit
        line = self._read(raw.decode(errors="replace"))
        if line is None:
            return None
        if line.keyword in _PARTS:
            if self._open is not None:
                self._open.part(line)
            return None
        foreign = line.keyword in self._matter.codes
        if foreign and self._open is not None and self._open.goes_on(line):
            return None
        done, self._open = self._open, self._begun(offset, line)
        return done

    def _begun(self, offset: int, line: _Line) -> _Message | None:
        """By SQLSTATE where the prefix or log_error_verbosity = verbose shows it, else by the words."""
        if line.keyword in self._matter.codes:
            return _Message(offset, line, line.keyword, "", foreign=True)
        if line.keyword not in _FAILURES and not (self._matter.logged and line.keyword == "LOG"):
            return None
        verbose = _CODE.match(line.text)
        code = line.fields.get("code") or (verbose[1] if verbose else None)
        text = line.text[verbose.end() :] if verbose else line.text
        words = bool(self._matter.words.match(text)) and code in (None, _NO_CODE)
        if not words and code not in self._matter.codes:
            return None
        return _Message(offset, line, code or "", text)

    def _read(self, line: str) -> _Line | None:
        begin = line[:_LONGEST_PREFIX]
        found = self._exact.match(begin) or _ANY_LINE.match(begin)
        if found is not None:
            return _Line(found["keyword"], line[found.start("text") :], found.groupdict())
        if self._foreign is None or not any(code in begin for code in self._matter.codes):
            return None
        foreign = self._foreign.match(begin)
        if foreign is not None and foreign["code"] in self._matter.codes:
            return _Line(foreign["code"], "", foreign.groupdict())
        return None


class _Message:
    def __init__(self, offset: int, line: _Line, code: str, text: str, *, foreign: bool = False) -> None:
        self._offset = offset
        self._fields = line.fields
        self._code = code
        self._text_lines = [text]
        self._foreign = foreign
        self._parts: dict[str, list[str]] = {}
        self._last = self._text_lines

    def part(self, line: _Line) -> None:
        self._last = self._parts.setdefault(line.keyword, [])
        self._last.append(line.text)

    def more(self, text: str) -> None:
        self._last.append(text)

    def goes_on(self, line: _Line) -> bool:
        """The parts of a message in another language cannot be told from its beginning, but by the pid."""
        return self._foreign and line.fields.get("pid") == self._fields.get("pid")

    def entry(self, zone: ZoneInfo | None) -> LogEntry:
        fields = self._fields
        at, exact = _when(fields, zone)
        pid = fields.get("pid")
        client = fields.get("client")
        return LogEntry(
            offset=self._offset,
            at=at,
            exact=exact,
            pid=int(pid) if pid else None,
            user=_value(fields.get("user")),
            database=_value(fields.get("database")),
            application=_value(fields.get("application")),
            client="local" if client == "[local]" else _value(client),
            code=self._code,
            message="\n".join(self._text_lines),
            detail=self._text("DETAIL"),
            context=self._text("CONTEXT"),
            statement=self._text("STATEMENT"),
        )

    def _text(self, part: str) -> str:
        """With log_error_verbosity = verbose only the first part has the code in front."""
        return "\n".join(self._parts.get(part, ()))


def _when(fields: dict[str, str | None], zone: ZoneInfo | None) -> tuple[datetime | None, bool]:
    epoch = fields.get("epoch")
    if epoch:
        return datetime.fromtimestamp(float(epoch), UTC), True
    return moment(fields.get("at") or fields.get("prefix") or "", zone)


def _value(text: str | None) -> str | None:
    return None if text is None or text.strip() in ("", "[unknown]") else text.strip()

r"""Regular expressions: written for MongoDB's PCRE, run by RE2 in linear time.

Where RE2 reads the same letters otherwise they are translated: `$` before a last newline, `\s` and `\S` about the
vertical tab, `\v`, `\Z`. What it cannot do is refused: look-around, back-references, possessive and atomic groups.

Decided otherwise than mongod, because RE2 cannot look ahead: a `$` that is followed by more of the expression does
not match before a last newline which that rest then takes; under `m` a `^` also matches at the very end, behind a last
newline. Option `x` and `\C` are refused.

Compiling is bounded, too, as a stranger's request pays for it: by what RE2 may build, by the number of expressions, and
by their length, as reading alone takes up to 30 µs a character (a class of Unicode under `i`).
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import re2

from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.values import Test

OPTIONS: Final = "imsu"
MEMORY: Final = 1 << 18
"""Bytes that RE2 may use for one expression; what needs more is refused after a millisecond."""


class Allowance(NamedTuple):
    """How many regular expressions there may be, and how many characters they may have together."""

    expressions: int
    characters: int


IN_CONDITIONS: Final = Allowance(100, 10_000)
IN_JOURNEY: Final = Allowance(500, 20_000)
IN_FILTER: Final = Allowance(20, 2_000)

_NAMED: Final = re.compile(r"\[:\^?[a-z]+:\]")
"""A class of POSIX within a class; another `[:` is two members."""

_END = r"(?:\n?\z)"
_SPACE = r"\t\n\v\f\r\x20"
_NO_SPACE = r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{10ffff}"
_VERTICAL = r"\n\x0b\f\r\x{85}\x{2028}\x{2029}"
_INSIDE: Final = {"s": _SPACE, "S": _NO_SPACE, "v": _VERTICAL}
_OUTSIDE: Final = {letter: f"[{members}]" for letter, members in _INSIDE.items()} | {"Z": _END}


def is_regex(value: Any) -> bool:
    """Tell a regular expression as JSON spells it: `{"$regex": …}`, `{"$regularExpression": …}`."""
    return isinstance(value, dict) and ("$regex" in value or "$regularExpression" in value)


def check_expressions(query: Any, allowed: Allowance, at: str) -> None:
    """Raise `InvalidConditions` when a query, or a list of queries, has more than allowed; to call before compiling."""
    lengths = [len(pattern) for pattern in _patterns(query)]
    if len(lengths) > allowed.expressions or sum(lengths) > allowed.characters:
        raise InvalidConditions(
            at,
            f"{len(lengths)} regular expressions with {sum(lengths)} characters together, where {allowed.expressions} "
            f"with {allowed.characters} are allowed: put whole texts into an $in, or alternatives into one expression",
        )


def _patterns(query: Any) -> Iterator[str]:
    """Yield every regular expression in a query. Needs no stack, as a query may be nested deeper than that."""
    level = [query]
    while level := [value for value in level if isinstance(value, dict | list)]:
        for value in level:
            if isinstance(value, dict) and is_regex(value):
                inner = value.get("$regularExpression")
                yield str(inner.get("pattern") if isinstance(inner, dict) else value.get("$regex"))
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]


def regex_of(value: dict[str, Any], at: str) -> Test:
    """Compile `{"$regex": …, "$options": …}` or `{"$regularExpression": {"pattern": …, "options": …}}`."""
    names = {"$regex", "$options"}
    pattern, options = value.get("$regex"), value.get("$options", "")
    inner = value.get("$regularExpression")
    if "$regularExpression" in value:
        names = {"$regularExpression"}
        if not isinstance(inner, dict) or not set(inner) <= {"pattern", "options"}:
            raise InvalidConditions(at, "$regularExpression needs a pattern and options")
        pattern, options = inner.get("pattern"), inner.get("options", "")
    if unknown := sorted(set(value) - names):
        raise InvalidConditions(at, f"{unknown[0]} does not belong to a regular expression")
    return regex(pattern, options, at)


def regex(pattern: Any, options: Any, at: str) -> Test:
    """Return the test of a string that the expression is found somewhere in it."""
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise InvalidConditions(at, "a regular expression and its options are strings")
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InvalidConditions(at, f"option {unknown[0]!r} of a regular expression is not supported (i, m, s are)")
    if "\0" in pattern:
        raise InvalidConditions(at, "a regular expression has no NUL")
    flags = "".join(sorted(set(options) - {"u"}))
    re_options = re2.Options()
    re_options.log_errors = False
    re_options.max_mem = MEMORY
    try:
        translated = _Translation(pattern, is_multiline="m" in flags).text
        compiled = re2.compile(f"(?{flags}){translated}" if flags else translated, re_options)
    except (re2.error, UnicodeEncodeError, ValueError) as error:
        raise InvalidConditions(at, f"RE2 cannot run the regular expression: {_text(error)}") from None

    def test(found: Any) -> bool:
        if type(found) is not str:
            return False
        try:
            return compiled.search(found) is not None
        except UnicodeEncodeError:  # a lone surrogate: no such text exists in UTF-8
            return False

    return test


def _text(error: Exception) -> str:
    message = error.args[0] if error.args else error
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    remedy = f": it takes more than {MEMORY >> 10} KiB; repeat less often, or smaller classes (a-z rather than \\pL)"
    return text + remedy if text.startswith("pattern too large") else text


class _Translation:
    """One pass over a PCRE expression. RE2 has the last word on whether the result is one."""

    def __init__(self, pattern: str, *, is_multiline: bool) -> None:
        self._pattern = pattern
        self._position = 0
        self._is_multiline = is_multiline
        self._outer: list[bool] = []  # is_multiline of the groups around
        parts = []
        while self._position < len(pattern):
            parts.append(self._next())
        self.text = "".join(parts)

    def _next(self) -> str:
        letter = self._pattern[self._position]
        if letter == "\\":
            return self._escape(_OUTSIDE)
        if letter == "[":
            return self._class()
        if letter == "(":
            self._outer.append(self._is_multiline)
            return self._group()
        if letter == ")" and self._outer:
            self._is_multiline = self._outer.pop()
        return self._take(1) if letter != "$" or self._is_multiline else self._instead(1, _END)

    def _take(self, length: int) -> str:
        start, self._position = self._position, self._position + length
        return self._pattern[start : self._position]

    def _instead(self, length: int, text: str) -> str:
        self._position += length
        return text

    def _escape(self, translations: dict[str, str]) -> str:
        letter = self._pattern[self._position + 1 : self._position + 2]
        if letter == "Q":  # literal up to \E, or to the end
            end = self._pattern.find("\\E", self._position)
            return self._take((len(self._pattern) if end < 0 else end + 2) - self._position)
        if letter in "123456789C" and letter:
            raise ValueError(f"\\{letter} is not supported")
        return self._instead(2, translations[letter]) if letter in translations else self._take(2)

    def _class(self) -> str:
        parts = [self._take(1)]
        if self._pattern.startswith("^", self._position):
            parts.append(self._take(1))
        if self._pattern.startswith("]", self._position):  # leading, it is a member
            parts.append(self._take(1))
        while self._position < len(self._pattern):
            if self._pattern.startswith("]", self._position):
                parts.append(self._take(1))
                break
            if named := _NAMED.match(self._pattern, self._position):
                parts.append(self._take(len(named[0])))
            elif self._pattern[self._position] == "\\":
                parts.append(self._escape(_INSIDE))
            else:
                parts.append(self._take(1))
        return "".join(parts)

    def _group(self) -> str:
        """Take `(`, and note what `(?flags)` or `(?flags:` says about `m`."""
        end = self._position + 2
        if self._pattern.startswith("(?", self._position):
            while end < len(self._pattern) and self._pattern[end] in "imsU-":
                end += 1
        flags = self._pattern[self._position + 2 : end]
        if not flags or self._pattern[end : end + 1] not in (")", ":"):
            return self._take(1)
        on, _, off = flags.partition("-")
        is_multiline = (self._is_multiline or "m" in on) and "m" not in off
        if self._pattern[end] == ")":  # for the rest of the group around
            self._outer.pop()
        self._is_multiline = is_multiline
        return self._take(end + 1 - self._position)

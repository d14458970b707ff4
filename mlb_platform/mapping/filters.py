"""Filters of the mapping language: `path op literal` joined by and, or, not; a missing path is false."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal as TypingLiteral

from mlb_platform.mapping.paths import JsonPath, parse_path

Scalar = str | int | float | bool
Operator = TypingLiteral["==", "!=", "<", "<=", ">", ">=", "in", "exists"]


@dataclass(frozen=True)
class Comparison:
    """`path operator value`; `value` is a tuple for `in` and unused for `exists`."""

    path: JsonPath
    operator: Operator
    value: Scalar | tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class Logical:
    """`and` / `or` over operands, or `not` over one."""

    operator: TypingLiteral["and", "or", "not"]
    operands: tuple[Filter, ...]


Filter = Comparison | Logical

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|<=|>=|<|>)|(?P<punct>[()\[\],])|(?P<string>'(?:[^']|'')*'|"[^"]*")"""
    r"""|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[$A-Za-z_][\w$.\-]*))"""
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if not match:
                raise ValueError(f"filter {text!r}: cannot read {text[position:].strip()!r}")
            self.tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
            position = match.end()

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def take(self, expected: str | None = None) -> tuple[str, str]:
        if not self.tokens or (expected is not None and self.peek() != expected):
            raise ValueError(f"filter {self.text!r}: expected {expected or 'more'}, found {self.peek() or 'the end'!r}")
        return self.tokens.pop(0)

    def disjunction(self) -> Filter:
        operands = [self.conjunction()]
        while self.peek() == "or":
            self.take()
            operands.append(self.conjunction())
        return operands[0] if len(operands) == 1 else Logical("or", tuple(operands))

    def conjunction(self) -> Filter:
        operands = [self.negation()]
        while self.peek() == "and":
            self.take()
            operands.append(self.negation())
        return operands[0] if len(operands) == 1 else Logical("and", tuple(operands))

    def negation(self) -> Filter:
        if self.peek() == "not":
            self.take()
            return Logical("not", (self.negation(),))
        if self.peek() == "(":
            self.take()
            inner = self.disjunction()
            self.take(")")
            return inner
        return self.comparison()

    def comparison(self) -> Filter:
        kind, word = self.take()
        if kind != "word":
            raise ValueError(f"filter {self.text!r}: expected a path, found {word!r}")
        path = parse_path(word)
        kind, operator = self.take()
        if operator == "exists":
            return Comparison(path, "exists")
        if operator == "in":
            self.take("[")
            values = [self.literal()]
            while self.peek() == ",":
                self.take()
                values.append(self.literal())
            self.take("]")
            return Comparison(path, "in", tuple(values))
        if kind != "op":
            raise ValueError(f"filter {self.text!r}: expected ==, !=, <, <=, >, >=, in or exists, found {operator!r}")
        return Comparison(path, operator, self.literal())  # type: ignore[arg-type]

    def literal(self) -> Scalar:
        kind, text = self.take()
        if kind == "string":
            return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
        if kind == "number":
            return float(text) if "." in text else int(text)
        if text in ("true", "false"):
            return text == "true"
        raise ValueError(f"filter {self.text!r}: expected a quoted text, a number, true or false, found {text!r}")


@cache
def parse_filter(text: str) -> Filter:
    """Parse a filter; raise ValueError that quotes it and says what was expected."""
    parser = _Parser(text)
    result = parser.disjunction()
    if parser.tokens:
        raise ValueError(f"filter {text!r}: unexpected {parser.peek()!r}")
    return result


def filter_paths(node: Filter) -> list[JsonPath]:
    """Return every path a filter reads."""
    if isinstance(node, Comparison):
        return [node.path]
    return [path for operand in node.operands for path in filter_paths(operand)]

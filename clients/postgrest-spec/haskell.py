"""Parses the subset of Haskell that hspec-wai specifications use: tokens, and expressions made of literals.

Knows nothing of HTTP or of PostgREST; what names mean is given by the caller.
"""

import json
import re

TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|\{-.*?-\})
  | (?P<quasi>\[(?:json|aesonQQ|str)\|.*?\|\])
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_][\w'.]*)
  | (?P<infix>`\w+`)
  | (?P<mark><>|<:>|\+\+|->|<-|::|[()\[\]{},=$:;\\|&.<>/~^?*!@#%+-])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "0": "\0"}


class Unreadable(Exception):
    """The expression is more than a literal."""


class Token:
    """One token: its offset and column, the white space before it, and the offset that decides what holds for it."""

    __slots__ = ("kind", "text", "at", "column", "before", "place")

    def __init__(self, kind, text, at, column, before=""):
        self.kind, self.text, self.at, self.column, self.before, self.place = kind, text, at, column, before, at

    def __repr__(self):
        return f"{self.kind}:{self.text[:40]}"


class Json:
    """A JSON value written in a specification."""

    def __init__(self, value):
        self.value = value


def tokens(source):
    """All tokens of a module but white space and comments."""
    found, before = [], ""
    for match in TOKEN.finditer(source):
        kind = match.lastgroup
        if kind == "space":
            before += match.group()
            continue
        column = match.start() - source.rfind("\n", 0, match.start()) - 1
        found.append(Token(kind, match.group(), match.start(), column, before))
        before = ""
    return found


def string(text):
    """The value of a string literal."""
    inner = re.sub(r"\\\s+\\", "", text[1:-1]).replace("\\&", "")

    def replace(match):
        code = match.group(1)
        if code[0] == "x":
            return chr(int(code[1:], 16))
        return chr(int(code)) if code.isdigit() and code != "0" else ESCAPES.get(code, code)

    return re.sub(r"\\(x[0-9a-fA-F]+|\d+|.)", replace, inner)


def relaxed_json(text):
    """JSON whose keys may be unquoted."""
    parts = re.split(r'("(?:\\.|[^"\\])*")', text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"([A-Za-z_][\w]*)(\s*:)", r'"\1"\2', parts[at])
    try:
        return json.loads("".join(parts), parse_float=str_number)
    except ValueError as error:
        raise Unreadable(f"json: {error}") from error


def str_number(text):
    """Keeps a number exact."""
    return float(text)


def quasi(text, names):
    """The value of a quasi-quote; `#{name}` stands for the value of a name."""
    kind, body = text[1:-2].split("|", 1)
    if kind == "str":
        return re.sub(r"\n\s*$", "\n", re.sub(r"\n\s*\|", "\n", body))
    body = re.sub(r"#\{(\w+)\}", lambda name: json.dumps(names[name[1]]), body)
    return Json(relaxed_json(body))


class Reader:
    """Reads expressions from `at` on, with names looked up in `names`."""

    def __init__(self, all_tokens, at, names):
        self.tokens, self.at, self.names = all_tokens, at, names

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "", -1, -1)

    def take(self, text=None):
        token = self.peek()
        if text is not None and token.text != text:
            raise Unreadable(f"expected {text}, found {token.text}")
        self.at += 1
        return token

    def expression(self):
        """Terms joined by operators."""
        value = self.application()
        while self.peek().text in ("<>", "++", "<:>", ":", "$"):
            operator = self.take().text
            other = self.expression() if operator in (":", "$", "<>", "++") else self.application()
            if operator == "<:>":
                value = ("equals", value, other)
            elif operator == ":":
                value = [value, *other]
            elif operator == "$":
                value = value(other)
            else:
                value = value + other
        return value

    def application(self):
        """A function with as many arguments as it takes, or an atom."""
        value = self.atom()
        while callable(value) and self.starts_atom():
            value = value(self.atom())
        return value

    def starts_atom(self):
        token = self.peek()
        return token.kind in ("string", "quasi", "number", "name") or token.text in ("(", "[")

    def atom(self):
        """A literal, a list, a tuple, a bracketed expression or a known name."""
        token = self.take()
        if token.kind == "string":
            return string(token.text)
        if token.kind == "quasi":
            return quasi(token.text, self.names)
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.text == "[":
            return self.items("]")
        if token.text == "if":
            return self.choice()
        if token.text == "(" and self.peek().text == "/":
            return self.section()
        if token.text == "(":
            items = self.items(")")
            return items[0] if len(items) == 1 else tuple(items)
        if token.kind == "name" and token.text in self.names:
            value = self.names[token.text]
            if isinstance(value, Unreadable):
                raise value
            return value
        raise Unreadable(f"unknown name {token.text}")

    def choice(self):
        """`if a < b then c else d`."""
        left, operator, right = self.application(), self.take().text, self.application()
        self.take("then")
        first = self.expression()
        self.take("else")
        second = self.expression()
        holds = {"<": left < right, ">": left > right}[operator]
        return first if holds else second

    def section(self):
        """An operator with one side, `(/= ' ')`: nothing here depends on which."""
        while self.take().text != ")":
            pass
        return None

    def items(self, end):
        found = []
        while self.peek().text != end:
            found.append(self.expression())
            if self.peek().text != ",":
                break
            self.take()
        self.take(end)
        return found

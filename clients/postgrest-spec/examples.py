"""Finds examples that check a response with assertions of their own instead of `shouldRespondWith`.

Reads requests bound by `<-`, names bound by `let`, lenses (`r ^? key "a" . nth 0`), and what is said about status,
headers and body. Whatever else an example says makes it unreadable as a whole.
"""

import functools
import json
import re

from haskell import Json, Reader, Unreadable

ABSENT = object()
BLOCKS = ("it", "describe", "context", "specify", "xit", "xdescribe", "xcontext", "whenever")
SHOULD = ("`shouldBe`", "`shouldNotBe`", "`shouldSatisfy`", "`shouldContain`")
ASSERTED = ("`shouldRespondWith`", "validateOpenApiResponse")


class Example:
    """One example: its requests by name, and a check of their answers."""

    def __init__(self, feature, line, config):
        self.feature, self.line, self.config = feature, line, config
        self.method, self.path, self.unreadable = "", "", None
        self.requests, self.checks, self.pending = {}, [], False


def spans(all_tokens):
    """Where each example begins and ends."""
    starts = [at for at, token in enumerate(all_tokens) if token.text in BLOCKS and token.kind == "name"
              and at + 1 < len(all_tokens) and all_tokens[at + 1].kind in ("string", "mark")]
    for start, end in zip(starts, [*starts[1:], len(all_tokens)]):
        if all_tokens[start].text in ("it", "specify"):
            yield start, end


def layout(all_tokens, at, end):
    """Where the expression of a binding at `at` ends: at the next token that begins a line no further right."""
    column, after = all_tokens[at].column, at + 1
    while after < end:
        token, previous = all_tokens[after], all_tokens[after - 1]
        if "\n" in token.before and token.column <= column:
            break
        if previous.text == "let" or token.text in ("let", "liftIO"):
            break
        after += 1
    return after


def examples(feature, source, all_tokens, names, verbs, config_at):
    """Every example of a module that has no `shouldRespondWith`."""
    found = []
    for start, end in spans(all_tokens):
        span = all_tokens[start:end]
        if any(token.text in ASSERTED for token in span):
            continue
        example = Example(feature, source.count("\n", 0, span[0].at) + 1, config_at(span[0]))
        try:
            read(example, all_tokens, start, end, dict(names), verbs)
        except (Unreadable, TypeError, ValueError, IndexError, KeyError) as error:
            example.unreadable = str(error) or type(error).__name__
        found.append(example)
    return found


def read(example, all_tokens, start, end, names, verbs):
    """The requests, then the bindings, then the assertions."""
    bound, at = {}, start
    while at < end:
        token = all_tokens[at]
        following = all_tokens[at + 1].text if at + 1 < end else ""
        if token.text == "pendingWith":
            example.pending = True
        if following == "<-" and all_tokens[at + 2].text == "liftIO":
            names[token.text] = Reader(all_tokens, at + 4, names).expression()
        elif following == "<-":
            example.requests[token.text] = request(example, all_tokens, at + 2, end, names, verbs)
        elif token.kind == "name" and all_tokens[at - 1].text not in (",", "{", ".") and "=" in (following, all_tokens[min(at + 2, end - 1)].text):
            parameter = None if following == "=" else following
            first = at + (2 if parameter is None else 3)
            bound[token.text] = (parameter, all_tokens[first:layout(all_tokens, at, end)])
            name_value(names, token.text, all_tokens, first)
        elif token.text in SHOULD:
            left = at
            while left > start and "\n" not in all_tokens[left].before and all_tokens[left - 1].text != "$":
                left -= 1
            right = layout_right(all_tokens, at, line_start(all_tokens, left), end)
            value = found_by(all_tokens[left:at], bound, example.requests)
            holds, text = expectation(all_tokens[at + 1:right], names)
            if token.text == "`shouldNotBe`":
                holds = functools.partial(lambda holds, found: not holds(found), holds)
            example.checks.append((value, token.text, holds, text))
        at += 1
    if not example.requests or not example.checks:
        raise Unreadable("no request or nothing said about its answer")


def name_value(names, name, all_tokens, first):
    """Remembers what a name stands for where that is more than a way into an answer."""
    try:
        names[name] = Reader(all_tokens, first, names).expression()
    except (Unreadable, TypeError, KeyError, IndexError):
        pass


def line_start(all_tokens, at):
    while at > 0 and "\n" not in all_tokens[at].before:
        at -= 1
    return at


def layout_right(all_tokens, at, left, end):
    """Where the right side of an assertion ends: where the next line of the same or less indentation begins."""
    after = at + 1
    while after < end and not ("\n" in all_tokens[after].before and all_tokens[after].column <= all_tokens[left].column):
        after += 1
    return after


def request(example, all_tokens, at, end, names, verbs):
    """The request, and the part of the response that the name stands for."""
    part = None
    if all_tokens[at].text in ("simpleBody", "simpleHeaders", "simpleStatus"):
        part, at = all_tokens[at].text, at + 1
        while all_tokens[at].text in ("<", "$", ">"):
            at += 1
    reader = Reader(all_tokens, at, names)
    word = reader.take().text
    if word != "request" and word not in verbs:
        raise Unreadable(f"{word} is no request")
    method = reader.atom() if word == "request" else verbs[word]
    path = reader.atom()
    headers = (reader.atom() or []) if word == "request" else []
    body = None
    if word not in ("get", "delete", "options"):
        body = reader.expression() if reader.peek().text == "$" else reader.application()
    example.method, example.path = method, path
    return method, path, headers, body, part


def found_by(tokens, bound, requests):
    """A function from the answers to what the tokens stand for, and words for it."""
    words = [token.text for token in tokens if token.text not in ("liftIO",)]
    text = " ".join(words)
    if len(words) == 1 and words[0] in bound and bound[words[0]][0] is None:
        inner = bound[words[0]][1]
        if inner and inner[0].text in ("subtract", "fromMaybe", "maybe", "M.lookup"):
            return found_by(inner, bound, requests)
    of = lambda name: found_by([token for token in tokens if token.text == name][:1], bound, requests)[0]
    if match := re.fullmatch(r'subtract 1 \$ length \$ T\.splitOn "(.*)" \( decodeUtf8 \$ LBS\.toStrict (\w+) \)', text):
        return (lambda answers, inner=of(match[2]): inner(answers).decode().count(match[1])), text
    if match := re.fullmatch(r'M\.lookup "(\w+)" \$ parseServerTimingHeader \$ simpleHeaders (\w+)', text):
        return (lambda answers: timing(answers[match[2]], match[1])), text
    if match := re.fullmatch(r"fromMaybe False \$ liftA2 \( < = \) (\w+) (\w+)", text):
        return (lambda answers, a=of(match[1]), b=of(match[2]): a(answers) <= b(answers)), text
    if match := re.fullmatch(r"maybe False \( > = 0 \) (\w+)", text):
        return (lambda answers, inner=of(match[1]): inner(answers) >= 0), text
    name, part, way = lens(tokens, bound, requests)
    return (lambda answers: part_of(answers[name], part, way)), f"{part} {way}"


def timing(answer, name):
    """The duration that `Server-Timing` has for a part of the work."""
    header = next(value for key, value in answer[1] if key.lower() == "server-timing")
    return float(re.search(rf"\b{name};dur=([\d.]+)", header)[1])


def lens(tokens, bound, requests):
    """`r ^? key "a" . nth 0` and names bound to such expressions: the response, its part, and the path into its body."""
    words = [token for token in tokens if token.text not in ("(", ")", "liftIO")]
    if not words:
        raise Unreadable("nothing on the left")
    head, rest = words[0].text, words[1:]
    if head in ("simpleBody", "simpleHeaders", "simpleStatus", "planCost", "isErrorFormat"):
        inner = lens(rest, bound, requests)
        if head == "planCost":
            return inner[0], "simpleBody", [0, "Plan", "Total Cost"]
        if head == "isErrorFormat":
            return inner[0], "isErrorFormat", []
        return inner[0], head, inner[2]
    if head in bound and bound[head][0] is None:
        name, part, way = lens(bound[head][1], bound, requests)
    elif head in requests:
        name, part, way = head, requests[head][4], []
    else:
        raise Unreadable(f"unknown name {head}")
    if rest:
        if rest[0].text not in ("^?", "^"):
            raise Unreadable(f"cannot follow {rest[0].text}")
        way = way + steps_of(rest[2 if rest[0].text == "^" else 1:], bound, {})
        part = part or "simpleBody"
    return name, part, way


def steps_of(tokens, bound, arguments):
    """`key "a" . nth 0 . method "get"` as keys and places."""
    way, at = [], 0
    while at < len(tokens):
        word = tokens[at].text
        if word in (".", "_String", "_Number", "_Integral", "_Double", "_Bool"):
            at += 1
        elif word in ("key", "nth"):
            text = arguments.get(tokens[at + 1].text, tokens[at + 1].text)
            way.append(json.loads(text) if word == "key" else int(text))
            at += 2
        elif word in bound and bound[word][0] is not None:
            parameter, body = bound[word]
            way += steps_of(body, bound, {parameter: tokens[at + 1].text})
            at += 2
        else:
            raise Unreadable(f"cannot follow {word}")
    return way


def expectation(tokens, names):
    """A test of a value, with its description."""
    text = " ".join(token.text for token in tokens)
    if match := re.fullmatch(r"[a-zA-Z]+(\d{3})|Status \{ statusCode = (\d+) , statusMessage = (\".*?\") \}", text):
        reason = json.loads(match[3]) if match[3] else None
        return lambda status: status[0] == int(match[1] or match[2]) and reason in (None, status[1]), text
    if match := re.fullmatch(r"\( ([<>]) (-?[\d.]+) \)", text):
        bound = float(match[2])
        return lambda value: value is not ABSENT and (value < bound if match[1] == "<" else value > bound), text
    if match := re.fullmatch(r"\( \\ ?\w+ - ?> (not \$ )?T \. isInfixOf (\".*?\") .*\)|\( \\ \w+ -> (not \$ )?T.isInfixOf (\".*?\") .*\)", text):
        wanted, negated = json.loads(match[2] or match[4]), bool(match[1] or match[3])
        return lambda body: (wanted in body.decode()) != negated, text
    if match := re.fullmatch(r'\( \\ (\w+) - ?> LBS\.take (\d+) \1 = = "(.*)" \)', text):
        return lambda body: body[:int(match[2])] == match[3].encode(), text
    special = {
        "notZeroContentLength": lambda headers: ("content-length", "0") not in headers,
        "noBlankHeader": lambda headers: all(name for name, _ in headers),
        "noProfileHeader": lambda headers: all(name != "content-profile" for name, _ in headers),
        "isJust": lambda value: value is not ABSENT,
        "True": lambda value: value is True,
        "False": lambda value: value is False,
        "Nothing": lambda value: value is ABSENT,
    }
    if text in special:
        return special[text], text
    if tokens[0].text in ("elem", "matchHeader"):
        reader = Reader(tokens, 1, names)
        if tokens[0].text == "elem":
            name, value = reader.atom()
            return lambda headers: (name.lower(), value) in headers, text
        name, value = reader.atom(), reader.atom()
        return lambda headers: any(key == name.lower() and re.search(value.replace("*", r"\*"), given) for key, given in headers), text
    reader = Reader(tokens, 1 if tokens[0].text == "Just" else 0, names)
    value = reader.application() if tokens[0].text == "Just" else reader.expression()
    if reader.at != len(tokens):
        raise Unreadable(f"expectation goes on with {reader.peek().text}")
    wanted = value.value if isinstance(value, Json) else value
    return lambda found: same(found, wanted), text


def same(found, wanted):
    """A whole body is bytes, a part of it is a JSON value; of headers some are wanted."""
    if isinstance(wanted, bytes):
        return found == wanted
    if isinstance(found, bytes):
        return found == wanted.encode() if isinstance(wanted, str) else json.loads(found) == wanted
    if isinstance(found, list) and found and isinstance(found[0], tuple):
        return all((name.lower(), value) in found for name, value in wanted)
    return found is not ABSENT and found == wanted


def part_of(answer, part, way):
    """The value that a lens selects in a response."""
    status, headers, content, reason = answer
    if part == "simpleStatus":
        return status, reason
    if part == "simpleHeaders":
        return [(name.lower(), value) for name, value in headers]
    if part == "isErrorFormat":
        document = json.loads(content)
        return isinstance(document, dict) and "message" in document
    if not way:
        return content
    value = json.loads(content)
    for step in way:
        is_there = isinstance(value, list) and step < len(value) if isinstance(step, int) else isinstance(value, dict) and step in value
        if not is_there:
            return ABSENT
        value = value[step]
    return value

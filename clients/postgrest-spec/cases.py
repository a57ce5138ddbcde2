"""Finds the requests of a specification and their expected responses."""

import base64
import functools
import hashlib
import hmac
import json
import re

from examples import examples
from haskell import Json, Reader, Unreadable, tokens

# The folder of the suite's fixtures, once it is known.
FIXTURES = []
SECRET = b"reallyreallyreallyreallyverysafe"
VERBS = {"get": "GET", "delete": "DELETE", "post": "POST", "put": "PUT", "patch": "PATCH", "options": "OPTIONS"}


class Case:
    """One request with its expected answer, or the reason why it could not be read."""

    def __init__(self, feature, line, config):
        self.feature, self.line, self.config = feature, line, config
        self.method = self.path = self.body = self.expected = self.unreadable = None
        self.headers, self.status, self.matchers = [], 200, []


def curry(count, function):
    """A function that takes its arguments one by one."""
    return function if count == 1 else lambda first: curry(count - 1, functools.partial(function, first))


def text_of(value):
    return json.dumps(value.value) if isinstance(value, Json) else value


def signed(claims, secret=SECRET):
    """A token, HS256."""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    head = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(text_of(claims).encode())
    return (head + b"." + part(hmac.new(secret, head, hashlib.sha256).digest())).decode()


def content_type(value):
    return ("equals", "Content-Type", value)


def known_names():
    """Names that the suite's helpers and the HTTP library define."""
    names = {f"method{verb.capitalize()}": verb for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
    ranged = lambda pair: [("Range-Unit", "items"), ("Range", pair)]
    names.update(
        mempty="",
        hContentType="Content-Type",
        hContentLength="Content-Length",
        hAccept="Accept",
        hRange="Range",
        hAuthorization="Authorization",
        hLocation="Location",
        acceptHdrs=lambda value: [("Accept", value)],
        planHdr=("Accept", "application/vnd.pgrst.plan+json"),
        rangeUnit=("Range-Unit", "items"),
        rangeHdrs=ranged,
        rangeHdrsWithCount=lambda pair: [("Prefer", "count=exact"), *ranged(pair)],
        ByteRangeFromTo=curry(2, lambda low, high: f"{low}-{high}"),
        ByteRangeFrom=lambda low: f"{low}-",
        authHeader=curry(2, lambda kind, value: ("Authorization", f"{kind} {value}")),
        authHeaderJWT=lambda value: ("Authorization", f"Bearer {value}"),
        generateJWT=signed,
        String=lambda value: value,
        Number=lambda value: value,
        Bool=lambda value: value,
        readFixtureFile=lambda name: (FIXTURES[0] / name).read_bytes(),
        matchContentTypeJson=content_type("application/json; charset=utf-8"),
        matchContentTypeSingular=content_type("application/vnd.pgrst.object+json; charset=utf-8"),
        matchCTArrayStrip=content_type("application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"),
        matchCTSingularStrip=content_type("application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"),
        matchHeaderAbsent=lambda name: ("absent", name, None),
        matchHeaderValuePresent=curry(2, lambda name, value: ("contains", name, value)),
        matchServerTimingHasTiming=lambda name: ("timing", "Server-Timing", name),
    )
    return names


def configurations(source):
    """Offsets from which a server configuration applies, with its changed keys, and names of texts replaced by the texts."""
    found, keys = [], dict(re.findall(r"(\w+) = encodeUtf8 \[str\|(.*?)\|\]", source))
    for match in re.finditer(r"withConfig(?:Dbs)?\s*\(?\s*(?:\$\s*)?\(?baseCfg\s*(\{[^}]*\})?", source):
        text = " ".join((match.group(1) or "").strip("{} ").split())
        found.append((match.start(), re.sub(r"Just (\w+)", lambda name: "Just " + keys.get(name[1], name[1]), text)))
    return found


def bind(all_tokens, at, names):
    """Reads `let name = expression` or `name = expression`; unreadable ones are recorded as such."""
    name = all_tokens[at].text
    try:
        names[name] = Reader(all_tokens, at + 2, names).expression()
    except (Unreadable, TypeError) as error:
        names[name] = error if isinstance(error, Unreadable) else Unreadable(str(error))


def cases(feature, source):
    """Every `shouldRespondWith` of a module, then every example without one."""
    all_tokens, names, found = tokens(source), known_names(), []
    settings = configurations(source)
    starts = []
    for at, token in enumerate(all_tokens):
        following = all_tokens[at + 1].text if at + 1 < len(all_tokens) else ""
        previous = all_tokens[at - 1].text if at else ""
        if token.kind == "name" and following == "=" and previous not in (",", "{") and token.text not in VERBS:
            bind(all_tokens, at, names)
        elif token.text in VERBS or token.text == "request":
            starts.append(at)
        elif token.text == "`shouldRespondWith`":
            line = source.count("\n", 0, token.at) + 1
            config = next((text for place, text in reversed(settings) if place < token.at), "")
            case = Case(feature, line, config)
            found.append(case)
            try:
                read(case, all_tokens, starts[-1] if starts else at, at, names)
            except (Unreadable, TypeError, ValueError, IndexError) as error:
                case.unreadable = str(error) or type(error).__name__
    config_at = lambda at: next((text for place, text in reversed(settings) if place < at), "")
    return found + examples(feature, source, all_tokens, names, VERBS, config_at)


def read(case, all_tokens, start, middle, names):
    """Reads the request before `middle` and the expectation after it."""
    reader = Reader(all_tokens, start, names)
    word = reader.take().text
    case.method = reader.atom() if word == "request" else VERBS[word]
    case.path = reader.atom()
    if word == "request":
        case.headers = reader.atom() or []
    if word not in ("get", "delete", "options"):
        case.body = reader.expression() if reader.peek().text == "$" else reader.application()
    if reader.at != middle:
        raise Unreadable(f"request goes on with {reader.peek().text}")
    reader = Reader(all_tokens, middle + 1, names)
    expected = reader.atom()
    if isinstance(expected, int):
        case.status = expected
    else:
        case.expected = expected
    if reader.peek().text == "{":
        record(case, reader)


def record(case, reader):
    """`{ matchStatus = …, matchHeaders = […] }`."""
    reader.take("{")
    while reader.peek().text != "}":
        field = reader.take().text
        reader.take("=")
        value = reader.expression()
        if field == "matchStatus":
            case.status = value
        elif field == "matchHeaders":
            case.matchers = value or []
        if reader.peek().text == ",":
            reader.take()
    reader.take("}")

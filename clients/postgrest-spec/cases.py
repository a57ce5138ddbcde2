"""Finds the requests of a specification and their expected responses."""

import functools
import json
import re

from examples import examples
from haskell import Json, Reader, Unreadable, tokens
from later import SECRET, mark
from macro import expanded
from server import server_version

# The folder of the suite's fixtures, once it is known.
FIXTURES = []
# What examples write and expect where upstream names the version of its documentation.
DOCS_VERSION = "v16"
VERBS = {"get": "GET", "delete": "DELETE", "post": "POST", "put": "PUT", "patch": "PATCH", "options": "OPTIONS"}


class Case:
    """One request with its expected answer, or the reason why it could not be read."""

    def __init__(self, feature, line, config):
        self.feature, self.line, self.config = feature, line, config
        self.method = self.path = self.body = self.expected = self.unreadable = None
        self.headers, self.status, self.matchers = [], 200, []
        # Upstream itself does not run it.
        self.pending = False


def curry(count, function):
    """A function that takes its arguments one by one."""
    return function if count == 1 else lambda first: curry(count - 1, functools.partial(function, first))


def text_of(value):
    return json.dumps(value.value) if isinstance(value, Json) else value


def token(claims, secret=SECRET):
    """A token, signed when it is sent."""
    return mark("token", text_of(claims), secret)


def languages(rows):
    """The helper's rows for a table of languages."""
    return json.dumps([{"name": f"Lang {rank}", "rank": rank} for rank in range(20, rows + 21)])


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
        generateJWT=token,
        generateJWTWithSecret=curry(2, token),
        relativeSeconds=lambda seconds: mark("now", str(seconds)),
        getInsertDataForTiobePlsTable=languages,
        docsVersion=DOCS_VERSION,
        prettyVersion="",
        actualPgVersion=server_version(),
        map=curry(2, lambda function, items: [function(item) for item in items]),
        encodeUtf8=lambda value: value,
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
        **{"BL.empty": "", "BS.filter": curry(2, lambda _, value: value), "True": True, "False": False},
        **{f"pgVersion{major}0": major * 10 for major in range(10, 30)},
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
    """Every `shouldRespondWith` of a module, every description held against a schema, and every example with neither."""
    all_tokens, names, found = expanded(tokens(source)), known_names(), []
    settings = configurations(source)
    config_at = lambda token: next((text for place, text in reversed(settings) if place < token.place), "")
    starts, pending = [], False
    for at, token in enumerate(all_tokens):
        following = all_tokens[at + 1].text if at + 1 < len(all_tokens) else ""
        previous = all_tokens[at - 1].text if at else ""
        if token.text in ("it", "specify"):
            pending = False
        elif token.text == "pendingWith":
            pending = True
        if token.kind == "name" and following in ("=", "<-") and previous not in (",", "{"):
            bind(all_tokens, at, names)
        if token.text in VERBS or token.text == "request" or (token.text, previous) == ("pure", "do") or starts_line(all_tokens, at, "pure"):
            starts.append(at)
        elif token.text in ("`shouldRespondWith`", "validateOpenApiResponse") and following != "::":
            case = Case(feature, source.count("\n", 0, token.at) + 1, config_at(token))
            case.pending = pending
            found.append(case)
            try:
                if token.text == "validateOpenApiResponse":
                    read_described(case, all_tokens, at, names)
                else:
                    read(case, all_tokens, starts[-1] if starts else at, at, names)
            except (Unreadable, TypeError, ValueError, IndexError, KeyError) as error:
                case.unreadable = str(error) or type(error).__name__
    return found + examples(feature, source, all_tokens, names, VERBS, config_at)


def starts_line(all_tokens, at, word):
    return all_tokens[at].text == word and "\n" in all_tokens[at].before


def bind(all_tokens, at, names):
    """Reads `let name = expression`, `name <- request …` and what is taken from an answer; unreadable ones are remembered as such."""
    name, first = all_tokens[at].text, at + 2
    if all_tokens[at + 1].text == "<-":
        while all_tokens[first].text in ("liftIO", "$", "pure"):
            first += 1
        if all_tokens[first].text == "lookup":
            # `lookup header $ simpleHeaders answer`: of the last answer that has it.
            names[name] = mark("header", names[all_tokens[first + 1].text])
            return
        if all_tokens[first].text == "request" or all_tokens[first].text in VERBS:
            names[name] = first
            return
    if all_tokens[at + 1].text == "<-" and all_tokens[first].text != "relativeSeconds":
        return
    try:
        names[name] = Reader(all_tokens, first, names).expression()
    except (Unreadable, TypeError, KeyError) as error:
        names[name] = error if isinstance(error, Unreadable) else Unreadable(str(error))


def read_described(case, all_tokens, at, names):
    """The description of the API, held against the schema of such descriptions in the suite's database."""
    case.method, case.path, case.headers = "GET", "/", Reader(all_tokens, at + 1, names).atom()
    case.matchers = [content_type("application/openapi+json; charset=utf-8"), ("described", "", None)]


def read_request(case, reader):
    """What is sent."""
    word = reader.take().text
    if word == "pure":
        reader = Reader(reader.tokens, reader.names[reader.take().text], reader.names)
        word = reader.take().text
    case.method = reader.atom() if word == "request" else VERBS[word]
    case.path = reader.atom()
    if word == "request":
        case.headers = reader.atom() or []
    if word not in ("get", "delete", "options"):
        case.body = reader.expression() if reader.peek().text == "$" else reader.application()
    return reader


def read(case, all_tokens, start, middle, names):
    """Reads the request before `middle` and the expectation after it."""
    reader = read_request(case, Reader(all_tokens, start, names))
    if all_tokens[start].text != "pure" and reader.at != middle:
        raise Unreadable(f"request goes on with {reader.peek().text}")
    reader = Reader(all_tokens, middle + 1, names)
    if reader.peek().text == "ResponseMatcher":
        reader.take()
    else:
        expected = reader.atom()
        if isinstance(expected, int):
            case.status = expected
        else:
            case.expected = expected
    if reader.peek().text == "{":
        record(case, reader)


def record(case, reader):
    """`{ matchStatus = …, matchHeaders = […], matchBody = … }`."""
    reader.take("{")
    while reader.peek().text != "}":
        field = reader.take().text
        reader.take("=")
        if field == "matchBody":
            case.expected = body_matcher(reader)
        else:
            value = reader.expression()
            case.status = value if field == "matchStatus" else case.status
            case.matchers = value or [] if field == "matchHeaders" else case.matchers
        if reader.peek().text == ",":
            reader.take()
    reader.take("}")


def body_matcher(reader):
    """`bodyEquals text`, or `MatchBody (\\_ _ -> Nothing)` for any."""
    word = reader.take().text
    if word == "bodyEquals":
        return reader.atom()
    reader.take("(")
    given = []
    while reader.peek().text != ")":
        given.append(reader.take().text)
    reader.take(")")
    if word != "MatchBody" or given[-1] != "Nothing":
        raise Unreadable(f"{word} {' '.join(given)}")
    return None

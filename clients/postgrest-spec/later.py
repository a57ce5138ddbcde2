"""Values of a specification that are only known when its request is sent: the time, tokens that hold it, an answer's header.

They stand in texts as marks, so that they pass through whatever puts texts together, and are filled in by [`filled`].
"""

import base64
import hashlib
import hmac
import re
import time

SECRET = "reallyreallyreallyreallyverysafe"
# Texts that no request of the suite holds, and that JSON writes as they are.
OPEN, CLOSE, BETWEEN = "@@<", ">@@", "@@,"
# What stands within a mark that holds no other.
INNER = f"(?:(?!{OPEN}|{CLOSE}).)*"


def mark(kind, *parts):
    """A mark of a kind with what it is made from."""
    return OPEN + BETWEEN.join((kind, *parts)) + CLOSE


def signed(claims, secret=SECRET):
    """A token, HS256."""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    head = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(claims.encode())
    return (head + b"." + part(hmac.new(secret.encode(), head, hashlib.sha256).digest())).decode()


def filled(text, last_headers):
    """A text with its marks replaced, the innermost first."""
    def value(match):
        kind, *parts = match[1].split(BETWEEN)
        if kind == "now":
            return str(int(time.time()) + int(parts[0]))
        if kind == "token":
            return signed(*parts)
        return next(value for name, value in last_headers if name.lower() == parts[0].lower())

    while isinstance(text, str) and OPEN in text:
        # In JSON a mark is a text, and the time a number.
        text = re.sub(f'"{OPEN}(now{INNER}){CLOSE}"', value, text)
        text = re.sub(f"{OPEN}({INNER}){CLOSE}", value, text)
    return text

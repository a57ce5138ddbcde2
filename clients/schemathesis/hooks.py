"""What Schemathesis is told while it runs: ids that exist in place of random ones, and what would end the run.

Three quarters of the well-formed ids in paths, queries and bodies are replaced by those of the seed; which ones follows from what was
generated, so that a failure can be sent again. What is malformed stays.
"""

import json
import os
import re
import zlib

import schemathesis

POOLS = json.loads(os.environ["ROWHOUSE_POOLS"])
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
# Fields of bodies and queries whose values are ids of which kind.
KINDS = {
    "user": "user", "users": "user", "user_id": "user", "owner": "user", "tenant": "tenant", "tenants": "tenant", "tenant_id": "tenant",
    "organization": "organization", "organization_id": "organization", "product": "product", "plan": "plan", "role": "role",
}  # fmt: skip
SPENDING = re.compile(r"/(suspend|cancel|quotas|end)$")
# Of texts whose form the document does not express.
FORMS = {
    "slug": "x{:x}", "email": "x{:x}@example.com", "expires_at": "2027-01-31T12:00:00.{}Z", "name": "x{:x}", "domain": "x{:x}.example",
}  # fmt: skip


def chance(*of):
    """A number that follows from what was generated."""
    return zlib.crc32(repr(of).encode("utf-8", "surrogatepass"))


def pool(kind, spends):
    return POOLS["spend" if spends else "keep"].get(kind) or []


def picked(kind, value, spends):
    """One of the seed's in place of a value that could name one."""
    known, number = pool(kind, spends), chance(kind, value)
    is_id = isinstance(value, str) and UUID.fullmatch(value) is not None
    could = is_id or (isinstance(value, (str, int)) and kind in ("role", "product", "plan", "flag", "setting", "job", "environment", "subject"))
    return known[number // 4 % len(known)] if known and could and number % 4 else value


def kind_of(path, parameter):
    if parameter == "domain" and path.startswith("/organizations"):
        return "organization_domain"
    if parameter == "job" or (parameter == "id" and "/jobs/" in path):
        return "bulk_job" if path.startswith("/bulk-jobs") else "job"
    return "setting" if parameter == "name" and "/settings/" in path else parameter


def filled(value, spends, key=None):
    """A body with ids of the seed."""
    if isinstance(value, dict):
        return {name: filled(inner, spends, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, spends, key) for inner in value]
    if key in FORMS and isinstance(value, str) and chance(value) % 2:
        return FORMS[key].format(chance(value))
    return picked(KINDS[key], value, spends) if key in KINDS else value


def sparse(case):
    """Takes out what hides everything else: a key that another request had, and a cursor that nobody has issued."""
    number = chance(case.path_parameters, case.query, str(case.body)[:1000])
    if "Idempotency-Key" in (case.headers or {}) and number % 8:
        del case.headers["Idempotency-Key"]
    for name in list(case.query or {}):
        if chance(name, number) % (8 if name == "cursor" else 2):
            del case.query[name]


def tame(path, body):
    """Takes from a body what would end the run: a flag that closes the API, and a job that suspends everybody."""
    if path.startswith("/flags") and body.get("routes"):
        body["routes"] = ["/rest/v1/none"]
    if path == "/bulk-jobs" and body.get("filter") is not None:
        body["dry_run"] = True


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path
    sparse(case)
    spends = case.method.upper() == "DELETE" or SPENDING.search(path) is not None or path.startswith(("/bulk-jobs", "/impersonations"))
    for name, value in list((case.path_parameters or {}).items()):
        case.path_parameters[name] = picked(kind_of(path, name), value, spends and not (name == "organization" and "/members/" in path))
    for name, value in list((case.query or {}).items()):
        if name in KINDS and isinstance(value, str):
            case.query[name] = picked(KINDS[name], value, spends)
    if case.method.upper() in ("PATCH", "PUT") and chance(case.path_parameters, case.body) % 4:
        case.headers["If-Match"] = "*"
    if isinstance(case.body, dict):
        body = filled(case.body, spends)
        if path.endswith("/domains") and isinstance(body.get("name"), str):
            body["name"] = FORMS["domain"].format(chance(body["name"]))
        tame(path, body)
        case.body = body

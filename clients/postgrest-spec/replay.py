#!/usr/bin/env python3
"""Replays PostgREST's own specification against this server.

    clients/postgrest-spec/replay.py FOLDER [--binary target/debug/rowhouse] [--only NAME] [--verbose]

FOLDER is a checkout of PostgREST. Nothing of it is part of this project. Requests and expectations are read from
its Haskell modules as far as they are literals; the rest is counted as not readable, so that every request with
`shouldRespondWith` and every example without one stands in some column. Exit 0 when every readable
case passes, 1 when some fail.
"""

import argparse
import collections
import json
import pathlib
import re
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cases import FIXTURES, cases, text_of  # noqa: E402
from examples import Example  # noqa: E402
from haskell import Json  # noqa: E402
from later import OPEN  # noqa: E402
from server import Cluster, Server, environment  # noqa: E402


def wrong(case, status, headers, content, _reason):
    """Why an answer is not the expected one; nothing when it is."""
    if status != case.status:
        return f"status {status} instead of {case.status}: {content[:200].decode(errors='replace')}"
    for kind, name, value in case.matchers:
        given = [text.encode("latin-1").decode(errors="replace") for key, text in headers if key.lower() == name.lower()]
        fine = {
            "equals": lambda: value in given,
            "absent": lambda: not given,
            "contains": lambda: any(value in text for text in given),
            "timing": lambda: any(re.search(rf"{value};dur=\d+\.\d+", text) for text in given),
            "described": lambda: True,
        }[kind]()
        if not fine:
            return f"header {name} is {given}, expected {kind} {value}"
    if isinstance(case.expected, Json):
        try:
            found = json.loads(content)
        except ValueError:
            return f"body is no JSON: {content[:200].decode(errors='replace')}"
        return None if found == case.expected.value else f"body {json.dumps(found)[:600]} instead of {json.dumps(case.expected.value)[:600]}"
    if isinstance(case.expected, str) and case.expected.encode() != content:
        return f"body {content[:200]!r} instead of {case.expected[:200]!r}"
    return None


def escaped(path):
    """The request target, percent-encoded where necessary; a stray percent sign stands for itself."""
    if OPEN in path:
        return path
    path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path if path.startswith("/") else f"/{path}")
    return urllib.parse.quote(path, safe="/?&=%:;,.!*()'+$@~[]{}|\\^`-_")


def replay_example(server, example):
    """Sends an example's requests; returns the first failed assertion."""
    answers = {}
    try:
        for name, (method, path, headers, body, _) in example.requests.items():
            answers[name] = server.send(method, escaped(path), list(headers), text_of(body) if body is not None else None)
        for value, should, holds, text in example.checks:
            found = value[0](answers)
            if not holds(found):
                return f"{value[1]} is {str(found)[:400]}, {should} {text[:400]}"
    except (OSError, ValueError, TypeError, AttributeError, StopIteration) as error:
        return f"no answer that can be read: {error}"
    return None


def replay(server, case):
    """Sends one case's request; returns why it failed."""
    if isinstance(case, Example):
        return replay_example(server, case)
    body = text_of(case.body) if case.body is not None else None
    headers = list(case.headers)
    try:
        answer = server.send(case.method, escaped(case.path), headers, body)
    except (OSError, ValueError, TypeError, StopIteration) as error:
        return f"no answer: {error}"
    reason = wrong(case, *answer)
    return reason or invalid(server, case, answer[2])


def invalid(server, case, content):
    """Why a description of the API is none, as the function of the suite's database says that holds it against a schema."""
    if not any(kind == "described" for kind, _, _ in case.matchers):
        return None
    schema = json.loads((FIXTURES[0] / "openapi.json").read_text(encoding="utf-8"))
    body = json.dumps({"schema": schema, "data": json.loads(content)})
    answer = server.send("POST", "/rpc/validate_json_schema", [("Content-Type", "application/json")], body)
    return None if answer[2] == b"true" else f"the description is not valid: {answer[2][:200]!r}"


def main():
    options = argparse.ArgumentParser(description="Replays PostgREST's specification.")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/debug/rowhouse"))
    options.add_argument("--only", default="", help="part of a feature file's name")
    options.add_argument("--verbose", action="store_true", help="say why cases could not be read")
    options = options.parse_args()
    spec = options.folder / "test" / "spec"
    FIXTURES.append(spec / "fixtures")
    found = []
    for path in sorted(spec.glob("Feature/**/*.hs")):
        if options.only in path.name:
            found.extend(cases(str(path.relative_to(spec / "Feature")), path.read_text(encoding="utf-8")))
    counts, failures = collections.defaultdict(collections.Counter), []
    by_config = collections.defaultdict(list)
    for case in found:
        changed = None if case.unreadable else environment(case.config)
        if case.pending:
            counts[case.feature]["pending upstream"] += 1
        elif case.unreadable:
            counts[case.feature]["unreadable"] += 1
            if options.verbose:
                print(f"unreadable {case.feature}:{case.line}  {case.unreadable}")
        elif changed is None:
            counts[case.feature]["no such setting"] += 1
        else:
            by_config[json.dumps(changed, sort_keys=True)].append(case)
    cluster = Cluster()
    try:
        cluster.load(spec / "fixtures")
        for changed, group in by_config.items():
            server = Server(options.binary, cluster, json.loads(changed))
            try:
                for case in group:
                    reason = replay(server, case)
                    counts[case.feature]["failed" if reason else "passed"] += 1
                    if reason:
                        failures.append((case, reason))
            finally:
                server.stop()
    finally:
        cluster.stop()
    report(counts, failures)
    return 1 if failures else 0


def report(counts, failures):
    """Every failing case, then a table by feature."""
    for case, reason in sorted(failures, key=lambda pair: (pair[0].feature, pair[0].line)):
        print(f"{case.feature}:{case.line}  {case.method} {case.path}\n    {reason}")
    columns = ("passed", "failed", "unreadable", "no such setting", "pending upstream")
    print("\n| feature | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    total = collections.Counter()
    for feature in sorted(counts):
        total.update(counts[feature])
        print(f"| {feature} | " + " | ".join(str(counts[feature][column]) for column in columns) + " |")
    print("| **total** | " + " | ".join(f"**{total[column]}**" for column in columns) + " |")


if __name__ == "__main__":
    sys.exit(main())

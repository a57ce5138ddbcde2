#!/usr/bin/env python3
"""Sends random requests to `/admin/v1` as its OpenAPI document describes them, and checks the answers against it.

    clients/schemathesis/run.py PROGRAM [--binary target/debug/rowhouse] [--examples 30] [--seed N]
                                [--caller NAME] [--operation ID] [--evidence]

PROGRAM is `schemathesis`, 4.x, as PyPI has it. For each caller (service key, operator, owner of organizations) a server of its
own is started and filled. No answer may be 5xx; each has a status, a content type and a body that the document names. `default`
is taken out of the document first, since it would make every status a documented one. Exit 0 if all of it holds, 1 if not.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import outcome  # noqa: E402
from seed import Seed  # noqa: E402
from server import Server  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CALLERS = ("service_key", "operator", "owner")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PHASES = "examples,coverage,fuzzing"
EVIDENCE = outcome.ROOT / "docs/evidence/schemathesis.json"


def strict(document):
    """The document without what allows every status."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)
    return document


def command(server, token, options):
    document = strict(server.must("GET", "/admin/v1/openapi.json", token))
    file = server.folder / "openapi.json"
    file.write_text(json.dumps(document))
    asked = ["--include-operation-id", options.operation] if options.operation else []
    return [
        options.program, "run", str(file), "--url", f"{server.state['url']}/admin/v1", "-H", f"Authorization: Bearer {token}",
        "--checks", CHECKS, "--phases", PHASES, "--max-examples", str(options.examples),
        "--workers", "1", "--seed", str(options.seed), "--continue-on-failure", "--generation-database", "none",
        "--suppress-health-check", "all", "--request-timeout", "30", "--no-color", "--warnings", "off",
        "--report-ndjson-path", str(server.folder / "events.ndjson"), *asked,
    ]  # fmt: skip


def test(caller, options):
    """Whether nothing was found for this caller, and the figures."""
    server = Server(options.binary)
    try:
        seed = Seed(server)
        token = seed.token(caller)
        environment = {
            **os.environ,
            "ROWHOUSE_POOLS": json.dumps(seed.pools()),
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
        }
        done = subprocess.run(command(server, token, options), env=environment, cwd=server.folder, check=False)
        found = outcome.faults(server, seed.key, token)
        figures = outcome.Outcome(caller, server.folder / "events.ndjson").figures()
    finally:
        server.stop()
    for line in found:
        print(f"{caller}: {line}")
    holds = done.returncode == 0 and not found
    print(f"{caller}: {'ok' if holds else 'FAULTS'} {json.dumps(figures)}", flush=True)
    return holds, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--binary", default=outcome.ROOT / "target/debug/rowhouse", type=pathlib.Path)
    parser.add_argument("--examples", default=30, type=int)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--caller", choices=CALLERS)
    parser.add_argument("--operation")
    parser.add_argument("--evidence", action="store_true", help=f"write {EVIDENCE.name}")
    options = parser.parse_args()
    # It runs in the server's folder, since it leaves a folder of its own behind.
    found = shutil.which(options.program)
    if not found:
        parser.error(f"{options.program}: not found; install it with `pip install schemathesis`")
    options.program = os.path.abspath(found)
    callers = [options.caller] if options.caller else CALLERS
    results = {caller: test(caller, options) for caller in callers}
    holds = all(held for held, _ in results.values())
    if options.evidence:
        version = outcome.said(options.program, "--version").split()[-1]
        parameters = {"examples": options.examples, "seed": options.seed, "checks": CHECKS, "phases": PHASES}
        outcome.write(EVIDENCE, version, parameters, holds, {caller: figures for caller, (_, figures) in results.items()})
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

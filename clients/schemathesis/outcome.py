"""What a run has found, from the events that Schemathesis writes and the server's log."""

import collections
import json
import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Outcome:
    """One caller's."""

    def __init__(self, caller, events):
        self.caller, self.statuses = caller, collections.defaultdict(collections.Counter)
        for line in events.read_text().splitlines():
            finished = json.loads(line).get("ScenarioFinished") or {}
            recorder = finished.get("recorder") or {}
            for interaction in (recorder.get("interactions") or {}).values():
                status = (interaction.get("response") or {}).get("status_code")
                self.statuses[recorder.get("label")][status] += 1

    def figures(self):
        """Requests, and how many operations have done at least once what they are for."""
        served = [name for name, statuses in self.statuses.items() if any(status and status < 300 for status in statuses)]
        codes = collections.Counter()
        for statuses in self.statuses.values():
            codes.update({str(status): count for status, count in statuses.items()})
        return {
            "requests": sum(codes.values()),
            "operations": len(self.statuses),
            "operations_that_succeeded": len(served),
            "by_status": dict(sorted(codes.items())),
        }


def faults(server, key, token):
    """What is wrong although no answer was."""
    found = [f"logged: {line[:500]}" for line in server.errors]
    if server.process.poll() is not None:
        return [*found, "the server has ended"]
    if server.ask("GET", "/admin/v1/me", token)[0] != 200:
        found.append("the caller was closed meanwhile, so that what came afterwards tested nothing")
    if server.ask("GET", "/health/ready", key)[0] != 200:
        found.append("the server is not ready any more")
    return found


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()


def write(file, version, parameters, holds, figures):
    """The evidence, in the form of the others."""
    document = {
        "name": "schemathesis",
        "command": "clients/schemathesis/run.py schemathesis --evidence",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "revision": said("git", "rev-parse", "HEAD"),
        "dirty": bool(said("git", "status", "--porcelain", "--untracked-files=no")),
        "machine": {"cpus": str(os.cpu_count()), "kernel": f"{platform.system()} {platform.release()}"},
        "parameters": {"schemathesis": version, **parameters},
        "holds": holds,
        "figures": figures,
    }
    file.write_text(json.dumps(document, indent=2) + "\n")

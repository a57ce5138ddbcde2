"""A Rowhouse of its own on free ports, with a worker, and requests to it. Leaves what is put into it to seed.py."""

import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

READY = "Rowhouse is ready"
START_LIMIT = 120
STOP_LIMIT = 30
# Tokens outlive the run, and no name server outside this machine is asked.
SETTINGS = """
environment = "development"
[auth]
access_token_lifetime = "12h"
session_idle_limit = "24h"
[domains]
name_server = "127.0.0.1:9"
per_tenant = 2000
per_organization = 2000
[tenancy]
organizations_per_user = 10000
tenants_per_organization = 10000
"""


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports():
    """A port P such that P, P+1, P+3 and P+4 are free: API, PostgreSQL, captured mail, SMTP."""
    for base in range(21_000, 60_000, 10):
        if all(is_free(base + offset) for offset in (0, 1, 3, 4)):
            return base
    raise SystemExit("no free ports")


class Server:
    """`rowhouse up` in a temporary folder."""

    def __init__(self, binary):
        self.binary, self.port, self.errors = str(binary), free_ports(), []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rowhouse-schemathesis-"))
        # As root, the database runs under another account, which needs access to the folder.
        self.folder.chmod(0o755)
        self.run("init", str(self.folder))
        (self.folder / "rowhouse.toml").write_text(SETTINGS)
        command = [self.binary, "up", "--dir", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.is_ready, self.said = threading.Event(), []
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        if not self.is_ready.wait(START_LIMIT):
            self.stop()
            raise SystemExit("the server did not start:\n" + "".join(self.said[-50:]))
        self.state = json.loads((self.folder / ".rowhouse" / "state.json").read_text())

    def listen(self):
        """Keeps the pipe empty, and what the server logs as errors."""
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith(READY):
                self.is_ready.set()
            if not self.is_ready.is_set():
                continue
            self.said.clear()
            if '"level":"ERROR"' in line or " ERROR " in line or "panicked" in line:
                self.errors.append(line.strip())

    def run(self, *arguments):
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"rowhouse {arguments[0]}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def ask(self, method, path, token, body=None, headers=()):
        """Status and JSON of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json", **dict(headers)}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(content)
        except ValueError:
            return answer.status, None

    def must(self, method, path, token, body=None, headers=()):
        """The JSON of a request that has to succeed."""
        status, answer = self.ask(method, path, token, body, headers)
        if not 200 <= status < 300:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

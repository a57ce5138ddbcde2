"""A scratch PostgreSQL with the suite's fixtures, and our server on it, one per configuration."""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from later import SECRET, filled

PASSWORD = "scratch-only-password-0123456789"
# Not the suite's superuser: our data plane refuses to start if it may switch to one.
ROLES = ("postgrest_test_anonymous", "postgrest_test_default_role", "postgrest_test_author")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binaries():
    """The folder of PostgreSQL's server programs."""
    found = shutil.which("initdb") or next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))[::-1]), None)
    if not found:
        raise SystemExit("initdb is missing: install PostgreSQL's server binaries")
    return pathlib.Path(found).resolve().parent


def server_version():
    """The server's major version times ten, as the suite's names have it."""
    version = subprocess.run([str(binaries() / "initdb"), "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+)", version)[1]) * 10


class Cluster:
    """PostgreSQL in a temporary folder; under root as the account postgres."""

    def __init__(self):
        self.folder, self.port, self.bin = tempfile.mkdtemp(prefix="postgrest-spec-"), free_port(), binaries()
        self.prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.prefix:
            shutil.chown(self.folder, "postgres")
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        options = f"-p {self.port} -k {self.folder} -c fsync=off -c listen_addresses=127.0.0.1 -c compute_query_id=on"
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def run(self, program, *arguments):
        done = subprocess.run([*self.prefix, str(self.bin / program), *arguments], capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            raise SystemExit(f"{program}: {done.stdout}{done.stderr}")

    def psql(self, *arguments, database="postgres"):
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, env={**os.environ, "PGUSER": "postgres"}, check=False)

    def load(self, fixtures):
        """Loads the suite's fixtures in its own order. Failures because of a missing extension are printed."""
        self.psql("-c", "create database spec")
        for name in ("database", "roles", "schema", "jwt", "jsonschema", "privileges", "data"):
            done = self.psql(
                *("-v", "DBNAME=spec", "-v", "PGUSER=postgres", "-v", "ON_ERROR_STOP=0", "-f", str(fixtures / f"{name}.sql")),
                database="spec",
            )
            for line in done.stderr.splitlines():
                if "ERROR" in line or done.returncode:
                    print(f"fixture: {line.split(':', 1)[-1]}")
        # Some cases expect the planner's estimates.
        self.psql("-c", "analyze", database="spec")

    def stop(self):
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def environment(config):
    """Our variables for one of the suite's configurations; None where we have no such setting."""
    known = {
        "configDbAggregates": lambda v: {"REST__AGGREGATES": v.lower()},
        "configDbPlanEnabled": lambda v: {"REST__PLAN_ENABLED": v.lower()},
        "configDbMaxRows": lambda v: {"REST__MAX_ROWS": v.split()[-1]},
        "configDbSchemas": lambda v: {"REST__SCHEMAS": ",".join(texts(v))},
        "configDbExtraSearchPath": lambda v: {"REST__EXTRA_SEARCH_PATH": ",".join(texts(v))},
        "configDbPreRequest": lambda v: {"REST__PRE_REQUEST": ".".join(texts(v))},
        "configDbPreparedStatements": lambda v: {},
        "configJwtCacheMaxEntries": lambda v: {},
        "configJWKS": lambda v: {},
        # Names a function that changes settings; its case is about the name.
        "configDbPreConfig": lambda v: {},
        "configOpenApiSecurityActive": lambda v: {"REST__OPENAPI_SECURITY_ACTIVE": v.lower()},
        "configServerTimingEnabled": lambda v: {"REST__SERVER_TIMING": v.lower()},
        "configJwtSecret": secret,
        "configJwtAudience": lambda v: {"AUTH__JWT_AUD": ",".join(texts(v))},
        "configDbAnonRole": lambda v: {"REST__ANON_ROLE": ",".join(texts(v))},
        "configDbTxAllowOverride": lambda v: {"allow": v},
        "configDbTxRollbackAll": lambda v: {"rollback": v},
        "configOpenApiMode": lambda v: {"REST__OPENAPI_MODE": {"OADisabled": "disabled", "OAIgnorePriv": "ignore-privileges"}[v]},
        "configDbRootSpec": lambda v: {"REST__ROOT_SPEC": ".".join(texts(v))},
        "configServerTraceHeader": lambda v: {"REST__TRACE_HEADER": texts(v)[0]},
        "configClientErrorVerbosity": lambda v: {"REST__CLIENT_ERROR_VERBOSITY": v.lower()},
        "configUrlUseLegacyTargetNames": lambda v: {"REST__LEGACY_TARGET_NAMES": v.lower()},
        "configServerCorsAllowedOrigins": lambda v: {"SERVER__CORS_ORIGINS": ",".join(texts(v))} if texts(v) else {},
    }
    changed = {}
    for key, value in re.findall(r"(config\w+)\s*=\s*(.*?)(?=,\s*config|$)", config):
        if key not in known:
            return None
        changed.update(known[key](value.strip()))
    end = "rollback" if changed.pop("rollback", "True") == "True" else "commit"
    override = changed.pop("allow", "True") == "True"
    changed["REST__TX_END"] = end + ("-allow-override" if override else "")
    return changed


def secret(haskell):
    """The helper's secret as base64, a JWK or JWK set as it is written, or none."""
    given = haskell.removeprefix("Just ")
    if given == "generateSecret":
        return {"AUTH__JWT_SECRET": base64.b64encode(SECRET.encode()).decode(), "AUTH__JWT_SECRET_IS_BASE64": "true"}
    return {"AUTH__JWT_SECRET": None if given == "Nothing" else given}


def texts(haskell):
    return [json.loads(text) for text in re.findall(r'"(?:\\.|[^"\\])*"', haskell)]


class Server:
    """Our server under one configuration."""

    def __init__(self, binary, cluster, changed):
        self.port, self.last_headers = free_port(), []
        url = f"postgres://postgres@127.0.0.1:{cluster.port}/spec"
        settings = {
            "DATABASE_URL": url,
            "ROWHOUSE_ENVIRONMENT": "development",
            "ROWHOUSE_SERVER__PORT": str(self.port),
            "ROWHOUSE_DB__APPLY_MIGRATIONS": "true",
            # As upstream's servers, which have none: the function that validates descriptions is slow.
            "ROWHOUSE_DB__STATEMENT_TIMEOUT": "60s",
            "ROWHOUSE_DB__AUTHENTICATOR_PASSWORD": PASSWORD,
            "ROWHOUSE_DB__AUTHENTICATOR_SERVICE_PASSWORD": PASSWORD,
            "ROWHOUSE_AUTH__JWT_SECRET": SECRET,
            "ROWHOUSE_AUTH__KEY_SECRET": PASSWORD * 2,
            "ROWHOUSE_AUTH__LIVE_SESSIONS": "false",
            "ROWHOUSE_REST__SCHEMAS": "test",
            "ROWHOUSE_REST__ANON_ROLE": "postgrest_test_anonymous",
            "ROWHOUSE_REST__PRE_REQUEST": "test.switch_role",
            "ROWHOUSE_REST__EXTRA_SEARCH_PATH": "",
            "ROWHOUSE_REST__SERVER_TIMING": "true",
            "ROWHOUSE_REST__APP_SETTINGS": '{"app_host":"localhost","external_api_secret":"0123456789abcdef"}',
            **{f"ROWHOUSE_{key}": value for key, value in changed.items()},
        }
        settings = {key: value for key, value in settings.items() if value is not None}
        self.folder = tempfile.mkdtemp(prefix="postgrest-spec-project-")
        self.log = open(f"{self.folder}/log", "w+", encoding="utf-8")
        # The database has the suite's tables already, so that revoking rights from PUBLIC has to be confirmed.
        subprocess.run(
            [str(binary), "migrate", "up", "--yes", "--dir", self.folder],
            env={**os.environ, **settings}, stdout=self.log, stderr=self.log, check=False,
        )
        self.process = subprocess.Popen(
            [str(binary), "serve", "--dir", self.folder], env={**os.environ, **settings}, stdout=self.log, stderr=self.log
        )
        self.wait()
        for role in ROLES:
            cluster.psql("-c", f"grant {role} to authenticator", database="spec")

    def wait(self):
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                if self.send("GET", "/health/ready", [], None, base="")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.log.seek(0)
        raise SystemExit(f"the server did not start: {self.log.read()[-2000:]}")

    def send(self, method, path, headers, body, base="/rest/v1"):
        """Status, headers, body and reason phrase of one request."""
        path, body = filled(path, self.last_headers), filled(body, self.last_headers)
        headers = [(name, filled(value, self.last_headers)) for name, value in headers]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        names = {name.lower() for name, _ in headers}
        connection.putrequest(method, base + path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("utf-8") if isinstance(value, str) else value)
        data = body.encode() if isinstance(body, str) else body
        if data:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data or None)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.getheader("Location"):
            self.last_headers = answer.getheaders()
        return answer.status, answer.getheaders(), content, answer.reason

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

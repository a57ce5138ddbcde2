"""An SMTP server (aiosmtpd) that does what the recipient's local part says, and tells on standard output what it got.

Usage: peer.py FOLDER PLAIN|STARTTLS|IMPLICIT PORT (0: any). First line: its port. Then one JSON line per message that it took.
  bare…    550 without more at RCPT
  later…   451 the first time, then taken        nobody…  550 5.1.1 at RCPT
  spam…    550 5.7.1 after DATA                  cut…     taken, but the connection is cut before the reply, once
  silent…  no reply at all
"""

import asyncio
import json
import logging
import pathlib
import ssl
import subprocess
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# What it thinks of its clients would only be noise among the results of tests.
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

SEEN = set()


def first(key):
    is_first = key not in SEEN
    SEEN.add(key)
    return is_first


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bare"):
            return "550 no, thank you"
        if address.startswith("nobody"):
            return "550 5.1.1 no such user here"
        if address.startswith("later") and first(address):
            return "451 4.7.1 greylisted, try again in 300 seconds"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        to = envelope.rcpt_tos[0]
        if to.startswith("silent"):
            await asyncio.Event().wait()
        if to.startswith("spam"):
            return "550 5.7.1 refused as spam"
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "mime": envelope.content.decode("utf-8"),
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.decode() if session.auth_data else None,
        }
        print(json.dumps(line), flush=True)
        if to.startswith("cut") and first(to):
            server.transport.abort()
        return "250 2.0.0 taken"


def certificate(folder):
    config = folder / "openssl.cnf"
    config.write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=localhost\n"
        "[v3]\nsubjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n"
    )
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-config", config]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (b"user", b"right")
    return AuthResult(success=is_right, handled=is_right, auth_data=data.login)


async def main():
    folder, mode, port = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    implicit = certificate(folder) if mode == "IMPLICIT" else None
    options = {"hostname": "peer.example", "enable_SMTPUTF8": mode != "ASCII"}
    if mode == "STARTTLS":
        options |= {
            "tls_context": certificate(folder),
            "require_starttls": True,
            "auth_required": True,
            "authenticator": authenticate,
        }
    if implicit:
        # aiosmtpd takes only STARTTLS for encryption when it asks whether a sign-in may be offered.
        options |= {"auth_required": True, "auth_require_tls": False, "authenticator": authenticate}
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Handler(), loop=loop, **options)
    server = await loop.create_server(make, "127.0.0.1", port, ssl=implicit, reuse_address=True)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with the test that holds the other end.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())

"""An SMTP server (aiosmtpd) that takes every mail. It tells of each on standard output, as a line of JSON, before it answers,
and takes its time to answer, so that there is always a mail whose sender does not know yet that it has arrived.

Usage: sink.py PORT SECONDS. First line: ready. Ends with its standard input.
"""

import asyncio
import email
import json
import logging
import sys
import warnings

from aiosmtpd.smtp import SMTP

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


class Handler:
    def __init__(self, pause):
        self.pause = pause

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content)
        line = {"to": envelope.rcpt_tos[0], "message_id": message["message-id"], "subject": message["subject"]}
        print(json.dumps(line), flush=True)
        await asyncio.sleep(self.pause)
        return "250 2.0.0 taken"


async def main():
    port, handler = int(sys.argv[1]), Handler(float(sys.argv[2]))
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(handler, hostname="sink.example", loop=loop)
    server = await loop.create_server(make, "127.0.0.1", port, reuse_address=True)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())

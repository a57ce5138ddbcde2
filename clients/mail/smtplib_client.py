"""Submits mails with Python's smtplib and prints the replies as JSON."""
import json
import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTP

port, key = int(sys.argv[1]), sys.argv[2]
results = {}


def mail(subject, text, **options):
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "py@x.example", "bob@y.example", subject
    message.set_content(text, **options)
    return message


def code_of(action):
    try:
        return action()
    except smtplib.SMTPResponseException as error:
        return error.smtp_code


with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
    results["signed_in"] = smtp.login("service_role", key)[0]
    results["refused"] = smtp.send_message(mail("from python", "Grüße"))
    results["eight_bit"] = smtp.send_message(mail("eight bits", "Grüße", cte="8bit"))
    large = b"x" * 70 + b"\r\n"
    large = b"From: py@x.example\r\n\r\n" + large * (27 * 1024 * 1024 // len(large))
    results["too_large"] = code_of(lambda: smtp.sendmail("py@x.example", "bob@y.example", large))
    smtp.rset()
    smtp.mail("py@x.example")
    smtp.rcpt("bob@y.example")
    results["too_large_unannounced"] = smtp.data(large)[0]
    long_line = b"From: py@x.example\r\n\r\n" + b"x" * 2000 + b"\r\n"
    results["long_line"] = code_of(lambda: smtp.sendmail("py@x.example", "bob@y.example", long_line))
print(json.dumps(results))

"""Runs pubby's server, with its adapter for Flask, on loopback. README.md says what it answers.

The port is the first line of the output.
"""

import json
import logging
import os
import socket
import sys

import requests
from flask import Flask, Response, jsonify, request
from pubby import ActivityPubHandler
from pubby._model import ActivityDisposition
from pubby.crypto import generate_rsa_keypair, sign_request
from pubby.server.adapters.flask import bind_activitypub
from pubby.storage.adapters.file import FileActivityPubStorage
from werkzeug.serving import make_server

import libraries

INBOX = "/user/inbox"


class Application:
    """The answers of the application around pubby, and what pubby made of each request to the inbox."""

    def __init__(self, origin):
        self.origin = origin
        self.log = []
        self.answer = None
        self.heard = None
        self.private_key = generate_rsa_keypair()[0]
        self.handler = ActivityPubHandler(
            storage=FileActivityPubStorage("storage"),
            actor_config={
                "base_url": origin,
                "username": "actor",
                "actor_path": "/user/actor",
                "inbox_path": INBOX,
            },
            private_key=self.private_key,
            async_delivery=False,
            allow_private_targets=True,
            on_activity=self.hear,
        )

    def hear(self, activity, document):
        self.heard = {"activity": document}
        return ActivityDisposition.HANDLED

    def judged(self, response):
        """Notes pubby's verdict on a request to the inbox, and gives the application's answer to what it accepted."""
        if request.path != INBOX:
            return response
        accepted = response.status_code < 300
        refusal = None if accepted else response.get_data(as_text=True)
        scheme = libraries.scheme({name.lower(): value for name, value in request.headers.items()})
        self.log.append({"scheme": scheme, "status": response.status_code, "refusal": refusal, "heard": self.heard})
        self.heard = None
        if not accepted or self.answer is None:
            return response
        body = json.dumps(self.answer["body"])
        return Response(body, status=self.answer["status"], content_type=libraries.CONTENT_TYPE)

    def answered(self):
        self.answer = request.get_json()
        return jsonify(None)

    def send(self):
        """Signs with pubby and delivers. Pubby's own `deliver_activity` does the same, but returns the status only."""
        order = request.get_json()
        body = json.dumps(order["activity"]).encode()
        headers = {"Content-Type": libraries.CONTENT_TYPE}
        signed = sign_request(self.private_key, self.handler.key_id, "POST", order["inbox"], body, headers)
        answer = requests.post(order["inbox"], data=body, headers=signed, timeout=30)
        return jsonify({"status": answer.status_code, "body": answer.text})


def main():
    logging.disable(logging.CRITICAL)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = Flask("pubby_server")
    application = Application(f"http://127.0.0.1:{port}")
    app.after_request(application.judged)
    app.get("/log")(lambda: jsonify(application.log))
    app.post("/answer")(application.answered)
    app.post("/send")(application.send)
    bind_activitypub(app, application.handler, prefix="/user")
    print(port, flush=True)
    # Werkzeug announces itself on the standard output.
    sys.stdout = open(os.devnull, "w")
    make_server("127.0.0.1", port, app, threaded=True, fd=listener.fileno()).serve_forever()


main()

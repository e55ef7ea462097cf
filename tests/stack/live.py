"""A device on a socket: its access token, and its end of the WebSocket."""

import base64
import hashlib
import hmac
import json
import socket
import time

import wsproto
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage


def access_token(token_keys, origin, user, device):
    """Signs an access token with the first of the server's token keys."""
    key_id, secret = token_keys.split(",")[0].split(":")
    now = int(time.time())
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    header = {"alg": "HS256", "typ": "at+jwt", "kid": key_id}
    claims = {"iss": origin, "aud": origin, "sub": user, "dev": device, "iat": now, "exp": now + 900}
    signed = b".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return (signed + b"." + encode(hmac.digest(base64.b64decode(secret), signed, hashlib.sha256))).decode()


class DeviceSocket:
    """The client of one WebSocket."""

    def __init__(self, url, token=None):
        host, self.path = url.removeprefix("ws://").split("/", 1)
        self.stream = socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=60)
        self.connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        headers = [("Authorization", f"Bearer {token}")] if token else []
        self.send(Request(host=host, target=f"/{self.path}", extra_headers=headers))
        self.accepted = isinstance(self.next(), AcceptConnection)

    def send(self, event):
        self.stream.sendall(self.connection.send(event))

    def say(self, frame):
        """Sends a frame."""
        self.send(TextMessage(data=json.dumps(frame)))

    def hear(self):
        """Waits for the next frame."""
        event = self.next()
        if not isinstance(event, TextMessage):
            raise SystemExit(f"the socket got {event!r}")
        return json.loads(event.data)

    def next(self):
        """Waits for the next whole event of the connection."""
        text = ""
        while True:
            for event in self.connection.events():
                if isinstance(event, TextMessage):
                    text += event.data
                    if not event.message_finished:
                        continue
                    event = TextMessage(data=text)
                if isinstance(event, (AcceptConnection, RejectConnection, CloseConnection, TextMessage)):
                    return event
            received = self.stream.recv(65536)
            if not received:
                return CloseConnection(code=1006)
            self.connection.receive_data(received)

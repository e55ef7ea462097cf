"""Runs fediverse-pasture's one-actor server on loopback.

The server is unchanged, apart from a free port, a log, and a way to have it send. The port is the first line of the
output.

* `GET /log` returns each request with the answer to it. The inbox accepts signed requests only, and the actor is shown
  to signed requests only.
* `POST /send` has it deliver. `{"to": ACTOR, "note": "text"}` is sent by pasture's own sender. `{"inbox": URL,
  "activity": {...}}` is sent by bovine, the library that the sender is made of: the sender itself can only send notes.
"""

import argparse
import asyncio
import logging
import socket

import aiohttp
from fediverse_pasture.data_provider import DataProvider, bovine_actor_for_actor_data
from fediverse_pasture.runner import ActivitySender
from fediverse_pasture.server.one_actor_app import app_for_data_provider
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import request

import libraries


def app_at(origin):
    """Returns the server's application with the two added paths."""
    data = DataProvider.generate(with_possible_actors=False)
    data.one_actor.requires_signed_get_for_actor = True
    data.one_actor.requires_signed_post_for_inbox = True
    app = app_for_data_provider(data)
    log = []

    @app.after_request
    async def note(response):
        if request.path.startswith("/actor"):
            scheme = libraries.scheme(request.headers)
            activity = await request.get_json() if request.method == "POST" else None
            status = response.status_code
            log.append({"method": request.method, "scheme": scheme, "status": status, "activity": activity})
        return response

    @app.get("/log")
    async def logged():
        return log

    @app.post("/send")
    async def send():
        order = await request.get_json(force=True)
        bovine_actor, actor = bovine_actor_for_actor_data(f"{origin}/actor", data.one_actor)
        async with aiohttp.ClientSession() as session:
            await bovine_actor.init(session=session)
            try:
                if "note" in order:
                    sender = ActivitySender.for_actor(bovine_actor, actor)
                    sender.init_create_note(lambda note: {**note, "content": order["note"]})
                    answer = await sender.send(order["to"])
                else:
                    answer = await bovine_actor.post(order["inbox"], order["activity"])
                return {"status": answer.status, "body": await answer.text()}
            except aiohttp.ClientResponseError as error:
                return {"status": error.status, "body": ""}

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 for any free one")
    listener = socket.create_server(("127.0.0.1", parser.parse_args().port))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    # It logs what it receives as errors.
    logging.disable(logging.CRITICAL)
    print(port, flush=True)
    asyncio.run(serve(app_at(f"http://127.0.0.1:{port}"), config))


main()

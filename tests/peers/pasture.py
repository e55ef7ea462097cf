"""Runs fediverse-pasture's one-actor server on loopback.

The server is unchanged, apart from a free port, a log, and a way to have it send. The port is the first line of the
output.

README.md says what it answers. The log also has the requests for the actor. The inbox accepts signed requests only, and
the actor is shown to signed requests only. An order `{"to": ACTOR, "note": "text"}` to send is for pasture's own sender.
An activity is sent by bovine, the library that the sender is made of: the sender itself can only send notes.
"""

import argparse
import asyncio
import json
import logging
import socket

import aiohttp
from fediverse_pasture.data_provider import DataProvider, bovine_actor_for_actor_data
from fediverse_pasture.runner import ActivitySender
from fediverse_pasture.server.one_actor_app import app_for_data_provider
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Response, request

import libraries


def app_at(origin):
    """Returns the server's application with the two added paths."""
    data = DataProvider.generate(with_possible_actors=False)
    data.one_actor.requires_signed_get_for_actor = True
    data.one_actor.requires_signed_post_for_inbox = True
    app = app_for_data_provider(data)
    log = []
    answers = []

    @app.after_request
    async def note(response):
        if request.path.startswith("/actor"):
            scheme = libraries.scheme(request.headers)
            activity = await request.get_json() if request.method == "POST" else None
            status = response.status_code
            refusal = None if status < 300 else f"status {status}"
            heard = None if refusal else {"activity": activity}
            entry = {"method": request.method, "scheme": scheme, "status": status, "activity": activity}
            log.append({**entry, "refusal": refusal, "heard": heard})
            if activity and not refusal and answers[-1:] not in ([], [None]):
                answer = answers[-1]
                return Response(json.dumps(answer["body"]), answer["status"], content_type=libraries.CONTENT_TYPE)
        return response

    @app.post("/answer")
    async def answered():
        answers.append(await request.get_json(force=True))
        return {}

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
                # bovine keeps the body of an error to itself.
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

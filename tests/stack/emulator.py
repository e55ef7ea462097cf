"""Runs ministack with faults of its version 1.4.21 corrected, which AWS does not have.

* When a function's process has answered an event and asks for the next one, ministack gives it the same event again
  until the process is ended. A function then sometimes ran twice, and the second answer was taken for the first.
* Of the functions with an executable of their own, ministack runs none for a WebSocket API.
* What is posted to a connection comes to the client as binary messages.
"""

import inspect

from ministack import app
from ministack.services import apigateway, lambda_svc


def correct(module, function, old, new):
    """Replaces the only occurrence of a text in a function."""
    source = inspect.getsource(getattr(module, function))
    if source.count(old) != 1:
        raise SystemExit(f"ministack has changed: see whether {function} still needs the correction")
    exec(source.replace(old, new), vars(module))


SERVED = 'if "/runtime/invocation/next" in self.path:'
correct(lambda_svc, "_execute_function_provided", SERVED,
        "if not event_served.is_set() and " + SERVED.removeprefix("if "))

correct(apigateway, "_invoke_ws_lambda",
        """    # Image/unsupported runtime stub — success without body.
    return {"statusCode": 200, "body": ""}
""",
        """    record = lambda_svc._execution_record_for_config(func_data, func_config)
    result = await asyncio.to_thread(lambda_svc._execute_function_with_config_scope, record, event)
    return lambda_svc.lambda_execute_result_to_api_proxy_response(result)[0]
""")

correct(apigateway, "handle_websocket", 'await send({"type": "websocket.send", "bytes": item})',
        'await send({"type": "websocket.send", "text": item.decode()})')

app.main()

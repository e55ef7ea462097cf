"""Runs ministack with a fault of its version 1.4.21 corrected.

When a function's process has answered an event and asks for the next one, ministack 1.4.21 gives it the same event
again until the process is ended. A function then sometimes ran twice, and the second answer was taken for the first.
AWS does not do that to a request.
"""

import inspect

from ministack import app
from ministack.services import lambda_svc

SERVED = 'if "/runtime/invocation/next" in self.path:'
CORRECTED = "if not event_served.is_set() and " + SERVED.removeprefix("if ")

source = inspect.getsource(lambda_svc._execute_function_provided)
if source.count(SERVED) != 1:
    raise SystemExit("ministack has changed: see whether it still needs the correction")
exec(source.replace(SERVED, CORRECTED), vars(lambda_svc))
app.main()

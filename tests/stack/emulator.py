"""ministack, with a fault of its version 1.4.21 mended.

It gives a process the same event again when that has answered and asks for the next, until it is ended: a function ran
twice now and then, and the second answer was taken for the first. AWS does not do that to a request."""

import inspect

from ministack import app
from ministack.services import lambda_svc

SERVED = 'if "/runtime/invocation/next" in self.path:'
MENDED = "if not event_served.is_set() and " + SERVED.removeprefix("if ")

source = inspect.getsource(lambda_svc._execute_function_provided)
if source.count(SERVED) != 1:
    raise SystemExit("this ministack is another: see whether it still needs mending")
exec(source.replace(SERVED, MENDED), vars(lambda_svc))
app.main()

"""Deploys infra/template.yaml to ministack, an emulator of AWS, and plays the demo against it.

README.md says how to run it and what it does not test.
"""

import argparse
import base64
import contextlib
import http.client
import http.server
import io
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import boto3
from botocore.config import Config

from live import DeviceSocket, access_token

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "infra" / "template.yaml"
REGION = "eu-central-1"
STACK = "eko-messages"

# The names of the expectations that were met so far.
verified = []


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bootstraps", type=pathlib.Path, required=True,
                           help="folder with NAME/bootstrap or NAME for each function")
    arguments.add_argument("--eko-local", type=pathlib.Path, required=True, help="for the issuer and the demo")
    arguments.add_argument("--keep", action="store_true", help="leave it running until ^C")
    options = arguments.parse_args()
    with contextlib.ExitStack() as until_end:
        folder = pathlib.Path(until_end.enter_context(tempfile.TemporaryDirectory(prefix="eko-stack-")))
        began = time.monotonic()
        issuer = start_issuer(options.eko_local, until_end)
        aws = start_ministack(folder, until_end)
        token_keys = put_secrets(aws)
        stack = deploy(aws, options.bootstraps, issuer)
        say(began, f"{len(stack)} resources created")
        check_stack(aws, stack)
        address = start_proxy(aws.port, stack["Api"], issuer, until_end)
        check_api(address, aws.origin(stack["Api"]))
        say(began, "the API answers")
        requests = play_demo(options.eko_local, address)
        say(began, f"the demo is through: {requests} requests")
        check_sockets(aws, stack, token_keys)
        say(began, "a device is on a socket")
        check_queues(aws, stack)
        say(began, "the queues run their functions; what fails stays, and only that")
        print(f"{len(verified)} verified, 0 failed")
        if options.keep:
            print(f"the API is at {address}, AWS at {aws.url}; ^C ends it")
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()


class Aws:
    """The running emulator, and AWS SDK clients for it."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service):
        settings = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test", config=settings)

    def origin(self, api):
        return f"http://{api}.execute-api.localhost:{self.port}"

    def live(self, api):
        return f"127.0.0.1:{self.port}/_aws/execute-api/{api}/live"


def start_issuer(eko_local, until_end):
    """Starts a local server for its development issuer, and returns the issuer's URL."""
    server = start([eko_local, "--port", "0"], until_end, stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        if "listens on " in line:
            return line.split("listens on ")[1].strip() + "/dev/oidc"
    raise SystemExit("eko-local does not start")


def start_ministack(folder, until_end):
    """Starts the emulator, which shows the end of its log if the test fails."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "TMPDIR": str(folder),
        "LOG_LEVEL": "WARNING",
        # The functions inherit these variables. In AWS they find services by region, and the issuer
        # is at https.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DANGER_ALLOW_LOOPBACK_HTTP": "1",
    }
    log = until_end.enter_context(open(folder / "ministack.log", "wb"))

    def show_log(failure, *_):
        if failure:
            sys.stderr.write((folder / "ministack.log").read_text()[-8000:])

    until_end.push(show_log)
    start([sys.executable, pathlib.Path(__file__).with_name("emulator.py")], until_end, env=environment, stdout=log, stderr=log)
    aws = Aws(port)
    wait("ministack does not start", lambda: ask(aws.url, "GET", "/_ministack/health")[0] == 200, 60)
    return aws


def put_secrets(aws):
    """Makes two secrets as docs/deploy.md says, and stores them as parameters. Returns the token keys."""
    token_keys = "1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    make = ["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    signing_key = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    for name, value in {"token-keys": token_keys, "signing-key": signing_key}.items():
        aws.client("ssm").put_parameter(Name=f"/{STACK}/{name}", Type="SecureString", Value=value)
    return token_keys


def deploy(aws, bootstraps, issuer):
    """Uploads the functions and deploys the template, as `sam package` and `sam deploy` do.

    Returns the physical ids of the resources by their names in the template.
    """
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})

    def packaged(match):
        name = match.group(1)
        s3.put_object(Bucket="code", Key=f"{name}.zip", Body=zipped(bootstraps, name))
        return f"CodeUri: s3://code/{name}.zip"

    # The template is changed in three places: here, at the address of the WebSocket API, and by leaving
    # out alarms on expressions and metric filters, which ministack lacks.
    template, functions = re.subn(r"CodeUri: \.\./functions/(\S+)", packaged, TEMPLATE.read_text())
    expect("functions in the template", functions, len(list((REPOSITORY / "functions").iterdir())))
    for scheme in ["wss", "https"]:
        address = f"{scheme}://${{LiveApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/live"
        expect(f"the template's {scheme} address of the WebSocket API", address in template, True)
        emulated = aws.live("${LiveApi}")
        template = template.replace(address, {"wss": "ws", "https": "http"}[scheme] + f"://{emulated}")
    on_expression = lambda block: "AWS::CloudWatch::Alarm" in block and "\n      Metrics:\n" in block
    is_lacking = lambda block: on_expression(block) or "AWS::Logs::MetricFilter" in block
    template = "\n\n".join(block for block in template.split("\n\n") if not is_lacking(block))
    s3.put_object(Bucket="code", Key="template.yaml", Body=template)
    parameters = {"OidcIssuer": issuer, "OidcAudience": "eko-local", "AlarmEmail": "operator@example.com"}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_change_set(
        StackName=STACK, ChangeSetName="first", ChangeSetType="CREATE", TemplateURL=f"{aws.url}/code/template.yaml",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()])
    status = lambda: cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    made = lambda: cloudformation.describe_change_set(StackName=STACK, ChangeSetName="first")["Status"]
    wait("no change set", lambda: made() == "CREATE_COMPLETE", 30)
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="first")
    wait("the stack is not complete", lambda: status() not in ("REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS"), 120)
    if status() != "CREATE_COMPLETE":
        for event in reversed(cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]):
            print(event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason", ""))
        raise SystemExit(f"the stack is {status()}")
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}


def zipped(bootstraps, name):
    """Returns the zip of a function: one file, `bootstrap`, without symbols."""
    file = bootstraps / name / "bootstrap"
    file = file if file.is_file() else bootstraps / name
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    content = io.BytesIO()
    with tempfile.NamedTemporaryFile() as stripped, zipfile.ZipFile(content, "w") as archive:
        # The release profile strips as well. Half of a debug build is symbols.
        subprocess.run(["strip", "-o", stripped.name, file], check=True)
        archive.writestr(entry, stripped.read())
    return content.getvalue()


def check_stack(aws, stack):
    """Checks the properties of the table, the queues and the functions that the code relies on."""
    table = aws.client("dynamodb").describe_table(TableName=stack["Table"])["Table"]
    keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
    expect("the table's key", keys, {"HASH": "pk", "RANGE": "sk"})
    sqs = aws.client("sqs")
    for queue, visibility in [("Deliveries", "30"), ("Federation", "90")]:
        found = sqs.get_queue_attributes(QueueUrl=stack[queue], AttributeNames=["All"])["Attributes"]
        expect(f"visibility of {queue}", found["VisibilityTimeout"], visibility)
        expect(f"largest message of {queue}", found["MaximumMessageSize"], str(1 << 20))
    functions = aws.client("lambda").list_functions()["Functions"]
    shown = json.dumps([function["Environment"] for function in functions])
    expect("a secret in the environment", "PRIVATE KEY" in shown or "TOKEN_KEYS\"" in shown, False)


def start_proxy(port, api, issuer, until_end):
    """Starts a proxy in place of DNS, and returns its URL.

    It sends requests to the API under the API's name, and requests for the issuer to the issuer, since the demo sends
    everything to one address.
    """

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            to, host = f"http://127.0.0.1:{port}", f"{api}.execute-api.localhost:{port}"
            if self.path.startswith("/dev/oidc/"):
                to = issuer.removesuffix("/dev/oidc")
                host = to.removeprefix("http://")
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            status, answered, content = ask(to, self.command, self.path, body, headers | {"Host": host})
            self.send_response_only(status)
            for name, value in answered.items():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = forward

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    until_end.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_address[1]}"


def check_api(address, origin):
    """Checks answers of the API that need no user."""
    status, _, body = ask(address, "GET", "/.well-known/ecp")
    expect("GET /.well-known/ecp", status, 200)
    capabilities = json.loads(body)
    expect("the origin that it shows", capabilities["origin"], origin)
    expect("whether it federates", capabilities["federation"], True)
    status, _, body = ask(address, "GET", "/actor")
    expect("the server's public key", status == 200 and "PUBLIC KEY" in json.loads(body)["publicKey"]["publicKeyPem"], True)
    status, _, body = ask(address, "GET", "/user/nobody/devices")
    expect("an unknown user", (status, json.loads(body)["status"]), (404, 404))
    expect("a path without a route", ask(address, "GET", "/nowhere")[0], 404)


def play_demo(eko_local, address):
    """Plays the demo against the API, and returns the number of its requests."""
    played = subprocess.run([eko_local, "demo", "--url", address], stdout=subprocess.PIPE, text=True, timeout=300)
    print(played.stdout)
    expect("the demo's exit code", played.returncode, 0)
    return int(re.search(r"^(\d+) requests, all as expected", played.stdout, re.MULTILINE)[1])


def check_sockets(aws, stack, token_keys):
    """Checks that a device of the demo can connect, fetch, get a new entry, and acknowledge it."""
    table = {"TableName": stack["Table"]}
    users = aws.client("dynamodb").scan(**table, FilterExpression="sk = :s", ExpressionAttributeValues={":s": {"S": "DEVICES"}})
    sets = {item["pk"]["S"].removeprefix("U#"): item["a"]["M"] for item in users["Items"]}
    user = next(name for name in sets if name.startswith("alice"))
    device = next(iter(sets[user]))
    url = f"ws://{aws.live(stack['LiveApi'])}"
    expect("a connection without a token", DeviceSocket(url).accepted, False)
    device_socket = DeviceSocket(url, access_token(token_keys, aws.origin(stack["Api"]), user, device))
    expect("a connection with a token", device_socket.accepted, True)
    device_socket.say({"type": "Fetch", "id": "1"})
    backlog = device_socket.hear()
    expect("the backlog", (backlog["type"], backlog["object"]), ("QueueEmpty", "1"))
    report = {"kind": "report", "to": user, "entry": f"{int(time.time() * 1000):012x}-" + "1" * 32,
              "ttl": int(time.time()) + 600, "charged_to": "https://eko.example/user/somebody",
              "activity": {"type": "Delivered"}}
    aws.client("sqs").send_message(QueueUrl=stack["Deliveries"], MessageBody=json.dumps(report))
    entry = device_socket.hear()["eko:entry"]
    expect("the entry's address", entry.endswith(report["entry"]), True)
    device_socket.say({"type": "Delivered", "id": "2", "object": entry})
    expect("the acknowledgement", device_socket.hear(), {"type": "Accept", "object": "2"})
    device_socket.say({"type": "Create", "id": "3"})
    expect("a bad frame", device_socket.hear()["problem"]["status"], 422)


def check_queues(aws, stack):
    """Checks that the queues run their functions, and that only what fails stays in them."""
    sqs = aws.client("sqs")

    def left(queue):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=stack[queue], AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    for queue in ["Deliveries", "DeliveriesDlq", "Federation", "FederationDlq"]:
        wait(f"{queue} is not empty after the demo", lambda: left(queue) == 0, 30)
    # A report for a user who does not exist is handled. A message that is no delivery fails, and
    # stays in the queue.
    now = int(time.time())
    report = {"kind": "report", "to": "nobody", "entry": "0" * 12 + "-" + "0" * 32, "ttl": now + 60,
              "charged_to": "https://eko.example/user/somebody", "activity": {}}
    sqs.send_message_batch(QueueUrl=stack["Deliveries"], Entries=[
        {"Id": "good", "MessageBody": json.dumps(report)}, {"Id": "bad", "MessageBody": "no delivery"}])
    wait("deliver did not take one of two", lambda: left("Deliveries") == 1, 30)
    # The other server is not there: federate records the failure and hides the parcel until the
    # next try.
    gone = f"localhost:{free_port()}"
    parcel = {"to": f"http://{gone}/user/bob", "author": "nobody", "first_ms": now * 1000, "body": {"text": "{}"}}
    sqs.send_message(QueueUrl=stack["Federation"], MessageBody=json.dumps(parcel))
    key = {"pk": {"S": f"H#{gone}"}, "sk": {"S": "HOST"}}
    host = lambda: aws.client("dynamodb").get_item(TableName=stack["Table"], Key=key).get("Item", {})
    wait("federate did not note the failure", lambda: host().get("n") == {"N": "1"}, 30)
    expect("parcels that wait", left("Federation"), 1)
    expect("what deliver gave up so far", left("DeliveriesDlq"), 0)


def start(command, until_end, **settings):
    """Starts a process that is ended with the test."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **settings)

    def end():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    until_end.callback(end)
    return process


def ask(base, method, path, body=b"", headers=None):
    """Sends one HTTP request, and returns the status, the headers and the body of the answer."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def wait(failure, until, seconds):
    """Waits until `until` returns true, and exits with the text `failure` if it does not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionError):
            if until():
                verified.append(failure)
                return
        time.sleep(0.2)
    raise SystemExit(failure)


def expect(what, found, wanted):
    """Exits unless the found value is the wanted one."""
    if found != wanted:
        raise SystemExit(f"{what}: {found!r}, not {wanted!r}")
    verified.append(what)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(began, text):
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    main()

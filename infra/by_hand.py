"""Prints the settings of one function in infra/template.yaml.

They are for deploying the function without CloudFormation (docs/deploy.md). Functions and queues are
named STACK-NAME, as in the template. The table is named STACK.
"""

import argparse
import json
import pathlib
import re
import sys

import yaml

TEMPLATE = pathlib.Path(__file__).with_name("template.yaml")


class Loader(yaml.SafeLoader):
    """Reads YAML with CloudFormation's tags: `!Ref x` becomes {"Ref": x}."""


def tagged(loader, suffix, node):
    """Converts a node with a tag to a mapping that has the long name of the function."""
    kind = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence,
            yaml.MappingNode: loader.construct_mapping}[type(node)]
    value = kind(node) if isinstance(node, yaml.ScalarNode) else kind(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", tagged)


class Deployment:
    """The template with the values of its parameters."""

    def __init__(self, stack, account, region, origin, live_api, given):
        self.template = yaml.load(TEMPLATE.read_text(), Loader)
        self.resources = self.template["Resources"]
        self.stack, self.account, self.region, self.origin = stack, account, region, origin
        self.live_api = live_api
        known = self.template["Parameters"]
        for name in given:
            if name not in known:
                sys.exit(f"{name} is no parameter of the template")
        self.parameters = {name: given.get(name, spec.get("Default")) for name, spec in known.items()}

    def arn(self, service, rest):
        """Returns the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"

    def value(self, node):
        """Evaluates a value of the template. Returns None for a value to leave out (`AWS::NoValue`)."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (name, argument), = node.items()
            if name == "Ref":
                return self.reference(argument)
            if name == "Fn::GetAtt":
                return self.attribute(*argument.split("."))
            if name == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda match: str(self.reference(match[1])), argument)
            if name == "Fn::If":
                condition, then, otherwise = argument
                return self.value(then if self.holds(self.template["Conditions"][condition]) else otherwise)
        return {name: value for name, value in ((n, self.value(v)) for n, v in node.items()) if value is not None}

    def holds(self, node):
        """Evaluates a condition."""
        (name, argument), = node.items()
        if name == "Fn::Not":
            return not self.holds(argument[0])
        if name == "Fn::Equals":
            return str(self.value(argument[0])) == str(self.value(argument[1]))
        if name == "Fn::And":
            return all(map(self.holds, argument))
        return self.holds(self.template["Conditions"][argument])

    def reference(self, name):
        """Returns the value of `!Ref NAME`.

        NAME is a parameter, a pseudo parameter, the table, the WebSocket API, or a queue, which stands for its URL.
        """
        if name in self.parameters:
            if self.parameters[name] is None:
                sys.exit(f"{name}=… is required")
            return self.parameters[name]
        if name.startswith("AWS::"):
            return {"Partition": "aws", "Region": self.region, "AccountId": self.account, "StackName": self.stack,
                    "URLSuffix": "amazonaws.com", "NoValue": None}[name.removeprefix("AWS::")]
        if name == "Table":
            return self.stack
        if name == "LiveApi":
            return self.live_api or sys.exit("--live-api is required")
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{self.value(self.properties(name)['QueueName'])}"

    def attribute(self, name, attribute):
        """Returns the value of `!GetAtt NAME.ATTRIBUTE`: the API's address, or an ARN."""
        if (name, attribute) == ("Api", "ApiEndpoint"):
            return self.origin or sys.exit("--origin is required")
        kind = self.resources[name]["Type"]
        if kind == "AWS::DynamoDB::Table":
            return self.arn("dynamodb", f"table/{self.stack}")
        if kind == "AWS::SQS::Queue":
            return self.arn("sqs", self.value(self.properties(name)["QueueName"]))
        return self.arn("logs", f"log-group:{self.value(self.properties(name)['LogGroupName'])}:*")

    def properties(self, resource):
        """Returns the properties of a resource."""
        return self.resources[resource]["Properties"]

    def functions(self):
        """Returns the names of the functions in the template, by the names of their folders."""
        found = {}
        for name, resource in self.resources.items():
            if resource["Type"] == "AWS::Serverless::Function":
                found[resource["Properties"]["CodeUri"].rsplit("/", 1)[1]] = name.removesuffix("Function")
        return found

    def trust(self, name):
        """Returns the trust policy of a function's role."""
        return json.dumps(self.properties(f"{name}Role")["AssumeRolePolicyDocument"], indent=2)

    def policy(self, name):
        """Returns the policy of a function's role."""
        return json.dumps(self.value(self.properties(f"{name}Role")["Policies"][0]["PolicyDocument"]), indent=2)

    def environment(self, name):
        """Returns the environment of a function, a NAME=VALUE per line."""
        everywhere = self.template["Globals"]["Function"]["Environment"]["Variables"]
        own = self.properties(f"{name}Function").get("Environment", {}).get("Variables", {})
        variables = {key: self.value(value) for key, value in (everywhere | own).items()}
        return "\n".join(f"{key}={value}" for key, value in variables.items() if value not in (None, ""))

    def timeout(self, name):
        """Returns the timeout of a function in seconds."""
        return self.properties(f"{name}Function")["Timeout"]

    def routes(self, name):
        """Returns the routes of a function, one per line."""
        target = {"Fn::Sub": f"integrations/${{{name}Integration}}"}
        routes = [resource["Properties"] for resource in self.resources.values()
                  if resource["Type"] == "AWS::ApiGatewayV2::Route"]
        return "\n".join(route["RouteKey"] for route in routes if route["Target"] == target)


def main():
    """Reads the command line and prints the setting."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=["trust", "policy", "environment", "timeout", "routes"])
    arguments.add_argument("function", help="the name of its folder in functions/")
    arguments.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="values of the template's parameters")
    arguments.add_argument("--stack", default="eko-messages")
    arguments.add_argument("--account", default="123456789012")
    arguments.add_argument("--region", default="eu-central-1")
    arguments.add_argument("--origin", help="the address of the API, if there is no DomainName")
    arguments.add_argument("--live-api", metavar="ID", help="the id of the WebSocket API")
    options = arguments.parse_intermixed_args()
    given = dict(parameter.split("=", 1) for parameter in options.parameters)
    deployment = Deployment(options.stack, options.account, options.region, options.origin, options.live_api, given)
    functions = deployment.functions()
    if options.function not in functions:
        sys.exit(f"the functions are {', '.join(functions)}")
    print(getattr(deployment, options.what)(functions[options.function]))


if __name__ == "__main__":
    main()

//! Reads `infra/template.yaml`. CloudFormation's short functions are written out: `!Ref Table`
//! becomes `{"Ref": "Table"}`.

use std::path::Path;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The resource type of a function.
pub const FUNCTION: &str = "AWS::Serverless::Function";

/// The template.
pub struct Template(Value);

impl Template {
    /// Reads the template.
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/template.yaml");
        let text = std::fs::read_to_string(path).expect("the template");
        let documents = Yaml::load_from_str(&text).expect("YAML");
        let [template] = documents.as_slice() else { panic!("the template is one document") };
        Self(long(template))
    }

    /// Returns the resources of a type: their names and properties.
    pub fn resources(&self, kind: &str) -> Vec<(&str, &Value)> {
        let resources = self.0["Resources"].as_object().expect("resources").iter();
        let of_kind = resources.filter(|(_, resource)| resource["Type"] == kind);
        of_kind.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
    }

    /// Returns the properties of a resource of a type.
    pub fn resource(&self, kind: &str, name: &str) -> &Value {
        let found = self.resources(kind).into_iter().find(|(other, _)| *other == name);
        found.unwrap_or_else(|| panic!("no {kind} is called {name}")).1
    }

    /// Returns the only resource of a type: its name and properties.
    pub fn only(&self, kind: &str) -> (&str, &Value) {
        let found = self.resources(kind);
        let [only] = found.as_slice() else { panic!("{} resources are {kind}", found.len()) };
        *only
    }

    /// Returns the name of the WebSocket API.
    pub fn live_api(&self) -> &str {
        let apis = self.resources("AWS::ApiGatewayV2::Api").into_iter();
        let mut found = apis.filter(|(_, api)| api["ProtocolType"] == "WEBSOCKET");
        found.next().expect("a WebSocket API").0
    }

    /// Returns the default of a parameter.
    pub fn default_of(&self, parameter: &str) -> &Value {
        &self.0["Parameters"][parameter]["Default"]
    }

    /// Returns the properties that all functions have.
    pub fn globals(&self) -> &Value {
        &self.0["Globals"]["Function"]
    }

    /// Returns the functions: the folder of the code, the resource's name, and its properties.
    pub fn functions(&self) -> Vec<(&str, &str, &Value)> {
        let mut functions = Vec::new();
        for (name, properties) in self.resources(FUNCTION) {
            let metadata = &self.0["Resources"][name]["Metadata"];
            let binary = metadata["BuildProperties"]["Binary"].as_str().expect("a binary");
            assert_eq!(properties["CodeUri"], format!("../functions/{binary}"), "{name}");
            functions.push((binary, name, properties));
        }
        functions
    }

    /// Returns the folder of a function's code by the name of its resource.
    pub fn binary(&self, resource: &str) -> &str {
        let found = self.functions().into_iter().find(|(_, name, _)| *name == resource);
        found.unwrap_or_else(|| panic!("no function is called {resource}")).0
    }
}

/// Returns the name in `!Ref NAME`.
pub fn referred(value: &Value) -> &str {
    value["Ref"].as_str().unwrap_or_else(|| panic!("no reference: {value}"))
}

/// Returns the name in `!GetAtt NAME.Arn`.
pub fn arn_of(value: &Value) -> &str {
    let name = value["Fn::GetAtt"].as_str().and_then(|text| text.strip_suffix(".Arn"));
    name.unwrap_or_else(|| panic!("no ARN: {value}"))
}

/// Returns the text in `!Sub TEXT`.
pub fn pattern(value: &Value) -> &str {
    value["Fn::Sub"].as_str().unwrap_or_else(|| panic!("no pattern: {value}"))
}

/// Converts YAML to JSON, with the short functions written out.
fn long(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(long).collect(),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                object.insert(name.as_str().expect("a name").to_owned(), long(value));
            }
            Value::Object(object)
        }
        Yaml::Tagged(tag, value) => {
            let name = match tag.suffix.as_str() {
                name @ ("Ref" | "Condition") => name.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({ name: long(value) })
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => panic!("not for a template: {yaml:?}"),
    }
}

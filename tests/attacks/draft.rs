//! Signed requests in parts, so that any part can be wrong while the signature over it is right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eko_protocol::http_signature::Scheme;
use sha2::{Digest as _, Sha256};

use crate::scene::AttackScene;

/// [`eko_testkit::START_MS`] as the header `date` has it.
pub(crate) const DATE: &str = "Thu, 29 Jan 2026 19:30:00 GMT";
/// [`eko_testkit::START_MS`] in seconds, as the parameter `created` has it.
pub(crate) const CREATED: i64 = 1_769_715_000;

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct RequestDraft {
    scheme: Scheme,
    method: &'static str,
    path: &'static str,
    /// The names and values of the components that the signature covers.
    pub(crate) covered: Vec<(String, String)>,
    /// The signature's parameters: those before `headers` in draft-cavage, those after the list of
    /// components in RFC 9421.
    pub(crate) parameters: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The label of the signature, in RFC 9421.
    label: &'static str,
}

impl RequestDraft {
    /// Makes a right request to the shared inbox, by Eve's actor.
    pub(crate) fn new(scene: &AttackScene, scheme: Scheme, body: String) -> Self {
        let key_id = scene.eve.key_id();
        let digest = STANDARD.encode(Sha256::digest(&body));
        let (digest_name, digest) = match scheme {
            Scheme::Cavage => ("digest", format!("SHA-256={digest}")),
            Scheme::Rfc9421 => ("content-digest", format!("sha-256=:{digest}:")),
        };
        let covered = match scheme {
            Scheme::Cavage => {
                [("(request-target)", "post /inbox"), ("host", "eko.example"), ("date", DATE)].to_vec()
            }
            Scheme::Rfc9421 => [("@method", "POST"), ("@target-uri", "https://eko.example/inbox")].to_vec(),
        };
        let parameters = match scheme {
            Scheme::Cavage => format!(r#"keyId="{key_id}",algorithm="rsa-sha256""#),
            Scheme::Rfc9421 => format!(r#";created={CREATED};keyid="{key_id}";alg="rsa-v1_5-sha256""#),
        };
        let headers = [("host", "eko.example"), ("date", DATE), (digest_name, &digest)];
        let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let mut covered: Vec<_> = covered.iter().map(own).collect();
        covered.push((digest_name.to_owned(), digest.clone()));
        let headers = headers.iter().map(own).collect();
        Self { scheme, method: "POST", path: "/inbox", covered, parameters, headers, body, label: "sig1" }
    }

    /// Leaves a component out of the signature.
    pub(crate) fn without(&mut self, name: &str) {
        let before = self.covered.len();
        self.covered.retain(|(other, _)| other != name);
        assert!(self.covered.len() < before, "{name}");
    }

    /// Covers a component with this value.
    pub(crate) fn covers(&mut self, name: &str, value: &str) {
        match self.covered.iter_mut().find(|(other, _)| other == name) {
            Some((_, covered)) => *covered = value.to_owned(),
            None => self.covered.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Sends a header with this value, which the signature covers if it covers the header.
    pub(crate) fn says(&mut self, name: &str, value: &str) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        if self.covered.iter().any(|(other, _)| other == name) {
            self.covers(name, value);
        }
    }

    /// Replaces a text in the parameters, which must be there.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        assert!(self.parameters.contains(from), "{from}");
        self.parameters = self.parameters.replace(from, to);
    }

    /// Returns the headers that carry the signature.
    fn sign(&self, scene: &AttackScene) -> Vec<(&'static str, String)> {
        let sign = |base: &str| STANDARD.encode(scene.eve.key.sign(base.as_bytes()).unwrap());
        let names: Vec<&str> = self.covered.iter().map(|(name, _)| name.as_str()).collect();
        match self.scheme {
            Scheme::Cavage => {
                let lines: Vec<String> = self.covered.iter().map(|(n, v)| format!("{n}: {v}")).collect();
                let signature = sign(&lines.join("\n"));
                let (names, parameters) = (names.join(" "), &self.parameters);
                vec![("signature", format!(r#"{parameters},headers="{names}",signature="{signature}""#))]
            }
            Scheme::Rfc9421 => {
                let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                let input = format!("({}){}", names.join(" "), self.parameters);
                let lines = self.covered.iter().map(|(name, value)| format!("\"{name}\": {value}\n"));
                let signature = sign(&format!("{}\"@signature-params\": {input}", lines.collect::<String>()));
                let label = self.label;
                vec![
                    ("signature-input", format!("{label}={input}")),
                    ("signature", format!("{label}=:{signature}:")),
                ]
            }
        }
    }

    /// Returns the request after `change` has changed the headers that carry the signature.
    pub(crate) fn request(
        &self,
        scene: &AttackScene,
        change: impl FnOnce(&mut Vec<(&'static str, String)>),
    ) -> http::Request<Bytes> {
        let mut signed = self.sign(scene);
        change(&mut signed);
        let mut request = http::Request::builder().method(self.method).uri(self.path);
        request = request.header("content-type", "application/activity+json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        request.body(self.body.clone().into()).unwrap()
    }

    /// Sends the request and returns the answer in one line.
    pub(crate) async fn send(&self, scene: &AttackScene) -> String {
        scene.send(self.request(scene, |_| {})).await
    }
}

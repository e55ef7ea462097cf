//! Users who are signed in, and the output of their commands as JSON.

use serde_json::Value;

use super::test_home::{CommandOutput, TestHome};

/// A failure as a command reports it.
pub(crate) struct ReportedFailure {
    /// The exit code.
    pub(crate) code: i32,
    /// The line after `eko: `.
    pub(crate) what: String,
    /// The line after `Next: `, or nothing.
    pub(crate) next: String,
}

/// Signs a user in, in a home of its own.
pub(crate) async fn signed_in(server: &str, name: &str) -> TestHome {
    let home = TestHome::new();
    home.eko(&["login", name, "--server", server]).await.done();
    home
}

impl TestHome {
    /// Runs a command that succeeds, and returns its JSON objects.
    pub(crate) async fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        lines(&self.eko(&[arguments, &["--json", "-q"]].concat()).await.done())
    }

    /// Runs a command that succeeds, and returns its only JSON object.
    pub(crate) async fn object(&self, arguments: &[&str]) -> Value {
        let [object] = self.objects(arguments).await.try_into().unwrap();
        object
    }

    /// Runs `eko listen --once`, accepts the requests of strangers, and returns the texts of the
    /// messages.
    pub(crate) async fn hears(&self) -> Vec<String> {
        let mut heard = self.objects(&["listen", "--once"]).await;
        let requests = self.objects(&["requests"]).await;
        for request in &requests {
            let who = format!("@{}", text(request, "from").rsplit('/').next().unwrap());
            self.eko(&["requests", "accept", &who]).await.done();
        }
        if !requests.is_empty() {
            heard.extend(self.objects(&["listen", "--once"]).await);
        }
        let messages = heard.iter().filter(|object| object["type"] == "message");
        messages.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs a command that fails, and returns its failure.
    pub(crate) async fn fails(&self, arguments: &[&str]) -> ReportedFailure {
        self.eko(arguments).await.failed()
    }
}

impl CommandOutput {
    /// Returns the failure that the command has reported.
    pub(crate) fn failed(self) -> ReportedFailure {
        let line = |start: &str| {
            let found = self.err.lines().find_map(|line| line.strip_prefix(start));
            found.unwrap_or_default().to_owned()
        };
        assert_ne!(self.code, 0, "{}", self.out);
        ReportedFailure { code: self.code, what: line("eko: "), next: line("Next: ") }
    }
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap()
}

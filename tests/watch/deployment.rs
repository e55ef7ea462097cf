//! The functions under `cargo lambda watch`, and the engines that they need.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use aws_sdk_sqs::types::QueueAttributeName;
use eko_client::{Body, Exchange, HttpTransport};
use eko_local::server::ISSUER_PATH;
use eko_protocol::address::Origin;
use eko_service::aws::AwsAccount;
use eko_store::resources::{QUEUES, dlq_name};
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::local_server::eventually;
use crate::process::Process;

/// The environment variable that names the cargo-lambda to use.
const CARGO_LAMBDA: &str = "EKO_WATCH_CARGO_LAMBDA";

/// The processes of a deployment. They end when this value is dropped: first the functions, then
/// the engines.
pub(crate) struct Deployment {
    watch: Process,
    engines: Process,
    _folder: TempDir,
    /// The base URL of the engines.
    pub(crate) url: String,
    /// The public base URL of the functions.
    pub(crate) origin: Origin,
}

impl Deployment {
    /// Starts a deployment on free ports, with fresh stores.
    pub(crate) async fn start() -> Self {
        let cargo_lambda = std::env::var(CARGO_LAMBDA)
            .unwrap_or_else(|_| panic!("{CARGO_LAMBDA} is not set: it names the cargo-lambda of a venv"));
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();

        // Watch builds a function when a request needs it. All are built beforehand, so that no
        // request waits.
        let mut build = cargo();
        build.args(["build", "--locked", "--bin", "eko-local"]);
        for function in std::fs::read_dir(root().join("functions")).unwrap() {
            build.arg("--bin").arg(function.unwrap().file_name());
        }
        assert!(build.status().unwrap().success(), "the functions cannot be built");

        let mut command = cargo();
        let invoke = format!("http://127.0.0.1:{port}");
        command.args(["run", "--locked", "--", "engines", "--port", "0", "--invoke", &invoke]);
        command.args(["--origin", &format!("http://localhost:{port}")]);
        let engines = Process::start(&mut command, &folder.path().join("engines.log"));
        let url = eventually("the engines", async || {
            Some(engines.output().split_once("listen on ")?.1.lines().next()?.to_owned())
        });
        let url = url.await;

        // The environment is the documented one, with these ports.
        let environment = std::fs::read_to_string(root().join("infra/local/watch.env")).unwrap();
        let environment = environment
            .replace("http://localhost:9000", &format!("http://localhost:{port}"))
            .replace("localhost:8000", url.strip_prefix("http://").unwrap());
        let file = folder.path().join("watch.env");
        std::fs::write(&file, environment).unwrap();
        let mut command = command_in_root(&cargo_lambda);
        command.args(["lambda", "watch", "--ignore-changes", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &port.to_string(), "--env-file"]).arg(file);
        let watch = Process::start(&mut command, &folder.path().join("watch.log"));

        let origin = Origin::parse(&format!("http://localhost:{port}")).unwrap();
        let deployment = Self { watch, engines, _folder: folder, url, origin };
        let capabilities = format!("{}/.well-known/ecp", deployment.origin);
        let answers = eventually("an answer of a function", async || {
            let http = HttpTransport::new().unwrap();
            let answer = Exchange::send(&http, Method::GET, &capabilities, Body::Empty, None).await;
            answer.ok().filter(|answer| answer.status == StatusCode::OK)
        });
        answers.await;
        deployment
    }

    /// Returns the URL of the development issuer that users sign in at.
    pub(crate) fn issuer(&self) -> String {
        format!("{}{ISSUER_PATH}", self.url)
    }

    /// Waits until the queues are empty, and asserts that nothing is in the dead-letter queues.
    pub(crate) async fn assert_nothing_queued(&self) {
        for queue in QUEUES {
            let empty = async || (self.queued(queue.name).await == 0).then_some(());
            eventually(&format!("the end of {}", queue.name), empty).await;
        }
        for queue in QUEUES {
            assert_eq!(self.queued(&dlq_name(queue.name)).await, 0, "{} gave up", queue.name);
        }
    }

    /// Returns the number of messages in a queue, hidden ones included. Delayed ones are left out:
    /// they are erasures that have not begun.
    async fn queued(&self, name: &str) -> u32 {
        let get = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(self.url.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            _ => None,
        };
        let ask = AwsAccount::from_env(get).unwrap().clients().sqs.get_queue_attributes();
        let ask = ask.queue_url(format!("{}/000000000000/{name}", self.url));
        let attributes =
            ask.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        counts.iter().map(|count| attributes[count].parse::<u32>().unwrap()).sum()
    }

    /// Ends the processes, and asserts that they ended as they should.
    pub(crate) fn end(mut self) {
        self.watch.end();
        self.engines.end();
        let output = self.engines.output();
        // The demo revokes a device. The order to erase it waits for a minute, its second pass for
        // a quarter of an hour.
        assert!(output.contains("ended; 1 in the queues were not taken"), "{output}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn cargo() -> Command {
    command_in_root(env!("CARGO"))
}

/// Makes a command without the variables by which build scripts would see that Cargo runs this
/// test, and run again.
fn command_in_root(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

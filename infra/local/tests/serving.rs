//! The executable as a person meets it: its options, its output, its pages, its log, and its folder.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};

use eko_client::{Body, Exchange, HttpTransport};
use eko_service::config::{Config, Needs, Secrets};
use http::Method;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The variables that the local server sets itself, or has a name of its own for.
const OWN: [&str; 9] = [
    "DANGER_ALLOW_LOOPBACK_HTTP",
    "DELIVERIES_URL",
    "FEDERATION_URL",
    "LIVE_URL",
    "ORIGIN",
    "PUSHES_URL",
    "SOCKETS_URL",
    "TABLE",
    // Asked for if there is no key, which the data folder has.
    "VAPID_KEY_PARAMETER",
];

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eko-local"));
    command.args(words).env_remove("RUST_LOG").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A server that runs, and what it has printed.
struct Running {
    child: Child,
    banner: Vec<String>,
    url: String,
}

impl Running {
    /// Starts a server, and reads what it prints until it is ready.
    async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        while banner.last().is_none_or(|line: &String| !line.contains("^C")) {
            match lines.next_line().await.unwrap() {
                Some(line) => banner.push(line),
                None => panic!("it ended: {banner:?}\n{}", errors(&mut child).await),
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let url = banner[0].rsplit(' ').next().unwrap().to_owned();
        Self { child, banner, url }
    }

    /// Returns a line of the banner, without its label.
    fn told(&self, label: &str) -> &str {
        let line = self.banner.iter().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("{label}: {:?}", self.banner)).trim()
    }

    /// Ends the server, and returns what it has logged.
    async fn end(mut self) -> String {
        self.child.start_kill().unwrap();
        errors(&mut self.child).await
    }
}

async fn errors(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    text
}

/// Runs a command that is to fail, and returns its errors.
async fn refusal(words: &[&str]) -> String {
    let Output { status, stderr, .. } = command(words).output().await.unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "{text}");
    text
}

async fn ask(url: &str, token: Option<&str>) -> Exchange {
    Exchange::send(&HttpTransport::new().unwrap(), Method::GET, url, Body::Empty, token).await.unwrap()
}

async fn get(url: &str) -> (u16, String) {
    let answer = ask(url, None).await;
    (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// Starts a server with a data folder, and ends it. Returns its address.
async fn fill(folder: &TempDir) -> String {
    let server = Running::start(command(&["--port", "0", "--data", path(folder)])).await;
    let url = server.url.clone();
    server.end().await;
    url
}

#[tokio::test]
async fn a_folder_of_another_origin_is_refused_and_both_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let first = fill(&folder).await;
    let port = first.rsplit(':').next().unwrap();
    for other in ["http://localhost:1", "https://a.example"] {
        let told = refusal(&["--port", "0", "--origin", other, "--data", path(&folder)]).await;
        assert!(told.contains(&format!("holds the data of {first}, and this server is {other}")), "{told}");
        assert!(told.contains(&format!("--port {port}")), "{told}");
    }
    // The engines for functions elsewhere are told the functions' origin.
    let told = refusal(&["engines", "--port", "0", "--data", path(&folder)]).await;
    assert!(told.contains(&format!("{first}, and this server is http://localhost:9000")), "{told}");
    let again = command(&["--port", "0", "--origin", &first, "--data", path(&folder)]);
    let again = Running::start(again).await;
    assert!(again.told("origin").starts_with(&first), "{:?}", again.banner);
    again.end().await;
}

#[tokio::test]
async fn banner_and_capabilities_name_the_same_issuer() {
    for origin in [None, Some("https://a.example")] {
        let mut words = vec!["--port", "0"];
        words.extend(origin.into_iter().flat_map(|origin| ["--origin", origin]));
        let server = Running::start(command(&words)).await;
        if let Some(origin) = origin {
            assert!(server.told("origin").starts_with(origin), "{:?}", server.banner);
        }
        let (status, body) = get(&format!("{}/.well-known/ecp", server.url)).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let told = server.told("issuer").split(' ').next().unwrap();
        assert_eq!((status, body["auth"]["issuer"].as_str()), (200, Some(told)));
        assert_eq!(get(&format!("{told}/jwks")).await.0, 200);
        server.end().await;
    }
}

#[tokio::test]
async fn another_issuer_takes_the_place_of_the_development_issuer() {
    let words = ["--port", "0", "--oidc-issuer", "https://id.example", "--oidc-audience", "eko"];
    let server = Running::start(command(&words)).await;
    assert_eq!(server.told("issuer"), "https://id.example");
    assert_eq!(get(&format!("{}/dev/oidc/jwks", server.url)).await.0, 404);
    let (_, body) = get(&format!("{}/.well-known/ecp", server.url)).await;
    assert!(body.contains("https://id.example") && body.contains("\"audience\":\"eko\""), "{body}");
    server.end().await;
}

#[tokio::test]
async fn a_bad_origin_is_shown_with_its_value() {
    for bad in ["ftp://a.example", "http://a.example", "https://a.example/", "a.example"] {
        let told = refusal(&["--origin", bad]).await;
        assert!(told.contains(&format!("'{bad}' for '--origin")), "{told}");
        assert!(told.contains("must be https://DOMAIN, or http://localhost:PORT"), "{told}");
        let by_variable = command(&[]).env("EKO_ORIGIN", bad).output().await.unwrap();
        let told = String::from_utf8(by_variable.stderr).unwrap();
        assert!(told.contains(&format!("'{bad}' for '--origin")), "{told}");
    }
}

#[tokio::test]
async fn health_answers_and_the_page_explains() {
    let server = Running::start(command(&["--port", "0"])).await;
    assert_eq!(get(&format!("{}/health", server.url)).await, (200, "ok\n".to_owned()));
    let (status, page) = get(&format!("{}/", server.url)).await;
    assert_eq!(status, 200);
    for part in ["<h1>Eko Messages</h1>", "/.well-known/ecp", "/health", &server.url] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("src=") && !page.contains("<link"), "{page}");
    server.end().await;
    let engines = Running::start(command(&["engines", "--port", "0"])).await;
    assert_eq!(get(&format!("{}/health", engines.url)).await, (200, "ok\n".to_owned()));
    assert!(get(&format!("{}/", engines.url)).await.1.contains("http://localhost:9000"));
    engines.end().await;
}

#[tokio::test]
async fn info_logs_one_line_for_each_request_without_secrets() {
    let mut quiet = command(&["--port", "0"]);
    quiet.env("RUST_LOG", "warn");
    let quiet = Running::start(quiet).await;
    get(&format!("{}/health", quiet.url)).await;
    assert_eq!(quiet.end().await, "");
    for words in [&["--port", "0"][..], &["engines", "--port", "0"]] {
        let mut loud = command(words);
        loud.env("RUST_LOG", "info");
        let loud = Running::start(loud).await;
        let is_server = words[0] != "engines";
        let asked = [
            ("/user/nobody?secret=one", "/user/nobody", if is_server { 404 } else { 405 }),
            ("/dev/oidc/jwks?secret=two", "/dev/oidc/jwks", 200),
            ("/@connections/secret", "/@connections/", if is_server { 404 } else { 410 }),
        ];
        for (request, _, status) in asked {
            let answer = ask(&format!("{}{request}", loud.url), Some("secret")).await;
            assert_eq!(answer.status.as_u16(), status, "{request}");
        }
        let log = loud.end().await;
        assert!(!log.contains("secret"), "{log}");
        for (_, path, status) in asked {
            let lines: Vec<&str> =
                log.lines().filter(|line| line.contains(&format!("path=\"{path}\""))).collect();
            let [line] = lines[..] else { panic!("{path}: {log}") };
            for part in ["INFO", "method=\"GET\"", &format!("status={status}"), "ms="] {
                assert!(line.contains(part), "{part}: {line}");
            }
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_of_the_folder_are_their_owners_alone() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let modes = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
        let mode = |file: std::fs::DirEntry| {
            (file.file_name().into_string().unwrap(), file.metadata().unwrap().permissions().mode() & 0o777)
        };
        files.map(mode).collect::<std::collections::BTreeMap<_, _>>()
    };
    let url = fill(&folder).await;
    // It was killed, so that SQLite's files are there.
    let found = modes();
    for name in ["lock", "origin", "queues.sqlite", "table.sqlite", "table.sqlite-wal", "token-keys"] {
        assert!(found.contains_key(name), "{name}: {found:?}");
    }
    // Only the folder of the blobs can be opened as one.
    let are_private = |modes: &std::collections::BTreeMap<String, u32>| {
        modes.iter().all(|(name, mode)| *mode == if name == "blobs" { 0o700 } else { 0o600 })
    };
    assert!(are_private(&found), "{found:?}");
    // Files of an older version are made private.
    for name in found.keys().filter(|name| name.contains("sqlite") || *name == "lock") {
        set_permissions(folder.path().join(name), Permissions::from_mode(0o644)).unwrap();
    }
    let server = command(&["--port", "0", "--origin", &url, "--data", path(&folder)]);
    let server = Running::start(server).await;
    assert!(are_private(&modes()), "{:?}", modes());
    server.end().await;
}

#[tokio::test]
async fn serve_may_stand_before_its_options_and_behind_them() {
    for words in [&["serve", "--port", "0"][..], &["--port", "0", "serve"], &["--port", "0"]] {
        Running::start(command(words)).await.end().await;
    }
    let told = refusal(&["--port", "0", "serve", "--port", "1"]).await;
    assert!(told.contains("cannot be used multiple times"), "{told}");
    let told = refusal(&["--prot", "0", "serve"]).await;
    assert!(told.contains("unexpected argument '--prot'"), "{told}");
    let told = refusal(&["--port", "0", "demo"]).await;
    assert!(told.contains("demo"), "{told}");
}

#[tokio::test]
async fn a_damaged_database_is_named_with_a_remedy() {
    for (name, remedy) in [("table.sqlite", "another folder"), ("queues.sqlite", "move it away")] {
        let folder = tempfile::tempdir().unwrap();
        let url = fill(&folder).await;
        let file = folder.path().join(name);
        // Its log is lost as well, which would repair the file.
        drop(std::fs::remove_file(folder.path().join(format!("{name}-wal"))));
        for content in [b"no database".repeat(100), damaged(&file)] {
            std::fs::write(&file, content).unwrap();
            let told = refusal(&["--port", "0", "--origin", &url, "--data", path(&folder)]).await;
            assert!(told.contains(&format!("the database {} is damaged", file.display())), "{told}");
            assert!(told.contains("sqlite3") && told.contains(remedy), "{told}");
        }
    }
}

/// Whoever starts with an empty table or another key in the place of what is gone has lost all accounts, or
/// is refused by other servers, and learns neither.
#[tokio::test]
async fn a_file_of_the_folder_that_is_gone_or_holds_junk_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let url = fill(&folder).await;
    let words = ["--port", "0", "--origin", &url, "--data", path(&folder)];
    for (name, remedy) in [
        ("signing-key.pem", "other servers know this key"),
        ("token-keys", "every device gets a new token"),
        ("vapid-key.pem", "every client subscribes to pushes anew"),
        ("issuer-key.p8", "nobody can use an ID token"),
        ("origin", "write the origin into it"),
    ] {
        let file = folder.path().join(name);
        let content = std::fs::read(&file).unwrap();
        std::fs::write(&file, "junk").unwrap();
        let told = refusal(&words).await;
        assert!(told.contains(&format!("the file {} ", file.display())) && told.contains(remedy), "{told}");
        std::fs::write(&file, content).unwrap();
    }
    for (name, remedy) in [
        ("table.sqlite", "or begin anew with another folder"),
        ("signing-key.pem", "or begin anew with another folder"),
        ("origin", "or write the origin into it with which this server was started before"),
    ] {
        let (file, away) = (folder.path().join(name), folder.path().join("away"));
        std::fs::rename(&file, &away).unwrap();
        let told = refusal(&words).await;
        assert!(told.contains(&format!("{} is gone", file.display())), "{told}");
        assert!(told.contains(&format!("back from a copy, {remedy}")) && !file.exists(), "{told}");
        std::fs::rename(&away, &file).unwrap();
    }
    Running::start(command(&words)).await.end().await;
}

/// Returns a database of SQLite whose second page is overwritten.
fn damaged(beside: &Path) -> Vec<u8> {
    let path = beside.with_extension("damaged");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(100000))").unwrap();
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..8192].fill(0xff);
    bytes
}

/// Whatever can be set on AWS has a flag or a variable here, or belongs to the local server.
#[tokio::test]
async fn every_setting_has_a_flag_and_a_variable() {
    let needs = Needs {
        token_keys: true,
        issuer: true,
        signing_key: true,
        deliveries: true,
        seldom_deliveries: true,
        sockets: true,
        live: true,
        vapid_key: true,
        pushes: true,
        parcels: true,
    };
    let read = RefCell::new(BTreeSet::new());
    let get = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        match name {
            "ORIGIN" => Some("https://a.example".to_owned()),
            "VAPID_CONTACT" => Some("mailto:operator@eko.chat".to_owned()),
            name if OWN.contains(&name) || name.starts_with("OIDC_") => Some("given".to_owned()),
            _ => None,
        }
    };
    let key = Some("a key".to_owned());
    let secrets = Secrets { token_keys: None, signing_key: key.clone(), vapid_key: key };
    Config::from_env(needs, get, secrets).unwrap();
    let help = command(&["--help"]).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let read = read.into_inner();
    assert!(read.len() > 30, "{read:?}");
    for name in read.iter().filter(|name| !OWN.contains(&name.as_str())) {
        assert!(help.contains(&format!("[env: {name}=")), "{name} has no flag:\n{help}");
    }
    assert!(help.contains("RUST_LOG"), "{help}");
    // A value that is none is refused with its name.
    let told = refusal(&["--message-ttl-days", "0"]).await;
    assert!(told.contains("0 is not in 1..=365"), "{told}");
}

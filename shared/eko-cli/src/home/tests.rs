//! Tests of the folder that keeps accounts.

use std::os::unix::fs::PermissionsExt;

use eko_client::capabilities::Capabilities;
use eko_protocol::address::Origin;

use super::*;

/// Returns a home with these accounts, and the folder that it ends with.
fn home(names: &[&str]) -> (tempfile::TempDir, EkoHome) {
    let folder = tempfile::tempdir().unwrap();
    let home = EkoHome::locate(Some(&folder.path().join("home"))).unwrap();
    for name in names {
        home.prepare(&Handle::parse(name).unwrap()).unwrap();
    }
    (folder, home)
}

fn chosen(home: &EkoHome, named: Option<&str>) -> Result<String, CommandFailure> {
    let who = named.map(|name| name.parse().unwrap());
    home.choose(who.as_ref()).map(|account| account.name())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn one_account_is_implied() {
    let (_folder, home) = home(&["alice@localhost:8080"]);
    assert_eq!(chosen(&home, None).unwrap(), "alice@localhost:8080");
    assert_eq!(chosen(&home, Some("alice")).unwrap(), "alice@localhost:8080");
    assert_eq!(chosen(&home, Some("@alice@localhost:8080")).unwrap(), "alice@localhost:8080");
}

#[test]
fn several_must_be_told_apart() {
    let (_folder, home) = home(&["bob@b.example", "alice@b.example", "alice@a.example"]);
    let names: Vec<_> = home.accounts().unwrap().iter().map(AccountFolder::name).collect();
    assert_eq!(names, ["alice@a.example", "alice@b.example", "bob@b.example"]);
    let refused = chosen(&home, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there are 3 accounts here: @alice@a.example, @alice@b.example, @bob@b.example"
    );
    assert_eq!(refused.ends_with(), Exit::Usage);
    assert_eq!(chosen(&home, Some("bob")).unwrap(), "bob@b.example");
    assert_eq!(chosen(&home, Some("alice@b.example")).unwrap(), "alice@b.example");
    let refused = chosen(&home, Some("alice")).unwrap_err();
    assert_eq!(refused.to_string(), "there are 2 accounts here: @alice@a.example, @alice@b.example");
    let refused = chosen(&home, Some("carol")).unwrap_err();
    assert!(refused.to_string().starts_with("there is no account carol here; there is alice@a.example, "));
}

#[test]
fn nobody_has_signed_in() {
    let (_folder, home) = home(&[]);
    let refused = chosen(&home, None).unwrap_err();
    assert_eq!(refused, CommandFailure::new("nobody has signed in here").next("eko login NAME"));
    let refused = chosen(&home, Some("alice@a.example")).unwrap_err();
    let due = CommandFailure::new("there is no account alice@a.example here")
        .next("eko login alice@a.example")
        .exit(Exit::Usage);
    assert_eq!(refused, due);
}

#[test]
fn what_is_made_is_its_owners() {
    let (_folder, home) = home(&["alice@a.example"]);
    let account = home.choose(None).unwrap();
    assert_eq!(mode(&home.accounts), 0o700);
    assert_eq!(mode(account.path()), 0o700);
    assert_eq!(mode(&account.database()), 0o600);
    // A second call returns the same account.
    std::fs::write(account.database(), "kept").unwrap();
    let again = home.prepare(&account.handle).unwrap();
    assert_eq!(again, PreparedAccount { account: account.clone(), is_new: false });
    assert_eq!(std::fs::read(account.database()).unwrap(), b"kept");
}

#[test]
fn what_others_can_read_is_refused() {
    let (_folder, home) = home(&["alice@a.example"]);
    let account = home.choose(None).unwrap();
    for path in [account.database(), account.path().to_owned(), home.accounts.clone()] {
        let right = mode(&path);
        for wrong in [right | 0o040, right | 0o004, right | 0o001] {
            set_mode(&path, wrong);
            let what = format!("others can read {}", path.display());
            let due = CommandFailure::new(what).next(format!("chmod {right:o} '{}'", path.display()));
            assert_eq!(chosen(&home, None).unwrap_err(), due);
            assert_eq!(home.prepare(&account.handle).unwrap_err(), due);
        }
        set_mode(&path, right);
        assert!(chosen(&home, None).is_ok());
    }
}

/// An earlier version, or a copy that was put back, has left files that others can read.
#[test]
fn what_is_beside_the_store_is_made_private() {
    let (_folder, home) = home(&["alice@a.example"]);
    let account = home.choose(None).unwrap();
    let beside = ["eko.db-wal", "eko.db-shm", "eko.db-sender-2", "listening", "a-copy.db"];
    let beside = beside.map(|name| account.path().join(name));
    for path in &beside {
        std::fs::write(path, "").unwrap();
        set_mode(path, 0o644);
    }
    home.choose(None).unwrap();
    assert_eq!(beside.each_ref().map(|path| mode(path)), [0o600; 5]);
    set_mode(&beside[0], 0o666);
    home.prepare(&account.handle).unwrap();
    assert_eq!(mode(&beside[0]), 0o600);
}

/// A process that replaces an account dies before and after the account is set aside.
#[test]
fn what_replaces_an_account_is_not_lost_if_the_process_dies() {
    for is_set_aside in [false, true] {
        for is_chosen in [false, true] {
            let (_folder, home) = home(&["alice@a.example"]);
            let account = home.choose(None).unwrap();
            let mark = |account: &AccountFolder, text: &str| {
                std::fs::write(account.path().join("mark"), text).unwrap();
            };
            mark(&account, "damaged");
            let staged = home.stage(&account).unwrap();
            mark(&staged, "recovered");
            home.begin_replacement(&account, &staged).unwrap();
            let aside = is_set_aside.then(|| home.move_aside(&account, "20260129").unwrap());
            match is_chosen {
                true => assert_eq!(home.choose(None).unwrap(), account),
                false => assert!(!home.prepare(&account.handle).unwrap().is_new),
            }
            let found = |path: &Path| std::fs::read_to_string(path.join("mark")).unwrap();
            assert_eq!(found(account.path()), if is_set_aside { "recovered" } else { "damaged" });
            aside.iter().for_each(|aside| assert_eq!(found(aside), "damaged"));
            // What was left is in nobody's way.
            let again = home.stage(&account).unwrap();
            mark(&again, "again");
            let aside = home.replace(&account, &again, "20260130").unwrap();
            assert_eq!(found(&aside), if is_set_aside { "recovered" } else { "damaged" });
            assert_eq!(found(home.choose(None).unwrap().path()), "again");
            assert_eq!(home.accounts.read_dir().unwrap().count(), 1);
        }
    }
}

/// A process that replaces an account dies before the account is set aside, and the account goes on.
#[test]
fn what_was_to_replace_an_account_never_becomes_one_later() {
    let left = || {
        let (folder, home) = home(&["alice@a.example"]);
        let account = home.choose(None).unwrap();
        let staged = home.stage(&account).unwrap();
        std::fs::write(staged.path().join("mark"), "old").unwrap();
        (folder, home, account, staged)
    };
    let (_folder, home, account, staged) = left();
    home.begin_replacement(&account, &staged).unwrap();
    home.set_aside(&account, "20260129").unwrap();
    assert_eq!(home.accounts().unwrap(), []);
    assert!(home.prepare(&account.handle).unwrap().is_new);
    assert!(!account.path().join("mark").exists());

    let (_folder, home, account, staged) = left();
    home.begin_replacement(&account, &staged).unwrap();
    home.remove(&account).unwrap();
    assert_eq!(home.accounts().unwrap(), []);

    // The account cannot be moved.
    let (_folder, home, account, staged) = left();
    std::fs::write(&home.former, "").unwrap();
    home.replace(&account, &staged, "20260129").unwrap_err();
    assert_eq!(home.accounts().unwrap(), [account]);
    assert_eq!(home.accounts.read_dir().unwrap().count(), 1);
}

/// Processes die while they make an account and a file, and one makes an account now.
#[test]
fn what_a_dead_process_was_making_is_removed_by_the_next_sign_in() {
    let (folder, home) = home(&["alice@a.example"]);
    let account = home.choose(None).unwrap();
    let live = home.stage(&account).unwrap();
    let dead = home.stage(&account).unwrap().path().to_owned();
    let (live_file, live_path) = unique_file_in(&folder.path().join("home")).unwrap();
    let (_, dead_path) = unique_file_in(&folder.path().join("home")).unwrap();
    home.prepare(&Handle::parse("bob@a.example").unwrap()).unwrap();
    let left = [live.path(), &live_path, &dead, &dead_path].map(Path::exists);
    assert_eq!(left, [true, true, false, false]);
    home.replace(&account, &live, "20260129").unwrap();
    assert_eq!(home.accounts().unwrap().len(), 2);
    drop(live_file);
    home.prepare(&account.handle).unwrap();
    assert!(!live_path.exists() && account.database().exists());
}

/// HOME is any folder that the user names, with files and folders of the user's own.
#[test]
fn what_is_no_account_is_left_alone() {
    let (folder, home) = home(&["alice@a.example"]);
    let top = folder.path().join("home");
    // A name as eko makes it is another thing: a link, a pipe, or a folder where only files are made.
    let new = || format!(".new-{}", uuid::Uuid::new_v4());
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("kept"), "").unwrap();
    let mut left = Vec::new();
    for parent in [&top, &home.accounts] {
        let [site, text, number, upper, link, pipe] = [
            ".new-site".to_owned(),
            ".new-notes.txt".to_owned(),
            format!(".new-{}", uuid::Uuid::new_v4().simple()),
            new().to_uppercase().replace(".NEW", ".new"),
            new(),
            new(),
        ]
        .map(|name| parent.join(name));
        std::fs::create_dir(&site).unwrap();
        std::fs::write(site.join("index.html"), "").unwrap();
        for file in [&text, &number, &upper] {
            std::fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        left.extend([site.join("index.html"), text, number, upper, link, pipe]);
    }
    let (folder_of_user, file_of_user) = (top.join(new()), home.accounts.join(new()));
    std::fs::create_dir(&folder_of_user).unwrap();
    std::fs::write(&file_of_user, "").unwrap();
    left.extend([folder_of_user, file_of_user, elsewhere.join("kept")]);
    std::fs::create_dir(home.accounts.join("@bob@b.example")).unwrap();
    std::fs::write(home.accounts.join("notes.txt"), "").unwrap();
    home.prepare(&Handle::parse("carol@a.example").unwrap()).unwrap();
    home.prepare(&Handle::parse("alice@a.example").unwrap()).unwrap();
    let gone: Vec<_> = left.iter().filter(|path| path.symlink_metadata().is_err()).collect();
    assert!(gone.is_empty(), "{gone:?}");
    assert_eq!(chosen(&home, Some("alice")).unwrap(), "alice@a.example");
}

#[test]
fn many_make_the_same_account_at_once() {
    let (_folder, home) = home(&[]);
    let handle = Handle::parse("alice@a.example").unwrap();
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| home.prepare(&handle))).collect();
        let made = makers.into_iter().map(|maker| maker.join().unwrap().unwrap());
        assert_eq!(made.filter(|prepared| prepared.is_new).count(), 1);
    });
    assert_eq!(std::fs::read_dir(&home.accounts).unwrap().count(), 1);
}

/// Returns the capabilities of a server that names this issuer.
fn naming(origin: &str, issuer: &str, audience: &str) -> Capabilities {
    Capabilities {
        origin: Origin::parse(origin).unwrap(),
        protocol_version: "0".to_owned(),
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        live: None,
        handle_domain: None,
    }
}

#[test]
fn servers_that_name_one_issuer_are_noticed_once() {
    let (folder, home) = home(&["alice@a.example"]);
    let issuer = "https://issuer.example";
    let named = |capabilities: &Capabilities| {
        let mut known = home.named_issuers().unwrap();
        let others = known.others(capabilities).unwrap();
        known.record(capabilities).unwrap();
        others
    };
    let none: [&str; 0] = [];
    let (a, b) = (naming("https://a.example", issuer, "eko"), naming("https://b.example", issuer, "eko"));
    assert_eq!(named(&a), none);
    assert_eq!(named(&a), none);
    assert_eq!(named(&b), ["https://a.example"]);
    assert_eq!(named(&b), none);
    assert_eq!(named(&a), none);
    let c = naming("https://c.example", issuer, "eko");
    assert_eq!(named(&c), ["https://a.example", "https://b.example"]);
    // Another audience is another client of the issuer. The quotes in it separate nothing.
    assert_eq!(named(&naming("https://d.example", issuer, "other")), none);
    assert_eq!(named(&naming("https://e.example", &format!("{issuer}\",\"eko"), "")), none);

    let file = folder.path().join("home").join(ISSUERS);
    assert_eq!(mode(&file), 0o600);
    let left: Vec<_> = file.parent().unwrap().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    // What a server names is kept up to a length only.
    let long = naming("https://f.example", &"x".repeat(2049), "eko");
    assert!(home.named_issuers().unwrap().others(&long).is_err());
    std::fs::write(&file, "{").unwrap();
    assert!(home.named_issuers().unwrap_err().to_string().starts_with("cannot read "));
}

/// The clock was ahead once, or is behind now.
#[test]
fn what_is_set_aside_last_is_taken_over_whatever_the_clock_says() {
    let (_folder, home) = home(&["alice@a.example", "alice@a.example-b.example"]);
    let other = home.choose(Some(&"alice@a.example-b.example".parse().unwrap())).unwrap();
    let account = home.choose(Some(&"alice@a.example".parse().unwrap())).unwrap();
    home.set_aside(&other, "20400101T000000.000Z").unwrap();
    let mut all = Vec::new();
    for stamp in
        ["20300101T000000.000Z", "20260129T193000.000Z", "20260129T193000.000Z", "20300101T000000.001Z"]
    {
        home.prepare(&account.handle).unwrap();
        all.insert(0, home.set_aside(&account, stamp).unwrap());
        let former: Vec<_> = home.former(&account).unwrap().iter().map(|it| it.path().to_owned()).collect();
        assert_eq!(former, all);
    }
    assert!(all[0].ends_with("alice@a.example-20300101T000000.001Z"), "{all:?}");
    // A folder that an earlier version has put before one that was taken over is not forgotten.
    home.note_carried(&all[0]).unwrap();
    home.note_carried(&all[2]).unwrap();
    let former: Vec<_> = home.former(&account).unwrap().iter().map(|it| it.path().to_owned()).collect();
    assert_eq!(former, [all[1].clone(), all[3].clone()]);
}

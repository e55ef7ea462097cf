//! Tests of `groups`, from the creation of a group to its last member.

use super::people::{ReportedFailure, signed_in, text};
use super::talking::two_on;
use super::test_home::{TestHome, server};

#[tokio::test]
async fn a_group_from_its_beginning_to_its_end() {
    let server = server().await;
    let (alice, bob, carol) = (
        signed_in(&server, "alice").await,
        signed_in(&server, "bob").await,
        signed_in(&server, "carol").await,
    );
    assert_eq!(alice.eko(&["groups"]).await.done(), "");
    let created = alice.object(&["groups", "create", "Friday", "@bob"]).await;
    assert_eq!((text(&created, "change"), text(&created, "state")), ("created", "accepted"));
    assert_eq!((&created["epoch"], text(&created, "you")), (&1.into(), "admin"));
    assert_eq!(alice.fails(&["groups", "create", "Friday", "@carol"]).await.code, 2);
    assert_eq!(created["unconfirmed"].as_array().unwrap().len(), 1);
    bob.hears().await;
    // A name in other letters is asked about.
    let near = alice.fails(&["send", "--group", "friday", "hello"]).await;
    assert!(
        near.what.starts_with("there is no group \"friday\" here. Did you mean \"Friday\"?"),
        "{}",
        near.what
    );
    for command in ["join", "show"] {
        let near = bob.fails(&["groups", command, "FRIDAY"]).await;
        assert!(near.what.ends_with(" Did you mean \"Friday\"?"), "{}", near.what);
    }
    let listed = bob.objects(&["groups"]).await;
    assert_eq!(
        (listed.len(), text(&listed[0], "type"), &listed[0]["stranger"]),
        (1, "invitation", &true.into())
    );
    let joined = bob.object(&["groups", "join", "Friday"]).await;
    assert_eq!((text(&joined, "change"), text(&joined, "you")), ("joined", "member"));
    let ReportedFailure { code, what, next } = bob.fails(&["groups", "join", "Friday"]).await;
    assert_eq!((code, &*what), (2, "you are in the group Friday already"));
    assert_eq!(next, "eko groups show \"Friday\"");
    alice.hears().await;
    let shown = bob.object(&["groups", "show", "Friday"]).await;
    assert_eq!((&shown["id"], text(&shown, "you")), (&created["id"], "member"));
    alice.eko(&["send", "--group", "Friday", "Hello, all"]).await.done();
    assert_eq!(bob.hears().await, ["Hello, all"]);

    // Only admins can change the group.
    let ReportedFailure { code, what, next } = bob.fails(&["groups", "add", "Friday", "@carol"]).await;
    assert_eq!(next, "eko groups show \"Friday\", which names the admins");
    assert_eq!(
        (code, what),
        (1, format!("@bob@{} is not an admin of the group", &server["http://".len()..]))
    );
    let said = alice.eko(&["groups", "add", "Friday", "@carol"]).await.done();
    assert_eq!(
        said,
        "@carol is invited to Friday. Told: @bob. Sent, and not heard of in this group yet: @carol.\n"
    );
    bob.hears().await;
    carol.hears().await;
    let joined = carol.eko(&["groups", "join", "Friday"]).await.done();
    assert_eq!(
        joined,
        "You are in Friday now. Told: @alice. Sent, and not heard of in this group yet: @bob.\n"
    );
    carol.eko(&["send", "--group", "Friday", "I am here"]).await.done();
    assert_eq!(
        (alice.hears().await, bob.hears().await),
        (vec!["I am here".to_owned()], vec!["I am here".to_owned()])
    );
    alice.eko(&["groups", "rename", "Friday", "Saturday"]).await.done();
    alice.eko(&["groups", "remove", "Saturday", "@carol"]).await.done();
    alice.eko(&["send", "--group", "Saturday", "without Carol"]).await.done();
    assert_eq!(bob.hears().await, ["without Carol"]);
    assert_eq!(carol.hears().await, [""; 0]);

    // The last admin must make somebody else an admin before leaving.
    let ReportedFailure { code, next, .. } = alice.fails(&["groups", "leave", "Saturday"]).await;
    assert_eq!((code, &*next), (1, "eko groups promote \"Saturday\" @whom"));
    alice.eko(&["groups", "promote", "Saturday", "@bob"]).await.done();
    let left = alice.eko(&["groups", "leave", "Saturday"]).await.done();
    assert_eq!(left, "You are not in Saturday any more. Told: @bob.\n");
    assert_eq!(alice.eko(&["groups"]).await.done(), "", "it is over for her");
    assert!(alice.eko(&["groups", "list", "--all"]).await.done().contains("you are not in it any more"));
    for command in
        [&["send", "--group", "Saturday", "still here?"][..], &["groups", "rename", "Saturday", "x"]]
    {
        let ReportedFailure { code, what, next } = alice.fails(command).await;
        let kept = if command[0] == "send" { "; nothing was sent, and nothing is kept" } else { "" };
        assert_eq!((code, what), (1, format!("you are not in the group Saturday any more{kept}")));
        assert_eq!(next, "ask an admin of it to add you again");
    }
    bob.hears().await;
    let last = bob.object(&["groups", "show", "Saturday"]).await;
    assert_eq!((last["members"].as_array().unwrap().len(), text(&last, "you")), (1, "admin"));
}

/// Some members have the message, so it must not be said that nothing was sent.
#[tokio::test]
async fn what_was_sent_to_some_members_only_says_so() {
    let server = server().await;
    let (alice, bob, carol) = (
        signed_in(&server, "alice").await,
        signed_in(&server, "bob").await,
        signed_in(&server, "carol").await,
    );
    alice.object(&["groups", "create", "Friday", "@bob", "@carol"]).await;
    for member in [&bob, &carol] {
        member.hears().await;
        member.object(&["groups", "join", "Friday"]).await;
    }
    alice.hears().await;
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &server, "--reset", "--yes"]).await.done();
    alice.eko(&["verify", "@bob"]).await;
    for (command, lead) in [
        (&["send", "--group", "Friday", "half"][..], ""),
        (&["groups", "rename", "Friday", "Saturday"], "the change is made here, and "),
    ] {
        let ReportedFailure { code, what, next } = alice.fails(command).await;
        assert_eq!(code, 5, "{what}");
        assert!(what.starts_with(&format!("{lead}sent to @carol, and not sent to @bob: ")), "{what}");
        assert!(what.ends_with(" (it is held back, and sent by itself once that is settled)"), "{what}");
        assert_eq!(next, "eko verify @bob");
    }
    let failed = alice.eko(&["send", "--group", "Saturday", "more", "--json"]).await;
    let object: serde_json::Value = serde_json::from_str(&failed.err).unwrap();
    assert_eq!((failed.code, text(&object, "kind")), (5, "partly"), "{}", failed.err);
    assert_eq!(carol.hears().await, ["half", "more"]);
    // To one person nothing is sent. What was held back from him is sent when Alice has decided.
    let ReportedFailure { code, next, .. } = alice.fails(&["send", "@bob", "none"]).await;
    assert_eq!((code, &*next), (3, "eko verify @bob"));
    alice.eko(&["verify", "@bob", "--accept"]).await.done();
    assert_eq!(anew.hears().await, ["none"], "this device was not in the group");
}

/// Each alarm is settled by a command of its own, so that one of them would not be enough.
#[tokio::test]
async fn everybody_in_alarm_is_named_with_the_remedy() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let (names, mut members) = (["bob", "carol", "dave", "erin"], Vec::new());
    for name in names {
        members.push(signed_in(&server, name).await);
    }
    alice.object(&["groups", "create", "Friday", "@bob", "@carol"]).await;
    alice.object(&["groups", "create", "Sunday", "@bob", "@carol", "@dave", "@erin"]).await;
    for name in names {
        TestHome::new().eko(&["login", name, "--server", &server, "--reset", "--yes"]).await.done();
        alice.eko(&["verify", &format!("@{name}")]).await;
    }
    let two = "eko verify @bob, and eko verify @carol";
    let all = "eko verify @bob, eko verify @carol, eko verify @dave, and 1 more";
    for (group, next) in [("Friday", two), ("Sunday", all)] {
        let failed = alice.fails(&["send", "--group", group, "hello"]).await;
        assert_eq!((failed.code, &*failed.next), (3, next), "{}", failed.what);
        let history = alice.eko(&["history", "--group", group]).await.done();
        assert!(history.contains(&format!("\n    {next}: once you have decided, it is sent; ")), "{history}");
        let chat = alice.eko_reading(&["chat", "--group", group], "more\n").await;
        assert!(chat.code == 3 && chat.err.contains(&format!("\nNext: {next}\n")), "{chat:?}");
    }
}

#[tokio::test]
async fn a_group_of_people_who_are_not_there_is_not_begun() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let ReportedFailure { code, what, .. } = alice.fails(&["groups", "create", "Friday", "@nobody"]).await;
    assert_eq!((code, what), (2, format!("there is no @nobody@{}", &server["http://".len()..])));
    assert_eq!(alice.objects(&["groups"]).await.len(), 0);
    assert_eq!(alice.fails(&["groups", "show", "Friday"]).await.code, 2);
    assert_eq!(alice.fails(&["groups", "decline", "Friday"]).await.code, 2);
    assert_eq!(alice.fails(&["groups", "create", "Friday"]).await.code, 2);
    signed_in(&server, "bob").await;
    let ReportedFailure { code, what, .. } = alice.fails(&["groups", "create", "", "@bob"]).await;
    assert_eq!((code, what.starts_with("the name of a group must be 1 to ")), (2, true), "{what}");
}

#[tokio::test]
async fn an_invitation_that_is_declined_is_gone() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let created = alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.hears().await;
    assert!(bob.eko(&["groups"]).await.done().contains("@alice, who is none of your contacts, invites you"));
    // Whoever is invited only can look at it, and is told how to get in.
    assert!(bob.eko(&["groups", "show", "Friday"]).await.done().contains("invites you: eko groups join"));
    let ReportedFailure { code, what, next } = bob.fails(&["send", "--group", "Friday", "hello?"]).await;
    let due =
        "you are invited to the group Friday, and have not joined it; nothing was sent, and nothing is kept";
    assert_eq!((code, &*what), (1, due));
    assert_eq!(next, "eko groups join \"Friday\", or eko groups decline \"Friday\"");
    let id = text(&created, "id").strip_prefix("urn:uuid:").unwrap();
    let said = bob.eko(&["groups", "decline", id]).await.done();
    assert_eq!(said, "You have declined to join Friday. Nobody was told.\n");
    assert_eq!(bob.eko(&["groups"]).await.done(), "");
    let shown = alice.eko(&["groups", "show", "Friday"]).await.done();
    assert!(shown.contains("@bob (not heard of in this group yet)"), "{shown}");
    // Nobody was told, so that to be invited again takes two steps.
    let ReportedFailure { code, what, next } = alice.fails(&["groups", "add", "Friday", "@bob"]).await;
    assert_eq!((code, &*what), (2, "@bob is in Friday already"));
    assert_eq!(
        next,
        "eko groups show \"Friday\"; to invite again who has declined: eko groups remove \"Friday\" @bob, then eko \
         groups add \"Friday\" @bob"
    );
    alice.eko(&["groups", "remove", "Friday", "@bob"]).await.done();
    alice.eko(&["groups", "add", "Friday", "@bob"]).await.done();
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
}

#[tokio::test]
async fn a_group_is_joined_again_by_its_former_name_and_by_its_present_one() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.hears().await;
    for (before, after) in [("Friday", "Saturday"), ("Saturday", "Sunday")] {
        bob.eko(&["groups", "join", before]).await.done();
        bob.eko(&["groups", "leave", before]).await.done();
        alice.hears().await;
        alice.eko(&["groups", "rename", before, after]).await.done();
        alice.eko(&["groups", "add", after, "@bob"]).await.done();
        bob.hears().await;
        let listed = bob.eko(&["groups"]).await.done();
        assert!(listed.contains(&format!("invites you: eko groups join \"{after}\"\n")), "{listed}");
    }
    bob.eko(&["groups", "join", "Saturday"]).await.done();
    assert!(bob.eko(&["groups"]).await.done().starts_with("Sunday "));
}

#[tokio::test]
async fn groups_of_one_name_are_told_apart_by_their_ids() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let hers = alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.object(&["groups", "create", "Friday", "@alice"]).await;
    let id = text(&hers, "id").strip_prefix("urn:uuid:").unwrap();
    let short = &id[..8];
    let listed = bob.eko(&["groups"]).await.done();
    assert!(
        listed.contains(&format!(", who is none of your contacts, invites you: eko groups join {short}\n")),
        "{listed}"
    );
    let ReportedFailure { code, what, .. } = bob.fails(&["send", "--group", short, "hello?"]).await;
    let due = format!("you are invited to the group Friday ({short}), and have not joined it; ");
    assert_eq!((code, what.strip_suffix("nothing was sent, and nothing is kept")), (1, Some(&*due)));
    let joined = bob.eko(&["groups", "join", short]).await.done();
    assert_eq!(joined, format!("You are in Friday ({short}) now. Told: @alice.\n"));
    let ReportedFailure { code, what, .. } = bob.fails(&["groups", "show", "Friday"]).await;
    assert_eq!((code, what.starts_with("there are 2 groups \"Friday\": ")), (2, true), "{what}");
}

/// All that comes for a group before the user joins it is one line.
#[tokio::test]
async fn what_is_held_is_listed_once_in_words() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.object(&["groups", "create", "Friday", "@bob"]).await;
    for words in ["one", "two", "three"] {
        alice.eko(&["send", "--group", "Friday", words]).await.done();
    }
    let listed = bob.eko(&["groups"]).await.done();
    let held: Vec<_> = listed.lines().filter(|line| line.starts_with("held: ")).collect();
    assert_eq!(held.len(), 1, "{listed}");
    assert!(held[0].starts_with("held: 3 activities of @alice for the group Friday, since 20"), "{listed}");
    assert!(
        held[0].ends_with(
            ": you have not joined it: eko groups join \"Friday\" or eko groups decline \"Friday\""
        ),
        "{listed}"
    );
    let joined = bob.eko(&["groups", "join", "Friday"]).await;
    assert_eq!(joined.out, "You are in Friday now. Told: @alice.\n");
    assert_eq!(bob.hears().await, ["one", "two", "three"]);
}

/// A message to a group that a reset has taken away says what is to be done, and no id that nobody can type.
#[tokio::test]
async fn after_a_reset_a_group_is_named_by_letters_with_one_way_back() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    let created = alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    let short = &text(&created, "id")["urn:uuid:".len()..][..8];
    let anew = TestHome::new();
    anew.eko(&["login", "alice", "--server", &server, "--reset", "--yes"]).await.done();
    bob.eko(&["verify", "@alice", "--accept"]).await.done();
    bob.eko(&["send", "--group", "Friday", "where are you?"]).await;
    let listened = anew.eko(&["listen", "--once"]).await;
    let listed = anew.eko(&["groups"]).await;
    let all = format!("{}{}{}{}", listened.out, listened.err, listed.out, listed.err);
    assert!(!all.contains("urn:uuid:"), "{all}");
    let held = format!("held: 1 activity of @bob for the group {short}, since 20");
    let back = "a reset of your account has ended your part in it, so an admin of it has to remove you and add you again";
    assert!(listed.out.starts_with(&held) && listed.out.contains(back), "{all}");
    assert!(!all.contains("next change of it"), "{all}");
}

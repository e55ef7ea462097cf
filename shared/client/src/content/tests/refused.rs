//! Tests of what is refused, and of the pointer in each refusal.

use super::*;

/// Returns the pointer of the refusal of an activity in which one member is changed, or removed if
/// `other` is null.
fn refusal(of: &Activity, pointer: &str, other: Value) -> String {
    let mut value = json_of(of);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    let name = name.replace("~1", "/");
    match other {
        Value::Null => drop(parent.remove(&name).unwrap()),
        other => drop(parent.insert(name, other)),
    }
    match Activity::from_plaintext(&plaintext(&value)) {
        Err(invalid) => invalid.pointer,
        Ok(read) => panic!("{pointer}: {read:?}"),
    }
}

#[test]
fn every_member_is_checked() {
    let sealed = attachment::seal(b"file", "a.png", "image/png", &repeatable(1)).unwrap();
    let mut said = note("Hello");
    said.attachments.push(sealed.inline().unwrap());
    let said = activity(ActivityContent::Note(said));
    let long = format!("https://a.example/{}", "x".repeat(600));
    let cases = [
        ("/id", json!(null), "/id"),
        ("/id", json!("https://a.example/activity/1"), "/id"),
        ("/actor", json!(null), "/actor"),
        ("/actor", json!([ALICE, BOB]), "/actor"),
        ("/actor", json!("https://a.example"), "/actor"),
        ("/actor", json!("https://a.example/"), "/actor"),
        ("/actor", json!("http://a.example/user/alice"), "/actor"),
        ("/actor", json!("https://a.example/user/alice#x"), "/actor"),
        ("/actor", json!(long), "/actor"),
        ("/to", json!(null), "/to"),
        ("/to", json!([]), "/to"),
        ("/to", json!([1]), "/to"),
        ("/to", json!([BOB, BOB]), "/to"),
        ("/to", json!([BOB, ALICE]), "/to"),
        ("/to", json!(["bob"]), "/to"),
        ("/to", json!([OTHER_URN]), "/to"),
        ("/published", json!(null), "/published"),
        ("/published", json!("yesterday"), "/published"),
        ("/eko:sequence", json!(0), "/eko:sequence"),
        ("/eko:sequence", json!(-1), "/eko:sequence"),
        ("/eko:sequence", json!(1.5), "/eko:sequence"),
        ("/eko:sequence", json!(1u64 << 53), "/eko:sequence"),
        ("/eko:sequence", json!("1"), "/eko:sequence"),
        ("/eko:void", json!(1), "/eko:void/0/first"),
        ("/eko:void", json!([{ "first": 1 }]), "/eko:void/0/last"),
        ("/eko:void", json!([{ "first": 0, "last": 1 }]), "/eko:void/0/first"),
        ("/eko:void", json!([{ "first": 3, "last": 2 }]), "/eko:void/0/last"),
        ("/eko:void", json!([{ "first": 1, "last": 1 }, { "first": 3, "last": 17 }]), "/eko:void/1/last"),
        ("/eko:void", json!(vec![json!({ "first": 1, "last": 1 }); MAX_VOID + 1]), "/eko:void"),
        ("/eko:deviceSets", json!(1), "/eko:deviceSets"),
        ("/eko:deviceSets", json!({ "bob": { "length": 1, "head": "ab".repeat(32) } }), "/eko:deviceSets"),
        ("/eko:deviceSets", json!({ BOB: { "length": 0, "head": "ab".repeat(32) } }), "/eko:deviceSets"),
        (
            "/eko:deviceSets",
            json!({ BOB: { "length": 1u64 << 53, "head": "ab".repeat(32) } }),
            "/eko:deviceSets",
        ),
        ("/eko:group", json!({ "id": OTHER_URN, "epoch": 1, "state": "cd".repeat(32) }), "/to"),
        ("/eko:group", json!({ "id": OTHER_URN, "epoch": 1 }), "/eko:group/state"),
        ("/eko:group", json!({ "id": OTHER_URN, "epoch": 1, "state": "CD".repeat(32) }), "/eko:group/state"),
        ("/eko:deviceSet", json!({ "length": 1, "head": "ab".repeat(32) }), "/eko:signature"),
        ("/eko:signature", json!("z"), "/eko:signature"),
        ("/eko:deviceSetsHash", json!("ab"), "/eko:deviceSetsHash"),
        ("/eko:group", json!({ "id": OTHER_URN }), "/eko:group/epoch"),
        ("/eko:group", json!({ "id": OTHER_URN, "epoch": (1u64 << 32) + 1 }), "/eko:group/epoch"),
        ("/eko:group", json!({ "id": OTHER_URN, "epoch": 0 }), "/eko:group/epoch"),
        ("/eko:group", json!({ "id": BOB, "epoch": 1 }), "/eko:group/id"),
        ("/object/id", json!(null), "/object/id"),
        ("/object/content", json!(null), "/object/content"),
        ("/object/content", json!({ "en": "Hello" }), "/object/content"),
        ("/object/mediaType", json!("text/html"), "/object/mediaType"),
        ("/object/attachment", json!({}), "/object/attachment/0/type"),
        ("/object/attachment", json!([1]), "/object/attachment/0/type"),
        ("/object/attachment", json!(vec![json!({}); 33]), "/object/attachment"),
    ];
    for (pointer, other, expected) in cases {
        assert_eq!(refusal(&said, pointer, other.clone()), expected, "{pointer}: {other}");
    }
    let read = activity(ActivityContent::Read(ActivityId::parse(OTHER_URN).unwrap()));
    assert_eq!(refusal(&read, "/object", json!(null)), "/object");
    assert_eq!(refusal(&read, "/object", json!([OTHER_URN, OTHER_URN])), "/object");
    assert_eq!(refusal(&read, "/object", json!(BOB)), "/object");
    let decision = Decision { actor: BOB.to_owned(), is_accepted: false, declined_ms: Some(0) };
    let decisions = Decisions { people: vec![decision], device_names: Vec::new() };
    let decisions = activity(ActivityContent::Decisions(decisions));
    let item = |member: &str, value: Value| {
        let mut item = json!({ "type": "Decision", "actor": BOB, "accepted": false, "declined": "2026-01-29T19:30:00.007Z" });
        item[member] = value;
        json!([item])
    };
    for (other, expected) in [
        (json!(null), "/object"),
        (json!([]), "/object"),
        (json!(vec![item("accepted", json!(true))[0].clone(); MAX_DECISIONS + 1]), "/object"),
        (item("actor", json!("bob")), "/object/0/actor"),
        (item("accepted", json!("yes")), "/object/0/accepted"),
        (item("declined", Value::Null), "/object/0/declined"),
        (item("declined", json!("yesterday")), "/object/0/declined"),
    ] {
        assert_eq!(refusal(&decisions, "/object", other.clone()), expected, "{other}");
    }
    let device = "https://a.example/user/alice/device/a11ce001-5c1b-4e9a-9d2f-6b7c1a2e3d40";
    let named = |name: &str| json!({ "device": device, "name": name });
    for (other, expected) in [
        (json!(vec![named("Tablet"); MAX_DEVICE_NAMES + 1]), "/eko:deviceNames"),
        (json!(["Tablet"]), "/eko:deviceNames/0/device"),
        (json!([{ "device": ALICE, "name": "Tablet" }]), "/eko:deviceNames/0/device"),
        (json!([{ "device": device }]), "/eko:deviceNames/0/name"),
        (json!([named("")]), "/eko:deviceNames/0/name"),
        (json!([named("Tablet"), named(&"ä".repeat(MAX_DEVICE_NAME_CHARS + 1))]), "/eko:deviceNames/1/name"),
    ] {
        assert_eq!(refusal(&decisions, "/eko:deviceNames", other.clone()), expected, "{other}");
    }
    // The greatest names and decisions that there are fit into one activity.
    let longest = format!("https://{}.example/user/bob", "b".repeat(470));
    let names = DeviceName { device: device.to_owned(), name: "\u{1}".repeat(MAX_DEVICE_NAME_CHARS) };
    let people = Decision { actor: longest, is_accepted: true, declined_ms: Some(0) };
    let most = Decisions { people: vec![people; MAX_DECISIONS], device_names: vec![names; MAX_DEVICE_NAMES] };
    let most = activity(ActivityContent::Decisions(most));
    assert_eq!(Activity::from_plaintext(&most.to_plaintext().unwrap()).unwrap(), most);
    let missing = json!([{ "device": "d", "conversation": BOB, "sequence": [] }]);
    let receipt = Receipt { received: vec![ActivityId::parse(URN).unwrap()], ..Receipt::default() };
    let receipt = activity(ActivityContent::Receipt(receipt));
    for (pointer, other, expected) in [
        ("/object", json!(null), "/object"),
        ("/object", json!([]), "/object"),
        ("/object", json!([BOB]), "/object/0"),
        ("/object", json!(vec![URN; MAX_RECEIVED + 1]), "/object"),
        ("/eko:missing", json!({}), "/eko:missing/0/sequence"),
        ("/eko:missing", missing, "/eko:missing/0/sequence"),
        ("/eko:unreadable", json!("1"), "/eko:unreadable/0/device"),
        ("/eko:unreadable", json!([{ "device": "", "envelope": "1" }]), "/eko:unreadable/0/device"),
        ("/eko:unreadable", json!([{ "device": "d", "envelope": "1" }]), "/eko:unreadable/0/envelope"),
    ] {
        assert_eq!(refusal(&receipt, pointer, other.clone()), expected, "{pointer}: {other}");
    }
}

#[test]
fn every_member_of_a_control_is_checked() {
    let control = Activity::of_control(&control());
    let id = control.to.clone();
    let cases = [
        ("/type", json!("GroupControl"), "/type"),
        ("/type", json!(["Update", "GroupControl"]), "/type"),
        ("/actor", json!(BOB), "/actor"),
        ("/to", json!([BOB]), "/to"),
        ("/to", json!([id, BOB]), "/to"),
        ("/eko:group", json!(null), "/to"),
        (
            "/eko:group",
            json!({ "id": id, "epoch": 2, "state": control.group.clone().unwrap().state }),
            "/eko:group",
        ),
        ("/eko:group", json!({ "id": id, "epoch": 1, "state": "cd".repeat(32) }), "/eko:group"),
        ("/eko:change", json!(null), "/eko:change"),
        ("/eko:change", json!("demoted"), "/eko:change"),
        ("/eko:change", json!("renamed"), "/type"),
        ("/eko:previous", json!("ab".repeat(32)), "/eko:previous"),
        ("/eko:previous", json!("AB"), "/eko:previous"),
        ("/eko:mac", json!(null), "/eko:mac"),
        ("/eko:mac", json!("AAAA"), "/eko:mac"),
        ("/eko:later", json!(1u64 << 53), "/eko:later"),
        ("/object", json!(null), "/object"),
        ("/object/type", json!("Object"), "/object/type"),
        ("/eko:device", json!(null), "/eko:device"),
        ("/eko:device", json!(ALICE), "/eko:device"),
        ("/eko:signature", json!(null), "/eko:signature"),
        ("/eko:signature", json!("z1"), "/eko:signature"),
        ("/object/id", json!(OTHER_URN), "/object/id"),
        ("/object/creator", json!(BOB), "/object/grants"),
        ("/object/nonce", json!("AAAA"), "/object/nonce"),
        ("/object/grants", json!(null), "/object/grants"),
        ("/object/grants", json!([1]), "/object/grants/0/admin"),
        ("/object/epoch", json!(0), "/object/epoch"),
        ("/object/name", json!(""), "/object/name"),
        ("/object/name", json!("a\nb"), "/object/name"),
        ("/object/name", json!("x".repeat(129)), "/object/name"),
        ("/object/members", json!([BOB, ALICE]), "/object/members"),
        ("/object/members", json!([ALICE, ALICE, BOB]), "/object/members"),
        ("/object/members", json!([ALICE, "bob"]), "/object/members"),
        ("/object/members", json!([BOB]), "/object/admins"),
        ("/object/admins", json!([]), "/object/admins"),
        ("/object/admins", json!(1), "/object/admins"),
        ("/object/groupMasterKey", json!("AAAA"), "/object/groupMasterKey"),
    ];
    for (pointer, other, expected) in cases {
        assert_eq!(refusal(&control, pointer, other.clone()), expected, "{pointer}: {other}");
    }
    let crowd: Vec<String> = (0..257).map(|n| format!("https://c.example/user/{n:03}")).collect();
    assert_eq!(refusal(&control, "/object/members", json!(crowd)), "/object/members");
}

#[test]
fn what_is_no_activity_is_refused() {
    let text = json_of(&activity(ActivityContent::Note(note("Hello")))).to_string();
    assert!(Activity::from_plaintext(&pad(text.as_bytes()).unwrap()).is_ok());
    let twice = text.replacen('{', "{\"actor\":\"https://b.example/user/eve\",", 1);
    let graph = text.replacen('{', "{\"@graph\":[],", 1);
    for other in ["", "[]", "1", "{}", &twice, &graph, &text[1..], &format!("{text}{text}")] {
        assert!(Activity::from_plaintext(&pad(other.as_bytes()).unwrap()).is_err(), "{other}");
    }
    assert!(Activity::from_plaintext(text.as_bytes()).is_err(), "not padded");
}

#[test]
fn what_would_be_refused_is_not_sent() {
    let good = activity(ActivityContent::Note(note("Hello")));
    let mut bad = Vec::new();
    let mut with = |change: &dyn Fn(&mut Activity)| {
        let mut activity = good.clone();
        change(&mut activity);
        bad.push(activity);
    };
    with(&|activity| activity.actor = "alice".to_owned());
    with(&|activity| activity.to.clear());
    with(&|activity| activity.to = OTHER_URN.to_owned());
    with(&|activity| activity.published_ms = i64::MAX);
    with(&|activity| activity.sequence = Some(0));
    with(&|activity| {
        activity.group = Some(GroupRef { id: GroupId::parse(URN).unwrap(), epoch: 1, state: "cd".repeat(32) })
    });
    with(&|activity| activity.content = ActivityContent::Other(json!({ "type": "Typing" })));
    with(&|activity| activity.content = ActivityContent::Control(Box::new(control())));
    for activity in bad {
        assert!(activity.to_plaintext().is_err(), "{activity:?}");
    }
    assert!(good.to_plaintext().is_ok());
}

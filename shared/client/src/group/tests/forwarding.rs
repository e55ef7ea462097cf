//! Tests of controls that members forward.

use super::*;

/// Forwards a control as a member does. Whoever reads the activity gets the same control.
fn forward(control: &GroupControl) {
    let mut activity = Activity::of_control(control);
    activity.actor = "https://b.example/user/".to_owned() + &"b".repeat(64);
    activity.to = "https://c.example/user/".to_owned() + &"c".repeat(64);
    activity.group = None;
    activity.device_set = None;
    activity.content = ActivityContent::Announce(Box::new(control.clone()));
    let read = Activity::from_plaintext(&activity.to_plaintext().unwrap()).unwrap();
    assert_eq!(read.content, activity.content);
}

/// Every member of a control is signed, so a member who forwards it can leave out none.
#[test]
fn a_control_that_nobody_can_forward_is_refused() {
    let environment = repeatable(1);
    let state = choir(&environment);
    let control = seal(GroupChange::Created, None, &state, ALICE, &environment).unwrap().to_value();
    let with = |member: Value| {
        let mut control = control.clone();
        control["x"] = member;
        GroupControl::parse(&control)
    };
    let nested = |depth| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    // The control is one level, and the activity around it another.
    forward(&with(nested(30)).unwrap());
    let refused = with(nested(31)).unwrap_err();
    assert!(refused.to_string().contains("Announce"), "{refused}");
    let room = MAX_CONTROL - with(json!("")).unwrap().to_value().to_string().len();
    forward(&with(json!("x".repeat(room))).unwrap());
    assert!(with(json!("x".repeat(room + 1))).is_err());
}

//! The forms of a member: which are read, which are refused, which are absent.

use serde_json::json;

use super::*;

#[test]
fn types_are_a_string_or_an_array() {
    assert!(has_type(&json!({"type": "SignalEnvelope"}), "SignalEnvelope"));
    assert!(has_type(&json!({"type": ["Object", "SignalEnvelope"]}), "SignalEnvelope"));
    for term in ["eko:SignalEnvelope", "https://eko.network/ns#SignalEnvelope"] {
        assert!(has_type(&json!({ "type": term }), "SignalEnvelope"), "{term}");
        assert!(has_type(&json!({ "@type": ["as:Object", term] }), "SignalEnvelope"), "{term}");
    }
    assert!(has_type(&json!({"type": "https://www.w3.org/ns/activitystreams#Create"}), "Create"));
    for other in [
        json!({"type": "x:SignalEnvelope"}),
        json!({"type": "#SignalEnvelope"}),
        json!({"type": "https://a.example/ns#SignalEnvelope"}),
        json!({"type": "https://eko.network/ns#eko:SignalEnvelope"}),
        json!({"type": ["Object"]}),
        json!({"type": {"SignalEnvelope": 1}}),
        json!({"type": {"id": "SignalEnvelope"}}),
        json!({}),
        json!("SignalEnvelope"),
    ] {
        assert!(!has_type(&other, "SignalEnvelope"), "{other}");
    }
}

#[test]
fn one_value_has_many_forms() {
    for form in [
        json!("x"),
        json!(["x"]),
        json!({"id": "x"}),
        json!({"@id": "x"}),
        json!([{"id": "x", "type": "Person", "name": "X"}]),
        json!({"type": "Link", "href": "x"}),
        json!({"@value": "x", "@language": "en"}),
        json!({"@set": ["x"]}),
        json!({"@list": "x"}),
    ] {
        assert_eq!(text(&json!({ "to": form }), "to"), Ok("x"), "{form}");
    }
    for (one, value) in [
        (json!([{ "@value": 1 }]), json!(1)),
        (json!([false]), json!(false)),
        (json!([{}]), json!({})),
        (json!({}), json!({})),
    ] {
        assert_eq!(only(&json!({ "to": one }), "to"), Ok(&value), "{one}");
    }
    assert_eq!(text(&json!({"@id": "x"}), "id"), Ok("x"));
}

#[test]
fn several_values_and_other_shapes_are_refused() {
    for other in [
        json!(["x", "y"]),
        json!([["x"]]),
        json!([null]),
        json!({"@set": ["x", "y"]}),
        json!(1),
        json!({}),
        json!({"id": 1}),
        json!({"id": ["x"]}),
        json!({"href": "x"}),
        json!({"en": "x"}),
    ] {
        assert_eq!(text(&json!({ "to": other }), "to").unwrap_err().pointer, "/to", "{other}");
        assert_eq!(optional_text(&json!({ "to": other }), "to").unwrap_err().pointer, "/to", "{other}");
    }
}

#[test]
fn what_is_absent_has_three_forms() {
    for object in [json!({}), json!({"to": null}), json!({"to": []}), json!([]), json!("to")] {
        assert_eq!(optional(&object, "to"), Ok(None), "{object}");
        assert_eq!(text(&object, "to"), Err(Invalid::at("/to", "is missing")), "{object}");
        assert!(list(&object, "to").is_empty(), "{object}");
        assert_eq!(required_list(&object, "to").is_ok(), object == json!({"to": []}), "{object}");
    }
}

#[test]
fn one_value_is_a_list_of_one() {
    let two = [json!("x"), json!("y")];
    for form in [json!(two), json!({ "@list": two }), json!({ "@set": two })] {
        assert_eq!(list(&json!({ "to": form }), "to"), &two, "{form}");
    }
    for one in [json!("x"), json!({"id": "x"}), json!(7)] {
        assert_eq!(list(&json!({ "to": one }), "to"), [one]);
    }
}

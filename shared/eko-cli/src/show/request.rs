//! The messages of a stranger, as text for a person and as a JSON object.

use eko_client::messenger::MessageRequest;
use eko_client::store::{MOST_OF_STRANGER, MOST_UNKEPT};
use serde_json::{Value, json};

use crate::context::HttpMessenger;
use crate::people::named;

/// Returns what a stranger wrote as text.
pub(crate) fn request(client: &HttpMessenger, request: &MessageRequest) -> String {
    let who = named(client, &request.person.actor());
    let said = request.messages.iter().map(|message| format!("\n{}", super::words(client, message)));
    let more = match (is_full(request), request.not_kept) {
        (false, 0) => String::new(),
        (false, count) => format!(
            "\n  This device could not read {} of {who}, or has not kept {}. Once you have accepted, {who}'s program \
             is asked to send {} again: eko requests accept {who}",
            messages_not_kept(count),
            if count == 1 { "it" } else { "them" },
            asked_for(count)
        ),
        (true, 0) => format!("\n  No more than {MOST_OF_STRANGER} messages of a stranger are kept."),
        (true, count) => format!(
            "\n  No more than {MOST_OF_STRANGER} messages of a stranger are kept. {} came after these; once you have \
             accepted, {who}'s program is asked to send {} again: eko requests accept {who}",
            messages_not_kept(count),
            asked_for(count)
        ),
    };
    let wrote = if request.messages.is_empty() { "wrote to you." } else { "wrote:" };
    format!("{who} is no contact of yours and {wrote}{}{more}", said.collect::<String>())
}

/// Returns a number of messages that were not kept in words. No more than a bound are counted.
pub(crate) fn messages_not_kept(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        count if i64::try_from(count).is_ok_and(|count| count >= MOST_UNKEPT) => {
            format!("{count} messages or more")
        }
        count => format!("{count} messages"),
    }
}

/// Returns the words for those of the messages that were not kept for which a stranger's program is asked. This
/// device knows of no others.
pub(crate) fn asked_for(count: u64) -> String {
    match count {
        1 => "it".to_owned(),
        count if i64::try_from(count).is_ok_and(|count| count >= MOST_UNKEPT) => {
            format!("the first {MOST_UNKEPT} of them")
        }
        _ => "them".to_owned(),
    }
}

/// True if so much is kept of a stranger that nothing more is.
fn is_full(request: &MessageRequest) -> bool {
    i64::try_from(request.messages.len()).is_ok_and(|count| count >= MOST_OF_STRANGER)
}

/// Returns what a stranger wrote as a JSON object.
pub(crate) fn request_object(request: &MessageRequest) -> Value {
    let messages: Vec<Value> = request.messages.iter().map(super::content_object).collect();
    json!({
        "type": "request", "from": request.person.actor(), "messages": messages, "full": is_full(request),
        "notKept": request.not_kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_promised_than_is_asked_for() {
        assert_eq!([1, 2, 500].map(asked_for), ["it", "them", "the first 500 of them"]);
    }
}

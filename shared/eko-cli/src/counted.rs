//! Numbers of things in words.

/// Returns a number with the word for one thing or for several: `1 person`, `2 people`.
pub(crate) fn counted(count: impl TryInto<u64>, one: &str, several: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// Returns a time in words, rounded up: `45 seconds`, `59 minutes`, `2 hours`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        ..120 => counted(seconds, "second", "seconds"),
        120..7_200 => counted(seconds.div_ceil(60), "minute", "minutes"),
        _ => counted(seconds.div_ceil(3_600), "hour", "hours"),
    }
}

/// Returns the numbers of messages, people and groups: `2 messages, 1 person, 0 groups`.
pub(crate) fn counted_all<N: TryInto<u64>>(messages: N, people: N, groups: N) -> String {
    format!(
        "{}, {}, {}",
        counted(messages, "message", "messages"),
        counted(people, "person", "people"),
        counted(groups, "group", "groups")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_its_own_word() {
        assert_eq!(counted_all(0_u64, 1, 2), "0 messages, 1 person, 2 groups");
        assert_eq!(counted_all(1_usize, 2, 1), "1 message, 2 people, 1 group");
        assert_eq!([1, 119, 121, 7_200].map(span), ["1 second", "119 seconds", "3 minutes", "2 hours"]);
    }
}

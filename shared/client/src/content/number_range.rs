//! Ranges of the numbers that a device gives to its notes.

use eko_protocol::Invalid;
use eko_protocol::json::list;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MAX_VOID;
use super::member::required;

/// The numbers from `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The first number.
    pub first: u64,
    /// The last number. If it is less than the first one, the range is empty.
    pub last: u64,
}

impl NumberRange {
    /// Returns the range of one number.
    pub(crate) fn of(number: u64) -> Self {
        Self { first: number, last: number }
    }

    /// Returns the numbers after one and before another one.
    pub(crate) fn between(after: u64, before: u64) -> Self {
        Self { first: after.saturating_add(1), last: before.saturating_sub(1) }
    }

    /// Returns what is left of the range without these ranges.
    pub(crate) fn without(self, others: &[Self]) -> Vec<Self> {
        let mut left = vec![self];
        for other in others {
            let cut = |range: Self| {
                let before = Self { last: range.last.min(other.first.saturating_sub(1)), ..range };
                let after = Self { first: range.first.max(other.last.saturating_add(1)), ..range };
                [before, after]
            };
            left = left.into_iter().flat_map(cut).filter(|range| !range.is_empty()).collect();
        }
        left.retain(|range| !range.is_empty());
        left
    }

    fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// Reads `eko:void`: ranges of numbers before that of the activity.
pub(super) fn read(value: &Value, sequence: Option<u64>) -> Result<Vec<NumberRange>, Invalid> {
    let items = list(value, "eko:void");
    if items.len() > MAX_VOID {
        return Err(Invalid::at("/eko:void", format!("are more than {MAX_VOID}")));
    }
    let range = |(index, item): (usize, &Value)| {
        let under = |fault: Invalid| fault.under(format!("/eko:void/{index}"));
        let first = required(item, "first", 1).map_err(under)?;
        let range = NumberRange { first, last: required(item, "last", first).map_err(under)? };
        match sequence.is_some_and(|sequence| range.last < sequence) {
            true => Ok(range),
            false => Err(under(Invalid::at("/last", "is not before eko:sequence"))),
        }
    };
    items.iter().enumerate().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::NumberRange;

    fn ranges(ranges: &[(u64, u64)]) -> Vec<NumberRange> {
        ranges.iter().map(|&(first, last)| NumberRange { first, last }).collect()
    }

    #[test]
    fn what_is_left_of_a_range() {
        let cut = |after, before, others: &[(u64, u64)]| {
            NumberRange::between(after, before).without(&ranges(others))
        };
        assert_eq!(cut(3, 4, &[]), []);
        assert_eq!(cut(4, 3, &[(1, 9)]), []);
        assert_eq!(cut(3, 7, &[]), ranges(&[(4, 6)]));
        assert_eq!(cut(3, 7, &[(1, 4), (6, 9)]), ranges(&[(5, 5)]));
        assert_eq!(cut(0, 10, &[(2, 3), (3, 5), (9, 9)]), ranges(&[(1, 1), (6, 8)]));
        assert_eq!(cut(0, 10, &[(1, 9)]), []);
        assert_eq!(cut(0, u64::MAX, &[(u64::MAX, u64::MAX)]), ranges(&[(1, u64::MAX - 1)]));
    }
}

//! The reader behind [`shape`](super::shape): serde's deserializer of a [`Value`], with the forms of
//! members that [`member`](super::member) reads.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value, map};

use super::member::{items_of, plain_name, text_of};

/// A value that is read in any of its forms. Only the type that is read decides which form is meant:
/// a member of the type `Value` is left as it came.
#[derive(Clone, Copy)]
pub(super) struct Lenient<'de> {
    value: &'de Value,
    /// True for an item of a list. A list in a list is no form of anything.
    is_item: bool,
}

impl<'de> Lenient<'de> {
    pub(super) fn new(value: &'de Value) -> Self {
        Self { value, is_item: false }
    }

    /// Returns the one value that this stands for.
    fn one(self) -> &'de Value {
        match items_of(self.value) {
            [item] if !self.is_item && !item.is_array() => item,
            _ => self.value,
        }
    }

    fn is_absent(self) -> bool {
        self.value.is_null() || (!self.is_item && items_of(self.value).is_empty())
    }
}

/// Reads a scalar from the one value that is there.
macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.one() {
                Value::Object(members) => match members.get("@value") {
                    Some(value) => value.$method(visitor),
                    None => self.one().$method(visitor),
                },
                one => one.$method(visitor),
            }
        }
    )*};
}

/// Reads a text from the one value that is there.
macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match text_of(self.one()) {
                Some(text) => BorrowedStrDeserializer::new(text).$method(visitor),
                None => self.one().$method(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_absent() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items = items_of(self.value).iter().map(|value| Self { value, is_item: true });
        visitor.visit_seq(SeqDeserializer::new(items))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.one() {
            Value::Object(members) => visitor.visit_map(Members { rest: members.iter(), value: None }),
            other => other.deserialize_map(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one().deserialize_enum(name, variants, visitor)
    }

    scalars! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Lenient<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The members of an object, without those that are null, and each under one name.
struct Members<'de> {
    rest: map::Iter<'de>,
    value: Option<&'de Value>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for (name, value) in self.rest.by_ref() {
            if value.is_null() {
                continue;
            }
            self.value = Some(value);
            return seed.deserialize(BorrowedStrDeserializer::new(plain_name(name))).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Lenient::new(self.value.take().unwrap_or(&Value::Null)))
    }
}

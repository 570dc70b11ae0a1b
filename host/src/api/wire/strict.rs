//! Shapes as the document describes them, no more: what serde takes beyond that is refused, at every depth.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// An object. Derived shapes would take an array as well, its elements in the order of the fields.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A list of objects.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(object)| object).collect())
}

/// One of some words. Derived ones would take an object with the word for its only name as well.
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(CowStrDeserializer::new(Cow::<'de, str>::deserialize(deserializer)?))
}

/// One of some words, or null.
pub(super) fn optional_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let word = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    word.map(|word| T::deserialize(CowStrDeserializer::new(word))).transpose()
}

/// What is given, and not null: where a field may be left out, but not say nothing.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// As [`given`], one of some words.
pub(super) fn given_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// A list of words.
pub(super) fn words<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let words = Vec::<Word<T>>::deserialize(deserializer)?;
    Ok(words.into_iter().map(|Word(word)| word).collect())
}

/// A list of words, or null.
pub(super) fn optional_words<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let words = Option::<Vec<Word<T>>>::deserialize(deserializer)?;
    Ok(words.map(|words| words.into_iter().map(|Word(word)| word).collect()))
}

struct Word<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer).map(Self)
    }
}

/// Texts by their names. What stands in the place of a text may be meant as a secret, and is not repeated in the refusal.
pub(super) fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    // Not `deserialize_map`, which names what it finds instead of an object before the visitor can.
    deserializer.deserialize_any(Secrets)
}

struct Secrets;

impl<'de> Visitor<'de> for Secrets {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((name, Secret(text))) = map.next_entry()? {
            texts.insert(name, text);
        }
        Ok(texts)
    }

    fn visit_str<E: Error>(self, _secret: &str) -> Result<Self::Value, E> {
        Err(E::invalid_type(Unexpected::Other("a text"), &self))
    }
}

struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("must be a text")),
        }
    }
}

/// A whole number. JSON knows one kind of number: 20.0 is as whole as 20.
pub(super) fn whole<'de, D: Deserializer<'de>, T: WholeNumber>(deserializer: D) -> Result<T, D::Error> {
    Whole::deserialize(deserializer).map(|Whole(number)| number)
}

/// A whole number, or null.
pub(super) fn optional_whole<'de, D: Deserializer<'de>, T: WholeNumber>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Whole<T>>::deserialize(deserializer)?.map(|Whole(number)| number))
}

/// What can be a whole number here, with its largest value.
pub(super) trait WholeNumber: TryFrom<u64> {
    const LARGEST: u64;
}

impl WholeNumber for u16 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl WholeNumber for u64 {
    const LARGEST: Self = Self::MAX;
}

struct Whole<T>(T);

impl<'de, T: WholeNumber> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeVisitor(PhantomData)).map(Self)
    }
}

struct WholeVisitor<T>(PhantomData<T>);

impl<T: WholeNumber> Visitor<'_> for WholeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number, 0 to {}", T::LARGEST)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let whole = u64::try_from(number).ok().and_then(|number| T::try_from(number).ok());
        whole.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        /// Beyond that not every whole number is a double, and what was meant is not known.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let is_whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        let whole = is_whole.then_some(number as u64).and_then(|number| T::try_from(number).ok());
        whole.ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JobHeaders, JobPatch, NetworkOverride, NewFiles, NewJob};
    use super::*;

    fn takes<T: for<'a> Deserialize<'a>>(text: &str) -> bool {
        serde_json::from_str::<Object<T>>(text).is_ok()
    }

    #[test]
    fn arrays_are_no_objects_at_any_depth() {
        let file = r#"{"remote_name":"http://h/","local_name":"/a"}"#;
        assert!(takes::<NewFiles>(&format!(r#"{{"files":[{file}]}}"#)));
        assert!(!takes::<NewFiles>(r#"{"files":[["http://h/","/a"]]}"#));
        assert!(!takes::<NewFiles>(&format!("[[{file}]]")));
        assert!(takes::<NewJob>(&format!(r#"{{"type":"download","files":[{file}]}}"#)));
        assert!(!takes::<NewJob>(r#"{"type":"download","files":[["http://h/","/a"]]}"#));
    }

    #[test]
    fn words_are_texts() {
        assert!(takes::<NewJob>(r#"{"type":"download","priority":"high"}"#));
        assert!(!takes::<NewJob>(r#"{"type":{"download":null}}"#));
        assert!(!takes::<NewJob>(r#"{"type":"download","priority":{"high":null}}"#));
        assert!(takes::<JobPatch>(r#"{"priority":null}"#) && takes::<JobPatch>(r#"{"priority":"low"}"#));
        assert!(!takes::<JobPatch>(r#"{"priority":{"high":null}}"#));
        assert!(takes::<NetworkOverride>(r#"{"cost":"near_cap"}"#));
        assert!(!takes::<NetworkOverride>(r#"{"cost":{"near_cap":null}}"#));
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let refused = |text: &str| match serde_json::from_str::<Object<JobHeaders>>(text) {
            Ok(_) => panic!("{text} is taken"),
            Err(error) => error.to_string(),
        };
        assert!(takes::<JobHeaders>(r#"{"headers":{"a":"b"}}"#));
        for text in [r#"{"headers":{"a":7351}}"#, r#"{"headers":{"a":["7351"]}}"#, r#"{"headers":"7351"}"#] {
            let error = refused(text);
            assert!(error.contains("text") && !error.contains("7351"), "{error}");
        }
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        let of = |number: &str| {
            let patch = serde_json::from_str::<JobPatch>(&format!(r#"{{"parallel_files":{number}}}"#));
            patch.ok().map(|patch| patch.parallel_files)
        };
        for twenty in ["20", "20.0", "2e1"] {
            assert_eq!(of(twenty), Some(Some(20)), "{twenty}");
        }
        assert_eq!(of("null"), Some(None));
        for wrong in ["20.5", "-1", "-1.0", "65536", "1e300", "\"20\"", "true"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}

//! Where a field is: a JSON Pointer (RFC 6901) in which `[name=x]` picks an element of a list by a field of it. On an
//! object it becomes a plain pointer, together with what has to hold so that it still means the same.

use serde_json::{Value, json};

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A key of an object, or the number of an element.
    Key(String),
    /// The element whose field has this value.
    Pick(String, String),
}

/// Where a field is on one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// The pointer, as far as the object has it.
    pub(super) pointer: String,
    /// Keys that the object lacks, from there on. Empty: the field is there.
    pub(super) missing: Vec<String>,
    /// Pointers and values by which list elements were picked.
    pub(super) guards: Vec<(String, Value)>,
}

/// A field that an object cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    /// The list has no such element.
    #[error("{at} has no element with {field} {value}")]
    NoElement {
        at: String,
        field: String,
        value: String,
    },
    /// A selector or a number where there is no list, or a key where there is no object.
    #[error("{at} is {what}, and {token} cannot be looked up in it")]
    NotAContainer {
        at: String,
        what: &'static str,
        token: String,
    },
}

/// Reads a path.
pub(super) fn tokens(path: &str) -> Vec<Token> {
    path.split('/')
        .skip(1)
        .map(|token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            let pick = token.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            match pick.and_then(|pick| pick.split_once('=')) {
                Some((field, value)) => Token::Pick(field.to_owned(), value.to_owned()),
                None => Token::Key(token),
            }
        })
        .collect()
}

/// Finds the field on an object.
pub(super) fn place(object: &Value, path: &str) -> Result<Place, NoPlace> {
    let mut place = Place {
        pointer: String::new(),
        missing: Vec::new(),
        guards: Vec::new(),
    };
    let mut here = Some(object);
    for token in tokens(path) {
        let Some(value) = here else {
            match token {
                Token::Key(key) => place.missing.push(key),
                Token::Pick(field, value) => {
                    return Err(NoPlace::NoElement {
                        at: place.shown(),
                        field,
                        value,
                    });
                }
            }
            continue;
        };
        let key = match (&token, value) {
            (Token::Key(key), Value::Object(_)) => key.clone(),
            (Token::Key(key), Value::Array(list))
                if key.parse::<usize>().is_ok_and(|number| number < list.len()) =>
            {
                key.clone()
            }
            (Token::Pick(field, wanted), Value::Array(list)) => {
                let found = list
                    .iter()
                    .position(|element| text(element.get(field)) == Some(wanted.clone()));
                let number = found.ok_or_else(|| NoPlace::NoElement {
                    at: place.shown(),
                    field: field.clone(),
                    value: wanted.clone(),
                })?;
                place.guards.push((
                    format!("{}/{number}/{}", place.pointer, escape(field)),
                    list[number][field].clone(),
                ));
                number.to_string()
            }
            (token, value) => {
                return Err(NoPlace::NotAContainer {
                    at: place.shown(),
                    what: kind(value),
                    token: match token {
                        Token::Key(key) => key.clone(),
                        Token::Pick(field, value) => format!("[{field}={value}]"),
                    },
                });
            }
        };
        here = match value {
            Value::Object(map) => map.get(&key),
            Value::Array(list) => key.parse::<usize>().ok().and_then(|number| list.get(number)),
            _ => None,
        };
        match here {
            Some(_) => place.pointer = format!("{}/{}", place.pointer, escape(&key)),
            None => place.missing.push(key),
        }
    }
    Ok(place)
}

impl Place {
    /// The field's value on the object that the place was found on.
    pub(super) fn value<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        object.pointer(&self.pointer).filter(|_| self.missing.is_empty())
    }

    /// Where `value` is added, and what: maps that are missing on the way come with it.
    pub(super) fn addition(&self, value: Value) -> (String, Value) {
        match self.missing.split_first() {
            None => (self.pointer.clone(), value),
            Some((first, rest)) => {
                let value = rest.iter().rev().fold(value, |value, key| json!({key: value}));
                (format!("{}/{}", self.pointer, escape(first)), value)
            }
        }
    }

    fn shown(&self) -> String {
        if self.pointer.is_empty() {
            "the object".to_owned()
        } else {
            self.pointer.clone()
        }
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        other @ (Value::Number(_) | Value::Bool(_)) => Some(other.to_string()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::Null => "null",
        _ => "a plain value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"containers": [
            {"name": "proxy", "image": "proxy:1"}, {"name": "app", "image": "app:1", "ports": [{"containerPort": 80, "name": "http"}]},
        ]}})
    }

    #[test]
    fn an_element_is_picked_by_a_field_and_guarded_by_it() {
        let object = object();
        let place = place(&object, "/spec/containers/[name=app]/image").expect("there");
        assert_eq!(place.pointer, "/spec/containers/1/image");
        assert_eq!(place.value(&object), Some(&json!("app:1")));
        assert_eq!(
            place.guards,
            [("/spec/containers/1/name".to_owned(), json!("app"))]
        );
    }

    #[test]
    fn numbers_and_nested_picks_are_understood() {
        let found = place(&object(), "/spec/containers/1/ports/[containerPort=80]/name").expect("there");
        assert_eq!(found.pointer, "/spec/containers/1/ports/0/name");
    }

    #[test]
    fn a_missing_field_is_added_with_the_maps_that_lead_to_it() {
        let place = place(&object(), "/metadata/annotations/example.org~1version").expect("a place");
        assert_eq!(place.value(&object()), None);
        let (pointer, value) = place.addition(json!("2"));
        assert_eq!(pointer, "/metadata/annotations");
        assert_eq!(value, json!({"example.org/version": "2"}));
    }

    #[test]
    fn a_missing_key_with_a_slash_is_escaped_in_its_pointer() {
        let object = json!({"metadata": {"annotations": {}}});
        let place = place(&object, "/metadata/annotations/example.org~1version").expect("a place");
        assert_eq!(
            place.addition(json!("2")).0,
            "/metadata/annotations/example.org~1version"
        );
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        for (path, words) in [
            (
                "/spec/containers/[name=db]/image",
                "/spec/containers has no element with name db",
            ),
            ("/spec/containers/9/image", "is a list"),
            ("/metadata/name/first", "plain value"),
            ("/status/items/[name=x]", "no element"),
        ] {
            let error = place(&object(), path).expect_err(path).to_string();
            assert!(error.contains(words), "{path}: {error}");
        }
    }
}

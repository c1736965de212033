//! Free-form settings: placing values by JSON Pointer, and finding what should not be there.

use serde_json::{Map, Value};

/// Why a value cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// There is a value already.
    #[error("settings already have a value at {0}: remove it there, or this entry")]
    Taken(String),
    /// The way leads through something that holds nothing.
    #[error(
        "the value at {0} is neither an object nor a list with such an element: no setting can be placed under it"
    )]
    Blocked(String),
    /// Not a pointer into an object.
    #[error("write a JSON Pointer to a key, such as /keycloak/keycloak_password")]
    NotAPointer,
}

/// The keys of a JSON Pointer (RFC 6901), unescaped. `None` when it is none, or points at the whole.
pub(crate) fn keys(pointer: &str) -> Option<Vec<String>> {
    let keys = pointer.strip_prefix('/')?;
    keys.split('/')
        .map(|key| (!key.is_empty()).then(|| key.replace("~1", "/").replace("~0", "~")))
        .collect()
}

/// Writes `key` as a step of a JSON Pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Puts `value` at `pointer`. Objects on the way are made when they are missing; elements of lists must exist.
pub(crate) fn place(
    settings: &mut Map<String, Value>,
    pointer: &str,
    value: Value,
) -> Result<(), PlaceError> {
    let keys = keys(pointer).ok_or(PlaceError::NotAPointer)?;
    let (last, way) = keys.split_last().ok_or(PlaceError::NotAPointer)?;
    let Some((first, way)) = way.split_first() else {
        return insert(settings, last, value, pointer);
    };
    let mut here = settings
        .entry(first.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    let mut reached = format!("/{}", escaped(first));
    for key in way {
        here = step(here, key).ok_or_else(|| PlaceError::Blocked(reached.clone()))?;
        reached = format!("{reached}/{}", escaped(key));
    }
    match here {
        Value::Object(object) => insert(object, last, value, pointer),
        _ => Err(PlaceError::Blocked(reached)),
    }
}

fn step<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(object) => Some(
            object
                .entry(key.to_owned())
                .or_insert_with(|| Value::Object(Map::new())),
        ),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

fn insert(object: &mut Map<String, Value>, key: &str, value: Value, pointer: &str) -> Result<(), PlaceError> {
    if object.contains_key(key) {
        return Err(PlaceError::Taken(pointer.to_owned()));
    }
    object.insert(key.to_owned(), value);
    Ok(())
}

/// Calls `visit` with the JSON Pointer, the key and the value of every leaf under a key. Elements of lists count
/// under the list's key.
pub(crate) fn leaves<'a>(tree: &'a Map<String, Value>, visit: &mut impl FnMut(&str, &str, &'a Value)) {
    for (key, value) in tree {
        descend(value, &format!("/{}", escaped(key)), key, visit);
    }
}

fn descend<'a>(value: &'a Value, pointer: &str, key: &str, visit: &mut impl FnMut(&str, &str, &'a Value)) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                descend(value, &format!("{pointer}/{}", escaped(key)), key, visit);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                descend(value, &format!("{pointer}/{index}"), key, visit);
            }
        }
        leaf => visit(pointer, key, leaf),
    }
}

/// Whether plugins keep a secret under `key`: all the keys that upstream marks as secret, and what is named alike.
pub(crate) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let known = [
        "password",
        "passwd",
        "secret",
        "token",
        "credentials",
        "admin_access_key",
        "api_key",
        "private_key",
    ];
    let endings = [
        "_password",
        "_secret",
        "_token",
        "secret_key",
        "_api_key",
        "_private_key",
    ];
    // Settings of the envoy plugin that hold names of Secrets.
    let names = ["apikey_secret", "blocked_secret"];
    let alike = known.contains(&key.as_str()) || endings.iter().any(|ending| key.ends_with(ending));
    alike && !names.contains(&key.as_str())
}

/// Whether `text` is a placeholder such as `${TOKEN}`, which upstream takes literally.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let name = text
        .trim()
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.is_empty() && !name.contains(['$', '{', '}']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placed(settings: Value, pointer: &str) -> Result<Value, PlaceError> {
        let Value::Object(mut settings) = settings else {
            panic!("an object")
        };
        place(&mut settings, pointer, "s".into())?;
        Ok(Value::Object(settings))
    }

    #[test]
    fn a_value_is_placed_where_the_pointer_says_and_the_way_is_made() {
        for (before, pointer, after) in [
            (json!({}), "/token", json!({"token": "s"})),
            (
                json!({"a": {"x": 1}}),
                "/a/b/c",
                json!({"a": {"x": 1, "b": {"c": "s"}}}),
            ),
            (
                json!({"list": [{}, {"x": 1}]}),
                "/list/1/token",
                json!({"list": [{}, {"x": 1, "token": "s"}]}),
            ),
            (json!({}), "/a~1b/c~0d", json!({"a/b": {"c~d": "s"}})),
        ] {
            assert_eq!(placed(before, pointer), Ok(after), "{pointer}");
        }
    }

    #[test]
    fn a_value_never_replaces_another() {
        for (before, pointer, error) in [
            (json!({"token": ""}), "/token", PlaceError::Taken("/token".into())),
            (json!({"a": "text"}), "/a/b", PlaceError::Blocked("/a".into())),
            (
                json!({"a": {"b": [1]}}),
                "/a/b/0/c",
                PlaceError::Blocked("/a/b/0".into()),
            ),
            (json!({"a": [{}]}), "/a/7/c", PlaceError::Blocked("/a".into())),
            (json!({"a": [{}]}), "/a/0", PlaceError::Blocked("/a".into())),
            (json!({}), "", PlaceError::NotAPointer),
            (json!({}), "/", PlaceError::NotAPointer),
            (json!({}), "token", PlaceError::NotAPointer),
        ] {
            assert_eq!(placed(before, pointer), Err(error), "{pointer}");
        }
    }

    #[test]
    fn every_key_that_upstream_marks_as_secret_is_known() {
        for key in [
            "password",
            "target_api_token",
            "keycloak_password",
            "waldur_api_token",
            "api_token",
            "token",
            "admin_access_key",
            "admin_secret_key",
            "robot_password",
            "admin_password",
            "credentials",
            "cscs_dwdi_client_secret",
            "bind_password",
            "smtp_password",
        ] {
            assert!(names_a_secret(key), "{key}");
        }
        for key in [
            "token_file",
            "token_env",
            "token_type",
            "cscs_dwdi_oidc_token_url",
            "username",
            "secret_name",
            "apikey_secret",
            "blocked_secret",
        ] {
            assert!(!names_a_secret(key), "{key}");
        }
    }

    #[test]
    fn placeholders_are_recognised() {
        assert!(is_placeholder("${TOKEN}") && is_placeholder(" ${env.TOKEN}\n"));
        assert!(!is_placeholder("${a}-${b}") && !is_placeholder("$TOKEN") && !is_placeholder("${}"));
    }
}

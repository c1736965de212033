//! When an object is to be looked at again although nothing may tell of a change: a wait that is over is no event.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::ObjectKey;

/// The times that the last passes asked for.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<HashMap<ObjectKey, Timestamp>>);

impl Alarms {
    /// A pass over the object concludes that it is to be looked at again at this time, or at no certain one.
    pub fn set(&self, key: &ObjectKey, at: Option<Timestamp>) {
        let mut alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(at) => alarms.insert(key.clone(), at),
            None => alarms.remove(key),
        };
    }

    /// The pass ended: how long from `now` until the next look, if one was asked for.
    pub fn take(&self, key: &ObjectKey, now: Timestamp) -> Option<Duration> {
        let mut alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = alarms.remove(key)?;
        Some(at.duration_since(now).try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_once_and_one_that_is_past_at_once() {
        let (alarms, key) = (Alarms::default(), ObjectKey::new("ns", "name"));
        let at = |second| Timestamp::from_second(second).expect("in range");
        alarms.set(&key, Some(at(130)));
        assert_eq!(alarms.take(&key, at(100)), Some(Duration::from_secs(30)));
        assert_eq!(alarms.take(&key, at(100)), None);
        alarms.set(&key, Some(at(130)));
        assert_eq!(alarms.take(&key, at(200)), Some(Duration::ZERO));
        alarms.set(&key, Some(at(130)));
        alarms.set(&key, None);
        assert_eq!(alarms.take(&key, at(100)), None);
    }
}

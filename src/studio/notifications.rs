//! Notifications: what happened that the user did not see happen.

use std::time::{Duration, Instant};

/// How long information stays.
const INFORMATION: Duration = Duration::from_secs(8);

/// The subject of an error. Success in it withdraws the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Opening a checkpoint and loading it.
    Model,
    /// Speaking a text.
    Speaking,
    /// Reading and encoding a voice prompt.
    VoicePrompt,
    /// Writing a file that the user asked for.
    Export,
    /// Writing takes that were made.
    UnwrittenTakes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    pub text: String,
    pub error: bool,
    /// Its subject, if success in that withdraws it.
    pub cause: Option<Cause>,
    /// How often it came.
    pub count: usize,
    /// When it came last.
    at: Instant,
}

/// Notifications, oldest first. Errors stay until they are dismissed, information for some seconds.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    list: Vec<Notification>,
}

impl Notifications {
    /// Adds one; an equal one is counted.
    pub fn add(&mut self, text: String, error: bool, now: Instant) {
        self.add_of(None, text, error, now);
    }

    /// Adds an error that goes when `cause` works.
    pub fn add_error_of(&mut self, cause: Cause, text: String, now: Instant) {
        self.add_of(Some(cause), text, true, now);
    }

    /// Removes the errors of `cause`, which works now.
    pub fn resolve(&mut self, cause: Cause) {
        self.list.retain(|n| n.cause != Some(cause));
    }

    fn add_of(&mut self, cause: Option<Cause>, text: String, error: bool, now: Instant) {
        match self.list.iter().position(|n| n.text == text && n.error == error) {
            Some(known) => {
                let mut again = self.list.remove(known);
                again.count += 1;
                again.at = now;
                self.list.push(again);
            }
            None => self.list.push(Notification { text, error, cause, count: 1, at: now }),
        }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[Notification] {
        &self.list
    }

    /// Removes the one in place `n`.
    pub fn dismiss(&mut self, n: usize) {
        if n < self.list.len() {
            self.list.remove(n);
        }
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Removes information that has been there long enough; the time until the next one has.
    pub fn expire(&mut self, now: Instant) -> Option<Duration> {
        let left = |n: &Notification| (!n.error).then(|| INFORMATION.saturating_sub(now.duration_since(n.at)));
        self.list.retain(|n| left(n) != Some(Duration::ZERO));
        self.list.iter().filter_map(left).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_are_counted_errors_stay_and_information_goes() {
        let (mut notifications, start) = (Notifications::default(), Instant::now());
        notifications.add("no sound".into(), true, start);
        notifications.add("exported".into(), false, start);
        notifications.add("no sound".into(), true, start + Duration::from_secs(2));
        let seen: Vec<(&str, usize)> = notifications.all().iter().map(|n| (n.text.as_str(), n.count)).collect();
        assert_eq!(seen, [("exported", 1), ("no sound", 2)], "the newest is last");
        let left = notifications.expire(start + Duration::from_secs(3)).unwrap();
        assert_eq!(left, Duration::from_secs(5));
        assert_eq!(notifications.expire(start + Duration::from_secs(9)), None);
        assert_eq!(notifications.all().len(), 1);
        notifications.dismiss(0);
        notifications.dismiss(0);
        assert!(notifications.all().is_empty());
        notifications.add_error_of(Cause::Model, "no such folder".into(), start);
        notifications.add_error_of(Cause::Speaking, "no text".into(), start);
        notifications.resolve(Cause::Model);
        assert_eq!(notifications.all().len(), 1, "an error goes when its cause works");
    }
}

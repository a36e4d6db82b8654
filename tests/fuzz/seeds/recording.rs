//! What keys answer, taken off the wire between a ceremony and its key.

use fidokey_core::ports::{Fault, Gone, Heard, KeyEvent, KeyId, Keys, Moment, OpenError, Report};

/// Keys whose answers are kept.
pub(crate) struct Recording<K> {
    keys: K,
    request: Vec<u8>,
    partial: Option<(usize, Vec<u8>)>,
    /// The beginning of each request's first report, from its command on, with the whole answer.
    pub(crate) answers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<K> Recording<K> {
    pub(crate) fn new(keys: K) -> Self {
        Self { keys, request: Vec::new(), partial: None, answers: Vec::new() }
    }

    fn hear(&mut self, report: &Report) {
        if report[4] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
            self.partial = Some((length, report[7..].to_vec()));
        } else if let Some((_, payload)) = &mut self.partial {
            payload.extend_from_slice(&report[5..]);
        }
        let whole = self.partial.take_if(|(length, payload)| payload.len() >= *length);
        // Keepalives say nothing.
        if let Some((length, mut payload)) = whole
            && report[4] != 0xbb
        {
            payload.truncate(length);
            self.answers.push((self.request.clone(), payload));
        }
    }
}

impl<K: Keys> Keys for Recording<K> {
    fn now(&mut self) -> Result<Moment, Fault> {
        self.keys.now()
    }

    fn plugged(&mut self) -> Result<Vec<KeyId>, Fault> {
        self.keys.plugged()
    }

    fn open(&mut self, key: KeyId) -> Result<(), OpenError> {
        self.keys.open(key)
    }

    fn send(&mut self, key: KeyId, report: &Report) -> Result<(), Gone> {
        if report[4] & 0x80 != 0 {
            self.request = report[4..].to_vec();
        }
        self.keys.send(key, report)
    }

    fn wait(&mut self, until: Moment) -> Result<KeyEvent, Fault> {
        let event = self.keys.wait(until)?;
        if let KeyEvent::Report(_, report) = &event {
            self.hear(report);
        }
        Ok(event)
    }

    fn release(&mut self, key: KeyId) {
        self.keys.release(key);
    }

    fn retake(&mut self, key: KeyId) -> Result<Heard, OpenError> {
        self.keys.retake(key)
    }

    fn close(&mut self, key: KeyId) {
        self.keys.close(key);
    }
}

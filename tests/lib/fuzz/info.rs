//! What a key says of itself: whatever that is, what is made of it is within bounds.

use fidokey_core::credential::{Credential, RpId};
use fidokey_core::ctap::client::Limits;
use fidokey_core::ctap::ctap2::{Gesture, get_assertion, is_canonical, read_info};
use fidokey_core::ctap::{cbor, frame};

use crate::sim::softkey::Secret;

/// `bytes` are the CBOR of an answer to getInfo.
pub fn run(bytes: &[u8]) {
    let read = cbor::read(bytes);
    assert_eq!(is_canonical(bytes), read.as_ref().is_ok_and(|read| read.canonical));
    let Ok(info) = read_info(bytes) else { return };
    assert!(matches!(read.unwrap().value, cbor::Value::Map(_)));
    assert_eq!(read_info(bytes).as_ref(), Ok(&info));
    assert!(info.max_message_size >= 1024 && info.max_response_size >= info.max_message_size);
    assert!(info.max_credential_count.is_none_or(|count| count >= 1));
    assert!(info.algorithms.len() <= 2);
    // A request for whatever fits is not longer than a message.
    let limits = Limits::of(&info);
    assert!(limits.count >= 1 && limits.message_size <= frame::MESSAGE_MAX);
    let credentials = [Secret::new(1, 64).credential(), Secret::new(2, 1023).credential()];
    let both: Vec<&Credential> = credentials.iter().collect();
    if limits.fit(&RpId::default(), &both) {
        let ids = both.iter().map(|credential| credential.id.as_bytes()).collect::<Vec<_>>();
        let request = get_assertion("pam://fidokey", &[0; 32], &ids, Gesture::None);
        assert!(limits.count >= 2 && request.len() <= limits.message_size, "{limits:?}");
    }
}

//! The conversation with a key: CTAPHID and CTAP2 as codecs and state machines without I/O.
//!
//! [`frame`] cuts messages into reports, [`channel`] is one channel to one key, [`session`] gives every
//! request an end; [`cbor`] reads what a key says, [`ctap2`] and [`u2f`] make requests and take answers apart,
//! and [`client`] is all of it together: a question and its answer. What is done to the key itself stands apart:
//! [`description`] is all that it says of itself, [`management`] what changes it.

pub mod bus;
pub mod cbor;
pub mod channel;
pub mod client;
pub mod client_pin;
pub mod ctap2;
pub mod description;
pub mod frame;
pub mod management;
pub mod pin_protocol;
pub mod session;
pub mod u2f;

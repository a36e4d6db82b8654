//! The emulated key is a key: what the other tests take for granted about it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use fidokey_tests::key::{Command, EmulatedKey, KeyHandle, Report, Touch, What};

const INIT: u8 = 0x86;
const PING: u8 = 0x81;
const MSG: u8 = 0x83;
const CBOR: u8 = 0x90;
const CANCEL: u8 = 0x91;
const KEEPALIVE: u8 = 0xbb;
const ERROR: u8 = 0xbf;
const BROADCAST: [u8; 4] = [0xff; 4];

/// The plainest client: whole messages on one channel, nothing clever.
struct Client {
    wire: UnixDatagram,
    channel: [u8; 4],
}

impl Client {
    fn new(fd: OwnedFd) -> Self {
        let wire = UnixDatagram::from(fd);
        wire.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut client = Self { wire, channel: BROADCAST };
        client.send(INIT, b"nonce-01");
        let (command, answer) = client.receive();
        assert_eq!((command, &answer[..8]), (INIT, &b"nonce-01"[..]));
        client.channel.copy_from_slice(&answer[8..12]);
        client
    }

    fn send(&self, command: u8, payload: &[u8]) {
        let mut report: Report = [0; 64];
        report[..4].copy_from_slice(&self.channel);
        report[4] = command;
        report[5..7].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        let (first, rest) = payload.split_at(payload.len().min(57));
        report[7..7 + first.len()].copy_from_slice(first);
        self.wire.send(&report).unwrap();
        for (sequence, chunk) in rest.chunks(59).enumerate() {
            let mut report: Report = [0; 64];
            report[..4].copy_from_slice(&self.channel);
            report[4] = sequence as u8;
            report[5..5 + chunk.len()].copy_from_slice(chunk);
            self.wire.send(&report).unwrap();
        }
    }

    fn report(&self) -> io::Result<Report> {
        let mut report = [0; 64];
        match self.wire.recv(&mut report)? {
            64 => Ok(report),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn receive(&self) -> (u8, Vec<u8>) {
        let first = self.report().unwrap();
        assert_eq!(first[..4], self.channel);
        let length = usize::from(u16::from_be_bytes([first[5], first[6]]));
        let mut payload = first[7..].to_vec();
        while payload.len() < length {
            payload.extend(&self.report().unwrap()[5..]);
        }
        payload.truncate(length);
        (first[4], payload)
    }

    /// The answer and the number of keepalives before it.
    fn answer(&self) -> (u8, Vec<u8>, usize) {
        let mut keepalives = 0;
        loop {
            match self.receive() {
                (KEEPALIVE, status) => {
                    assert_eq!(status, [2], "a key that waits for a finger says so");
                    keepalives += 1;
                }
                (command, payload) => return (command, payload, keepalives),
            }
        }
    }

    fn ask(&self, command: u8, payload: &[u8]) -> (u8, Vec<u8>, usize) {
        self.send(command, payload);
        self.answer()
    }
}

fn plugged(touch: Touch) -> (Client, KeyHandle) {
    let (fd, handle) = EmulatedKey::new(1).touch(touch).plug().unwrap();
    (Client::new(fd), handle)
}

/// authenticatorSelection: the command that is nothing but a touch.
const SELECTION: &[u8] = &[0x0b];
const GET_INFO: &[u8] = &[0x04];

/// ES256 for the relying party `rig`, user id 01, no extensions.
fn make_credential() -> Vec<u8> {
    let mut cbor = vec![0x01, 0xa4, 0x01, 0x58, 0x20];
    cbor.extend([0x5a; 32]);
    cbor.extend(b"\x02\xa1\x62id\x63rig\x03\xa2\x62id\x41\x01\x64name\x61a");
    cbor.extend(b"\x04\x81\xa2\x63alg\x26\x64type\x6apublic-key");
    cbor
}

fn u2f(instruction: u8, control: u8, body: &[u8]) -> Vec<u8> {
    let mut apdu = vec![0, instruction, control, 0, 0];
    apdu.extend((body.len() as u16).to_be_bytes());
    apdu.extend(body);
    apdu.extend([0, 0]);
    apdu
}

#[test]
fn given_a_long_ping_then_every_byte_comes_back() {
    let (client, handle) = plugged(Touch::Never);
    let payload: Vec<u8> = (0..1000).map(|number: u32| number as u8).collect();
    assert_eq!(client.ask(PING, &payload), (PING, payload, 0));

    let commands = commands(&handle);
    assert_eq!((commands[0].command, commands[0].length), (0x06, 8));
    assert_eq!((commands[1].command, commands[1].length), (0x01, 1000));
    assert_eq!((commands[1].reports_in, commands[1].reports_out), (17, 17));
    assert_eq!(commands.len(), 2);
}

#[test]
fn given_get_info_then_it_announces_both_protocols() {
    let (client, handle) = plugged(Touch::Never);
    let (command, payload, _) = client.ask(CBOR, GET_INFO);
    assert_eq!((command, payload[0]), (CBOR, 0));
    for version in ["U2F_V2", "FIDO_2_0", "FIDO_2_1"] {
        assert!(payload.windows(version.len()).any(|bytes| bytes == version.as_bytes()));
    }
    let info = &commands(&handle)[1];
    assert_eq!((info.ctap2, info.status), (Some(0x04), Some(0)));
}

#[test]
fn given_a_touch_at_once_then_there_is_no_keepalive() {
    let (client, handle) = plugged(Touch::AtOnce);
    assert_eq!(client.ask(CBOR, SELECTION), (CBOR, vec![0], 0));
    assert_eq!(handle.touches(), 1);
    assert_eq!(handle.transcript().last().unwrap().what, What::Touch);
}

#[test]
fn given_a_touch_after_250_ms_then_keepalives_come_first() {
    let (client, handle) = plugged(Touch::After(Duration::from_millis(250)));
    let started = Instant::now();
    let (command, payload, keepalives) = client.ask(CBOR, SELECTION);
    assert_eq!((command, payload), (CBOR, vec![0]));
    assert!(started.elapsed() >= Duration::from_millis(250));
    // Two; one where the machine was busy with something else.
    assert!((1..=2).contains(&keepalives), "{keepalives} keepalives");
    let selection = &commands(&handle)[1];
    assert_eq!(usize::try_from(selection.keepalives), Ok(keepalives));
    assert_eq!(selection.reports_out, selection.keepalives + 1);
}

#[test]
fn given_no_touch_then_cancel_ends_the_wait() {
    let (client, handle) = plugged(Touch::Never);
    client.send(CBOR, SELECTION);
    assert_eq!(client.receive().0, KEEPALIVE);
    assert!(handle.is_asking());
    client.send(CANCEL, &[]);
    assert_eq!(client.answer(), (CBOR, vec![0x2d], 0));
    assert!(!handle.is_asking());
    assert_eq!(handle.touches(), 0);
    // And it is usable at once.
    assert_eq!(client.ask(PING, b"x").1, b"x");
}

#[test]
fn given_a_wait_then_another_program_is_told_that_the_key_is_busy() {
    let (client, handle) = plugged(Touch::Never);
    client.send(CBOR, SELECTION);
    let other = Client { wire: client.wire.try_clone().unwrap(), channel: BROADCAST };
    other.send(INIT, b"nonce-02");
    loop {
        let report = client.report().unwrap();
        if report[..4] == BROADCAST {
            assert_eq!(report[4..8], [ERROR, 0, 1, 6]);
            break;
        }
    }
    handle.set_touch(Touch::AtOnce);
    assert_eq!(client.answer().1, [0]);
}

#[test]
fn given_a_credential_then_it_is_attested_by_the_batch() {
    let (client, _handle) = plugged(Touch::AtOnce);
    let (_, payload, _) = client.ask(CBOR, &make_credential());
    assert_eq!(payload[0], 0);
    let certificate = include_bytes!("../lib/key/attestation.der");
    assert!(payload.windows(certificate.len()).any(|bytes| bytes == certificate));
}

#[test]
fn given_u2f_then_only_a_request_for_presence_waits_for_the_finger() {
    let (client, handle) = plugged(Touch::AtOnce);
    let register = u2f(0x01, 0x00, &[0x5a; 64]);
    assert_eq!(client.ask(MSG, &register).1, [0x69, 0x85]);
    let (_, registration, _) = client.ask(MSG, &register);
    assert!(registration.ends_with(&[0x90, 0x00]));
    assert_eq!(handle.touches(), 1);

    let length = usize::from(registration[66]);
    let mut body = [0x5a; 64].to_vec();
    body.push(registration[66]);
    body.extend(&registration[67..67 + length]);
    assert_eq!(client.ask(MSG, &u2f(0x02, 0x07, &body)).1, [0x69, 0x85]);
    assert_eq!(handle.touches(), 1, "check-only does not make the key blink");

    assert_eq!(client.ask(MSG, &u2f(0x02, 0x03, &body)).1, [0x69, 0x85]);
    let (_, assertion, _) = client.ask(MSG, &u2f(0x02, 0x03, &body));
    assert!(assertion.ends_with(&[0x90, 0x00]));
    assert_eq!((assertion[0], handle.touches()), (1, 2));
}

#[test]
fn given_another_seed_then_it_is_another_key() {
    let answers: Vec<Vec<u8>> = [1, 2]
        .map(|seed| {
            let (fd, _handle) = EmulatedKey::new(seed).plug().unwrap();
            Client::new(fd).ask(CBOR, &make_credential()).1
        })
        .into();
    assert_ne!(answers[0], answers[1]);
}

#[test]
fn given_a_replugged_key_then_it_still_knows_its_credential() {
    let directory = tempfile();
    let file = directory.join("key");
    // U2F: the key handle is all that is needed to ask whether the key is the one.
    let register = u2f(0x01, 0x00, &[0x5a; 64]);
    let registration = {
        let (fd, _handle) = EmulatedKey::load(&file).unwrap().plug().unwrap();
        let client = Client::new(fd);
        client.ask(MSG, &register);
        client.ask(MSG, &register).1
    };
    let mut body = [0x5a; 64].to_vec();
    body.push(registration[66]);
    body.extend(&registration[67..67 + usize::from(registration[66])]);
    let check_only = u2f(0x02, 0x07, &body);

    let (fd, _handle) = EmulatedKey::load(&file).unwrap().plug().unwrap();
    assert_eq!(Client::new(fd).ask(MSG, &check_only).1, [0x69, 0x85]);
    let (fd, _handle) = EmulatedKey::new(1).plug().unwrap();
    assert_eq!(Client::new(fd).ask(MSG, &check_only).1, [0x6a, 0x80], "a foreign key");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn given_an_unplugged_key_then_the_client_reads_the_end_even_in_a_wait() {
    let (client, handle) = plugged(Touch::Never);
    client.send(CBOR, SELECTION);
    assert_eq!(client.receive().0, KEEPALIVE);
    let started = Instant::now();
    handle.unplug();
    assert!(started.elapsed() < Duration::from_millis(500));
    // What the key sent before it went is still there, and it has no last word.
    while let Ok(report) = client.report() {
        assert_eq!(report[4], KEEPALIVE);
    }
}

fn commands(handle: &KeyHandle) -> Vec<Command> {
    let entries = handle.transcript().into_iter();
    entries
        .filter_map(|entry| match entry.what {
            What::Command(command) => Some(command),
            What::Touch => None,
        })
        .collect()
}

fn tempfile() -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("emulated-key-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

//! What a soft key has to verify its user: a PIN and a reader for fingerprints, each as right or wrong as a test wants.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use fidokey_core::ctap::cbor::{Value, Writer};
use fidokey_core::ctap::pin_protocol::{PinProtocol, Point, SharedSecret, Token};
use sha2::{Digest as _, Sha256};

/// The key's private key for agreements.
const AGREEMENT: [u8; 32] = [7; 32];
/// Wrong PINs in a row after which the key wants to be plugged in anew.
const IN_A_ROW: u8 = 3;

/// The verifier of a soft key, whose state a test can look at and change.
#[derive(Debug)]
pub struct Verifier {
    /// The options of getInfo, in CTAP's order.
    pub options: Vec<(&'static str, bool)>,
    /// The versions that getInfo lists.
    pub versions: Vec<&'static str>,
    /// The PIN protocols that getInfo lists, where it lists any.
    pub protocols: Option<Vec<i16>>,
    /// Whether getInfo says that the PIN must be changed.
    pub force_change: bool,
    /// The PIN.
    pub pin: String,
    /// Tries of the PIN that are left.
    pub retries: u8,
    /// The key takes no PIN until it is plugged in anew.
    pub power_cycle: bool,
    /// What it answers to the next requests for its own verification: 0 where it knows the user.
    pub readings: VecDeque<u8>,
    /// Tries of its own verification that are left, where it can be asked.
    pub uv_retries: Option<u8>,
    /// The point that it agrees on a secret with, instead of its own.
    pub point: Option<Point>,
    /// Sets the flag of verification once it has verified somebody.
    pub flags_uv: bool,
    /// Requests for a token, right and wrong ones: tries that were spent.
    pub tries: u32,
    /// The protocols of those requests, their permissions, and whether the relying party was said.
    pub tokens: Vec<(PinProtocol, Option<u64>, Option<String>)>,
    /// The lengths of the authorizations that it was sent.
    pub params: Vec<usize>,
    /// Wrong PINs since the last right one.
    pub wrong_in_a_row: u8,
    /// The token that was given and not used yet.
    pub token: Option<Token>,
}

impl Default for Verifier {
    /// A key without a PIN, as one that says nothing of it.
    fn default() -> Self {
        Self {
            options: Vec::new(),
            versions: vec!["FIDO_2_1"],
            protocols: None,
            force_change: false,
            pin: String::new(),
            retries: 8,
            power_cycle: false,
            readings: VecDeque::new(),
            uv_retries: Some(3),
            point: None,
            flags_uv: true,
            tries: 0,
            tokens: Vec::new(),
            params: Vec::new(),
            wrong_in_a_row: 0,
            token: None,
        }
    }
}

impl Verifier {
    /// A key of today with this PIN.
    pub fn with_pin(pin: &str) -> Self {
        Self {
            options: vec![("clientPin", true), ("pinUvAuthToken", true)],
            protocols: Some(vec![2, 1]),
            pin: pin.to_owned(),
            ..Self::default()
        }
    }

    /// A key of CTAP 2.0 with this PIN: the first protocol alone, of which it does not even speak, and tokens for
    /// everything.
    pub fn of_ctap_2_0(pin: &str) -> Self {
        Self {
            options: vec![("clientPin", true)],
            versions: vec!["FIDO_2_0", "U2F_V2"],
            pin: pin.to_owned(),
            ..Self::default()
        }
    }

    /// The same, to be shared with its key.
    pub fn shared(self) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(self))
    }

    /// Whether getInfo says yes to this option.
    pub fn says(&self, option: &str) -> bool {
        self.options.contains(&(option, true))
    }

    /// What it thinks of a request for an assertion or a credential that has this authorization and this option `uv`:
    /// whether the user is verified, or a status.
    pub(super) fn judge(
        &mut self,
        hash: &[u8],
        param: Option<&Value<'_>>,
        uv: bool,
        silent: bool,
    ) -> Result<bool, u8> {
        if let Some(param) = param {
            let param = param.bytes().unwrap();
            self.params.push(param.len());
            if param.is_empty() {
                return Err(if self.says("clientPin") { 0x31 } else { 0x35 });
            }
            // Once: a token is used up.
            let token = self.token.take().ok_or(0x33)?;
            let right = token.authorize(hash.try_into().unwrap()).unwrap();
            return if right == param { Ok(self.flags_uv) } else { Err(0x33) };
        }
        if uv {
            return match self.readings.pop_front() {
                Some(0) => Ok(self.flags_uv),
                Some(status) => Err(status),
                None => Err(0x2b),
            };
        }
        if self.says("alwaysUv") && !silent {
            return Err(0x36);
        }
        Ok(false)
    }

    /// The answer to authenticatorClientPIN.
    pub(super) fn client_pin(&mut self, request: &Value<'_>) -> Vec<u8> {
        let mut answer = Writer::beginning_with(0);
        // As keys of CTAP 2.0 have it: without the protocol nothing is answered.
        if request.member(1).is_none() {
            return vec![0x14];
        }
        match request.member(2).and_then(Value::unsigned) {
            Some(0x01) => {
                answer.map(if self.power_cycle { 2 } else { 1 });
                answer.integer(3).integer(self.retries.into());
                if self.power_cycle {
                    answer.integer(4).bool(true);
                }
            }
            Some(0x02) => {
                let point = self.point.unwrap_or_else(own_point);
                answer.map(1).integer(1).map(5).integer(1).integer(2).integer(3).integer(-25);
                answer.integer(-1).integer(1);
                answer.integer(-2).bytes(&point.x).integer(-3).bytes(&point.y);
            }
            Some(0x07) => match self.uv_retries {
                Some(left) => {
                    answer.map(1).integer(5).integer(left.into());
                }
                None => return vec![0x02],
            },
            Some(0x05 | 0x09) => match self.give_token(request) {
                Ok(token) => {
                    answer.map(1).integer(2).bytes(&token);
                }
                Err(status) => return vec![status],
            },
            _ => return vec![0x3e],
        }
        answer.into_bytes()
    }

    fn give_token(&mut self, request: &Value<'_>) -> Result<Vec<u8>, u8> {
        let protocol = match request.member(1).and_then(Value::unsigned) {
            Some(1) => PinProtocol::One,
            Some(2) => PinProtocol::Two,
            _ => return Err(0x02),
        };
        let permissions = request.member(9).and_then(Value::unsigned);
        let rp_id = request.member(10).and_then(Value::text).map(str::to_owned);
        self.tries += 1;
        self.tokens.push((protocol, permissions, rp_id));
        if self.retries == 0 {
            return Err(0x32);
        }
        if self.power_cycle {
            return Err(0x34);
        }
        let key = request.member(3).unwrap();
        let coordinate = |label| key.member(label).unwrap().bytes().unwrap().try_into().unwrap();
        let theirs = Point { x: coordinate(-2), y: coordinate(-3) };
        let (shared, _) = SharedSecret::agree(protocol, &theirs, &AGREEMENT).unwrap();
        let sent = shared.decrypt(request.member(6).unwrap().bytes().unwrap()).unwrap();
        self.retries -= 1;
        if **sent != Sha256::digest(&self.pin)[..16] {
            self.wrong_in_a_row += 1;
            self.power_cycle = self.wrong_in_a_row == IN_A_ROW;
            return Err(match (self.retries, self.power_cycle) {
                (0, _) => 0x32,
                (_, true) => 0x34,
                _ => 0x31,
            });
        }
        self.retries = 8;
        self.wrong_in_a_row = 0;
        if self.force_change {
            return Err(0x37);
        }
        let token = shared.encrypt(&[9; 16], &[0x42; 32]).unwrap();
        self.token = shared.token(&token);
        Ok(token)
    }
}

/// The point of [`AGREEMENT`].
fn own_point() -> Point {
    // Any point will do for the other end: the generator of the group.
    let (x, y) = (
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    );
    let generator = Point { x: hex(x), y: hex(y) };
    SharedSecret::agree(PinProtocol::One, &generator, &AGREEMENT).unwrap().1
}

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

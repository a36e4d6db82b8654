//! What ring 1 has on the three rooms in which a login is decided: `assertion.rs`, `policy.rs` and `verdict.rs`. `make
//! mutants` changes each of their lines and expects one of these to fail (BAR C1).

#[path = "../ring1/assertions.rs"]
mod assertions;
#[path = "../ring1/challenges.rs"]
mod challenges;
#[path = "../ring1/counters.rs"]
mod counters;
#[path = "../ring1/policy.rs"]
mod policy;
#[path = "../ring1/requests.rs"]
mod requests;
#[path = "../ring1/vectors.rs"]
mod vectors;
#[path = "../ring1/verdicts.rs"]
mod verdicts;
#[path = "../ring1/webauthn.rs"]
mod webauthn;

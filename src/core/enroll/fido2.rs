//! The registration of a key that speaks CTAP2.

use super::{CUE, CUE_TO_PROVE, EnrollError, Enrollment, login_challenge, random32, show};
use crate::assertion::{self, Rejected};
use crate::credential::{Credential, Protocol, Verification};
use crate::ctap::client::{Client, Limits};
use crate::ctap::ctap2::{self, NewCredential};
use crate::ports::{Host, Keys, Machine, Moment};
use crate::registration::{self, Unfit};

/// The first touch: a new credential, checked.
pub(super) fn make<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    client: &mut Client<'_, K>,
    enrollment: &Enrollment<'_>,
    until: Moment,
) -> Result<Credential, EnrollError> {
    let info = client.info(until)?;
    let possible = enrollment.algorithms.iter().any(|wanted| info.algorithms.contains(wanted));
    if !info.fido2 || !possible {
        return Err(EnrollError::Unsupported);
    }
    if info.always_uv || (info.client_pin && !info.make_cred_uv_not_required) {
        return Err(EnrollError::PinNeeded);
    }
    let rp_id = enrollment.rp_id;
    let known: Vec<&Credential> =
        enrollment.existing.iter().filter(|credential| credential.rp_id == *rp_id).collect();
    let limits = Limits::of(&info);
    // A list that one message cannot hold is gone through with silent questions instead.
    let fits = limits.message_size.saturating_sub(256);
    let exclude: Vec<&[u8]> =
        if (Limits { message_size: fits, ..limits }).fit(rp_id, &known) || known.is_empty() {
            known.iter().map(|credential| credential.id.as_bytes()).collect()
        } else {
            let mut fresh_hash = || random32(machine);
            if client.find(rp_id, &known, limits, &mut fresh_hash, until)?.is_some() {
                return Err(EnrollError::AlreadyRegistered);
            }
            Vec::new()
        };

    let user_handle = random32(machine)?;
    let request = ctap2::make_credential(&NewCredential {
        rp_id: rp_id.as_str(),
        client_data_hash: &random32(machine)?,
        user_handle: &user_handle,
        exclude_list: &exclude,
        algorithms: enrollment.algorithms,
        cred_protect: info.cred_protect,
    });
    show(host, CUE)?;
    let until = client.now()?.after(enrollment.patience);
    let payload = client.touch(&request, until)?;
    let made =
        ctap2::read_made_credential(&payload).map_err(|_| EnrollError::Unfit(Unfit::Malformed))?;
    let registered = registration::check(
        &made,
        rp_id,
        enrollment.algorithms,
        Verification::None,
        info.cred_protect,
    )
    .map_err(EnrollError::Unfit)?;
    if known.iter().any(|credential| credential.id == registered.id) {
        return Err(EnrollError::AlreadyRegistered);
    }
    Ok(Credential {
        name: enrollment.name.clone(),
        protocol: Protocol::Fido2,
        rp_id: rp_id.clone(),
        id: registered.id,
        public_key: registered.public_key,
        verification: Verification::None,
        user_handle: Some(user_handle.to_vec()),
        backup_eligible: Some(registered.backup_eligible),
        counter: None,
        aaguid: Some(registered.aaguid),
        added: enrollment.added.to_owned(),
        added_by: enrollment.added_by.to_owned(),
    })
}

/// The second touch: the new credential signs a login's challenge, and the login's verifier accepts it.
pub(super) fn prove<M: Machine, H: Host, K: Keys>(
    machine: &mut M,
    host: &mut H,
    client: &mut Client<'_, K>,
    enrollment: &Enrollment<'_>,
    credential: &Credential,
) -> Result<(), EnrollError> {
    let challenge = login_challenge(machine, enrollment, credential)?;
    let ids = [credential.id.as_bytes()];
    let rp_id = credential.rp_id.as_str();
    let request = ctap2::get_assertion(rp_id, challenge.client_data_hash(), &ids, true);
    show(host, CUE_TO_PROVE)?;
    let until = client.now()?.after(enrollment.patience);
    let payload = client.touch(&request, until)?;
    let response =
        ctap2::read_assertion(&payload).map_err(|_| EnrollError::Unproven(Rejected::Malformed))?;
    assertion::verify(challenge, &[credential], &response, credential.verification)
        .map(|_verified| ())
        .map_err(EnrollError::Unproven)
}

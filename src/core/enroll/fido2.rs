//! The registration of a key that speaks CTAP2.

use super::{CUE, CUE_TO_PROVE, EnrollError, Talk};
use crate::assertion::{self, Rejected};
use crate::credential::{Credential, Protocol, Verification};
use crate::ctap::client::{KeyError, Limits};
use crate::ctap::ctap2::{self, NewCredential, Status};
use crate::ports::{Host, Keys, Machine, Moment};
use crate::registration::{self, Unfit};

impl<M: Machine, H: Host, K: Keys, F: Fn()> Talk<'_, '_, '_, '_, M, H, K, F> {
    /// The first touch: a new credential, checked.
    pub(super) async fn make(&mut self, until: Moment) -> Result<Credential, EnrollError> {
        let Self { stage, enrollment, client, is_touched } = self;
        let info = client.info(until).await?;
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
                let mut fresh_hash = || stage.random();
                if client.find(rp_id, &known, limits, &mut fresh_hash, until).await?.is_some() {
                    return Err(EnrollError::AlreadyRegistered);
                }
                Vec::new()
            };

        let user_handle: [u8; 32] = stage.random()?;
        let request = ctap2::make_credential(&NewCredential {
            rp_id: rp_id.as_str(),
            client_data_hash: &stage.random()?,
            user_handle: &user_handle,
            exclude_list: &exclude,
            algorithms: enrollment.algorithms,
            cred_protect: info.cred_protect,
        });
        stage.cue(CUE)?;
        let until = client.now()?.after(enrollment.patience);
        let answer = client.touch(&request, until).await;
        // These two are answers to a touch as well; every other one says that this key is of no use.
        let (excluded, denied) = (Status::CREDENTIAL_EXCLUDED, Status::OPERATION_DENIED);
        let touched = match &answer {
            Ok(_) => true,
            Err(KeyError::Status(status)) => [excluded, denied].contains(status),
            Err(_) => false,
        };
        if touched {
            is_touched();
        }
        let payload = answer?;
        let made = ctap2::read_made_credential(&payload)
            .map_err(|_| EnrollError::Unfit(Unfit::Malformed))?;
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
    pub(super) async fn prove(&mut self, credential: &Credential) -> Result<(), EnrollError> {
        let challenge = self.login_challenge(credential)?;
        let ids = [credential.id.as_bytes()];
        let rp_id = credential.rp_id.as_str();
        let request = ctap2::get_assertion(rp_id, challenge.client_data_hash(), &ids, true);
        self.stage.show(CUE_TO_PROVE)?;
        let until = self.patience()?;
        let payload = self.client.touch(&request, until).await?;
        let response = ctap2::read_assertion(&payload)
            .map_err(|_| EnrollError::Unproven(Rejected::Malformed))?;
        assertion::verify(challenge, &[credential], &response, credential.verification)
            .map(|_verified| ())
            .map_err(EnrollError::Unproven)
    }
}

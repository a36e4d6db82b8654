//! The registration of a key that speaks CTAP1 alone (U2F raw messages section 4).

use super::{CUE, CUE_TO_PROVE, EnrollError, Made, Talk};
use crate::assertion::{self, PublicKey, Rejected};
use crate::attestation::Attestation;
use crate::credential::{Algorithm, Credential, CredentialId, Protocol, Verification};
use crate::ctap::u2f::{self, Control};
use crate::ports::{Host, Keys, Machine, Moment};
use crate::registration::Unfit;

impl<M: Machine, H: Host, K: Keys, F: Fn()> Talk<'_, '_, '_, '_, M, H, K, F> {
    /// The first touch: a new credential. The key is first asked for those that it may already have; there is no
    /// list of exclusions in this generation, and no model number: where the policy has a list of those, no touch is
    /// asked for.
    pub(super) async fn u2f_make(&mut self, until: Moment) -> Result<Made, EnrollError> {
        self.enrollment.admission.model(None).map_err(EnrollError::NotAdmitted)?;
        let Self { stage, enrollment, client, is_touched, product, .. } = self;
        if !enrollment.algorithms.contains(&Algorithm::Es256) {
            return Err(EnrollError::Unsupported);
        }
        let rp_id = enrollment.rp_id;
        for known in enrollment.existing.iter().filter(|known| known.protocol == Protocol::U2f) {
            let throw_away = stage.random()?;
            if client.u2f_holds(&known.rp_id, known.id.as_bytes(), &throw_away, until).await? {
                return Err(EnrollError::AlreadyRegistered);
            }
        }
        let challenge = stage.random()?;
        let request = u2f::register(&challenge, rp_id.as_str());
        stage.cue(CUE, enrollment.patience)?;
        let until = client.now()?.after(enrollment.patience);
        let data = client.u2f_touch(&request, until).await?;
        is_touched();
        let registered =
            u2f::read_registered(&data).map_err(|_| EnrollError::Unfit(Unfit::Malformed))?;
        let id = CredentialId::new(registered.handle)
            .map_err(|_| EnrollError::Unfit(Unfit::CredentialId))?;
        if enrollment.existing.iter().any(|known| known.id == id) {
            return Err(EnrollError::AlreadyRegistered);
        }
        let public_key = PublicKey::new(Algorithm::Es256, registered.public_key)
            .ok_or(EnrollError::Unfit(Unfit::PublicKey))?;
        enrollment.admit(None, || Attestation::of_u2f(&registered, rp_id, &challenge))?;
        let (model, name) = enrollment.names(product, None)?;
        let credential = Credential {
            name,
            protocol: Protocol::U2f,
            rp_id: rp_id.clone(),
            id,
            public_key,
            verification: Verification::None,
            // This generation has no user handles, no backup flags and no model numbers.
            user_handle: None,
            backup_eligible: None,
            counter: None,
            aaguid: None,
            added: enrollment.added.to_owned(),
            added_by: enrollment.added_by.to_owned(),
        };
        Ok(Made { credential, model })
    }

    /// The second touch: the new credential signs a login's challenge, and the login's verifier accepts it.
    pub(super) async fn u2f_prove(&mut self, credential: &Credential) -> Result<(), EnrollError> {
        let challenge = self.login_challenge(credential)?;
        let (hash, rp_id) = (challenge.client_data_hash(), credential.rp_id.as_str());
        let request = u2f::authenticate(Control::Sign, hash, rp_id, credential.id.as_bytes())
            .ok_or(EnrollError::Unfit(Unfit::CredentialId))?;
        self.stage.cue_again(CUE_TO_PROVE, self.enrollment.patience)?;
        let until = self.patience()?;
        let data = self.client.u2f_touch(&request, until).await?;
        let signed =
            u2f::read_signed(&data).map_err(|_| EnrollError::Unproven(Rejected::Malformed))?;
        assertion::verify_u2f(challenge, credential, &signed, credential.verification)
            .map(|_verified| ())
            .map_err(EnrollError::Unproven)
    }
}

//! The registration of a key that speaks CTAP2.

use super::{CUE, CUE_TO_PROVE, EnrollError, Made, Talk};
use crate::assertion::{self, Challenge, Rejected};
use crate::attestation::Attestation;
use crate::credential::{Credential, Protocol, Verification};
use crate::ctap::client::{KeyError, Limits};
use crate::ctap::client_pin::Permission;
use crate::ctap::ctap2::{self, Authorization, Gesture, Info, NewCredential, Status};
use crate::ctap::pin_protocol::{PinProtocol, Token};
use crate::pin::PinHash;
use crate::pin_exchange::{self, Terms};
use crate::ports::{Host, Keys, Machine, Moment};
use crate::registration::{self, Unfit};

/// How the person is verified, where that is needed.
pub(super) enum By {
    /// Not at all: a touch is enough.
    Touch,
    /// By the key itself.
    BuiltIn,
    /// By a PIN that was typed.
    Pin(PinProtocol, PinHash),
}

impl<M: Machine, H: Host, K: Keys, F: Fn()> Talk<'_, '_, '_, '_, M, H, K, F> {
    /// The registration: a credential that is made by the first touch and proven by the second. With it the version of the
    /// firmware, where the key says so.
    pub(super) async fn fido2(&mut self, until: Moment) -> Result<(Made, Info), EnrollError> {
        let info = self.client.info(until).await?;
        let wanted = self.enrollment.algorithms;
        let possible = wanted.iter().any(|wanted| info.algorithms.contains(wanted));
        if !info.fido2 || !possible {
            return Err(EnrollError::Unsupported);
        }
        let mut by = self.by(&info, until).await?;
        let made = match self.make(&info, &by, until).await {
            // Its own reader has not recognised whoever touched it: this one is meant, and it has a PIN.
            Err(EnrollError::Unverifying)
                if matches!(by, By::BuiltIn) && info.client_pin == Some(true) =>
            {
                self.choose().await?;
                by = self.pin(&info).await?;
                self.make(&info, &by, until).await
            }
            other => other,
        };
        let made = made?;
        // The other keys are cancelled before this one is to be touched again.
        self.client.turn().await?;
        self.prove(&info, &by, &made.credential).await?;
        Ok((made, info))
    }

    /// How this key is to verify its user: by what it has for that, where the policy, the administrator or the key
    /// itself wants it.
    async fn by(&mut self, info: &Info, until: Moment) -> Result<By, EnrollError> {
        let wanted = self.enrollment.proof() == Verification::Required;
        if !wanted && !info.always_uv && (!is_protected(info) || info.make_cred_uv_not_required) {
            return Ok(By::Touch);
        }
        if info.built_in_uv == Some(true) {
            return Ok(By::BuiltIn);
        }
        // Before it is chosen: one that cannot be asked is none to choose.
        let guard = self.enrollment.pin_guard;
        pin_exchange::may_be_asked(&mut self.client, info, guard, until).await?;
        if !self.sole {
            self.select(info).await?;
        }
        self.choose().await?;
        self.pin(info).await
    }

    /// The PIN of the key that was chosen.
    async fn pin(&mut self, info: &Info) -> Result<By, EnrollError> {
        let guard = self.enrollment.pin_guard;
        let end = self.patience()?;
        let protocol = match info.pin_protocol {
            Some(protocol) => protocol,
            None => return Err(EnrollError::Unverifying),
        };
        let text = "Enter the PIN of the key.";
        let slept = self.stage.asleep(self.client.now()?)?;
        let terms = Terms { protocol, guard, slept };
        let pin = pin_exchange::typed(self.stage, &mut self.client, text, terms, end).await?;
        Ok(By::Pin(protocol, pin))
    }

    /// It is this one: the others are cancelled before anything else is asked of anybody.
    async fn choose(&mut self) -> Result<(), EnrollError> {
        (self.is_touched)();
        Ok(self.client.turn().await?)
    }

    /// Has one of several keys chosen by a touch, before anybody's PIN is asked for.
    async fn select(&mut self, info: &Info) -> Result<(), EnrollError> {
        self.stage.cue(CUE, self.enrollment.patience)?;
        let until = self.patience()?;
        let request = if info.selection {
            ctap2::selection()
        } else {
            // What stands for it in CTAP 2.0: an authorization of no length, which is refused after the touch.
            ctap2::make_credential(&NewCredential {
                rp_id: self.enrollment.rp_id.as_str(),
                client_data_hash: &[0; 32],
                user_handle: &[0; 32],
                exclude_list: &[],
                algorithms: self.enrollment.algorithms,
                cred_protect: false,
                gesture: Gesture::Pin(Authorization { param: &[], protocol: PinProtocol::One }),
            })
        };
        let touched = [Status::PIN_INVALID, Status::PIN_AUTH_INVALID, Status::PIN_NOT_SET];
        match self.client.touch(&request, until).await {
            Ok(_) => {}
            Err(KeyError::Status(status)) if touched.contains(&status) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A token for one request, where there is a PIN to have it for.
    async fn token(
        &mut self,
        info: &Info,
        by: &By,
        permission: Permission,
    ) -> Result<Option<Token>, EnrollError> {
        let By::Pin(protocol, pin) = by else { return Ok(None) };
        let until = self.patience()?;
        let scope = (*protocol, permission, self.enrollment.rp_id.as_str());
        let token =
            pin_exchange::token(self.stage, &mut self.client, info, pin, scope, until).await?;
        Ok(Some(token))
    }

    /// The first touch: a new credential, checked, of a key that may be registered.
    async fn make(&mut self, info: &Info, by: &By, until: Moment) -> Result<Made, EnrollError> {
        let until = match by {
            By::Pin(..) => self.patience()?,
            By::Touch | By::BuiltIn => until,
        };
        let token = self.token(info, by, Permission::MakeCredential).await?;
        let Self { stage, enrollment, client, is_touched, product, .. } = self;
        let rp_id = enrollment.rp_id;
        let known: Vec<&Credential> =
            enrollment.existing.iter().filter(|credential| credential.rp_id == *rp_id).collect();
        let limits = Limits::of(info);
        // A list that one message cannot hold is gone through with silent questions instead.
        let fits = limits.message_size.saturating_sub(256);
        let exclude: Vec<&[u8]> =
            if (Limits { message_size: fits, ..limits }).fit(rp_id, &known) || known.is_empty() {
                known.iter().map(|credential| credential.id.as_bytes()).collect()
            } else {
                let mut fresh = || Ok(Challenge::throw_away(stage.random()?));
                if client.find(rp_id, &known, limits, &mut fresh, until).await?.is_some() {
                    return Err(EnrollError::AlreadyRegistered);
                }
                Vec::new()
            };

        let user_handle: [u8; 32] = stage.random()?;
        let hash = stage.random()?;
        let param = authorized(token.as_ref(), &hash)?;
        let request = ctap2::make_credential(&NewCredential {
            rp_id: rp_id.as_str(),
            client_data_hash: &hash,
            user_handle: &user_handle,
            exclude_list: &exclude,
            algorithms: enrollment.algorithms,
            cred_protect: info.cred_protect,
            gesture: gesture(by, param.as_deref()),
        });
        stage.cue(CUE, enrollment.patience)?;
        let until = client.now()?.after(enrollment.patience);
        let answer = client.touch(&request, until).await;
        // These two are answers to a touch as well; every other one says that this key is of no use.
        let (excluded, denied) = (Status::CREDENTIAL_EXCLUDED, Status::OPERATION_DENIED);
        let touched = match &answer {
            Ok(_) => true,
            Err(KeyError::Status(status)) if matches!(by, By::BuiltIn) => status.ends_built_in(),
            Err(KeyError::Status(status)) => [excluded, denied].contains(status),
            Err(_) => false,
        };
        if touched {
            is_touched();
        }
        if let (Err(KeyError::Status(status)), By::BuiltIn) = (&answer, by)
            && status.ends_built_in()
        {
            return Err(EnrollError::Unverifying);
        }
        let payload = answer?;
        let made = ctap2::read_made_credential(&payload)
            .map_err(|_| EnrollError::Unfit(Unfit::Malformed))?;
        let registered = registration::check(
            &made,
            rp_id,
            enrollment.algorithms,
            enrollment.proof(),
            info.cred_protect,
        )
        .map_err(EnrollError::Unfit)?;
        if known.iter().any(|credential| credential.id == registered.id) {
            return Err(EnrollError::AlreadyRegistered);
        }
        enrollment.admit(Some(registered.aaguid), || Attestation::of(&made, &registered, &hash))?;
        let (model, name) = enrollment.names(product, Some(registered.aaguid))?;
        let credential = Credential {
            name,
            protocol: Protocol::Fido2,
            rp_id: rp_id.clone(),
            id: registered.id,
            public_key: registered.public_key,
            verification: enrollment.verification,
            user_handle: Some(user_handle.to_vec()),
            backup_eligible: Some(registered.backup_eligible),
            counter: None,
            aaguid: Some(registered.aaguid),
            added: enrollment.added.to_owned(),
            added_by: enrollment.added_by.to_owned(),
        };
        Ok(Made { credential, model })
    }

    /// The second touch: the new credential signs a login's challenge, and the login's verifier accepts it.
    async fn prove(
        &mut self,
        info: &Info,
        by: &By,
        credential: &Credential,
    ) -> Result<(), EnrollError> {
        let token = self.token(info, by, Permission::GetAssertion).await?;
        let challenge = self.login_challenge(credential)?;
        let hash = challenge.client_data_hash();
        let param = authorized(token.as_ref(), hash)?;
        let ids = [credential.id.as_bytes()];
        let gesture = gesture(by, param.as_deref());
        let request = ctap2::get_assertion(credential.rp_id.as_str(), hash, &ids, gesture);
        self.stage.cue_again(CUE_TO_PROVE, self.enrollment.patience)?;
        let until = self.patience()?;
        let payload = self.client.touch(&request, until).await?;
        let response = ctap2::read_assertion(&payload)
            .map_err(|_| EnrollError::Unproven(Rejected::Malformed))?;
        assertion::verify(challenge, &[credential], &response, self.enrollment.proof())
            .map(|_verified| ())
            .map_err(EnrollError::Unproven)
    }
}

/// Whether the key can verify who touches it: it has a PIN, or a reader that knows somebody.
pub(super) fn is_protected(info: &Info) -> bool {
    info.client_pin == Some(true) || info.built_in_uv == Some(true)
}

/// What `token` says of a request with this hash.
fn authorized(token: Option<&Token>, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, EnrollError> {
    let failed = EnrollError::KeyFailed(KeyError::Malformed);
    token.map(|token| token.authorize(hash).ok_or(failed)).transpose()
}

fn gesture<'p>(by: &By, param: Option<&'p [u8]>) -> Gesture<'p> {
    match (by, param) {
        (By::Pin(protocol, _), Some(param)) => {
            Gesture::Pin(Authorization { param, protocol: *protocol })
        }
        (By::BuiltIn, _) => Gesture::BuiltIn,
        (By::Touch | By::Pin(..), _) => Gesture::Touch,
    }
}

//! The program that asked for the login, through its handle.

use std::ffi::{CStr, CString, c_int};

use ::pam::constants::PamResultCode;
use ::pam::items::{Item, RHost, RUser, Service, Tty, User};
use ::pam::module::PamHandle;
use fidokey_core::ports::{ConversationError, Host, Origin, Severity, UserError};
use nix::libc;

use super::conversation;
use super::ffi::pam_syslog;

/// The program behind a PAM handle.
pub struct PamHost<'h> {
    handle: &'h mut PamHandle,
}

impl<'h> PamHost<'h> {
    /// The program behind `handle`.
    #[must_use]
    pub const fn new(handle: &'h mut PamHandle) -> Self {
        Self { handle }
    }

    /// A text item as the program has it now; empty where it has none. An item that libpam does not give out
    /// is `?`, so that an unknown remote host is never taken for none.
    fn text<'i, T>(&'i self, bytes: impl FnOnce(&T) -> &CStr) -> String
    where
        T: Item<'i>,
    {
        match self.handle.get_item::<T>() {
            Ok(Some(item)) => bytes(&item).to_string_lossy().into_owned(),
            Ok(None) => String::new(),
            Err(_) => "?".to_owned(),
        }
    }
}

impl Host for PamHost<'_> {
    fn origin(&mut self) -> Origin {
        Origin {
            service: self.text(|item: &Service<'_>| item.0),
            tty: self.text(|item: &Tty<'_>| item.0),
            rhost: self.text(|item: &RHost<'_>| item.0),
            ruser: self.text(|item: &RUser<'_>| item.0),
        }
    }

    fn user(&mut self) -> Result<String, UserError> {
        self.handle.get_user(None).map_err(|code| match code {
            PamResultCode::PAM_CONV_AGAIN
            | PamResultCode::PAM_CONV_ERR
            | PamResultCode::PAM_INCOMPLETE => UserError::Conversation,
            _ => UserError::Unknown,
        })
    }

    fn still_means(&mut self, user: &str) -> bool {
        match self.handle.get_item::<User<'_>>() {
            Ok(Some(now)) => now.0.to_bytes() == user.as_bytes(),
            Ok(None) | Err(_) => false,
        }
    }

    fn show(&mut self, text: &str) -> Result<(), ConversationError> {
        conversation::show(self.handle, text)
    }

    fn log(&mut self, severity: Severity, line: &str) {
        let Ok(line) = CString::new(line.replace('\0', " ")) else {
            return;
        };
        let format = c"%s";
        // SAFETY: the handle is libpam's; the format wants one string, and both strings end in NUL.
        unsafe { pam_syslog(self.handle, priority(severity), format.as_ptr(), line.as_ptr()) };
    }
}

/// The priority of syslog(3). The facility is libpam's to add: `LOG_AUTHPRIV`.
const fn priority(severity: Severity) -> c_int {
    match severity {
        Severity::Alert => libc::LOG_ALERT,
        Severity::Error => libc::LOG_ERR,
        Severity::Info => libc::LOG_INFO,
        Severity::Notice => libc::LOG_NOTICE,
        Severity::Warning => libc::LOG_WARNING,
    }
}

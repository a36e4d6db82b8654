//! The program that asked for the login, through its handle.

use std::ffi::{CStr, c_uint};

use ::pam::constants::PamResultCode;
use ::pam::items::{Item, RHost, RUser, Service, Tty, User, UserPrompt};
use ::pam::module::PamHandle;
use fidokey_core::login::aborted;
use fidokey_core::ports::{ConversationError, Host, Origin, Severity, UserError};

use super::ffi::pam_fail_delay;
use super::{conversation, data, log};

/// How long libpam is asked to hold back a failure, as pam_unix(8) asks; it adds or takes up to half of it.
const FAIL_DELAY_MICROSECONDS: c_uint = 2_000_000;

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

    /// Says in the log that the login ended by a bug of ours. Whose login it was may be part of the bug.
    pub(crate) fn log_abort(&mut self) {
        let origin = self.origin();
        log::log(self.handle, Severity::Error, aborted(&origin).as_str());
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

    fn ask(&mut self, prompt: &str, read: &mut dyn FnMut(&[u8])) -> Result<(), ConversationError> {
        conversation::ask(self.handle, prompt, read)
    }

    /// Not by the name alone: where pam_unix stands before us, it has asked already.
    fn asks_for_names(&mut self) -> bool {
        let asks = self.handle.get_item::<UserPrompt<'_>>().is_ok_and(|prompt| prompt.is_some());
        asks || !self.handle.get_item::<User<'_>>().is_ok_and(|user| user.is_some())
    }

    fn recall(&mut self, name: &str) -> Option<String> {
        data::recall(self.handle, name)
    }

    fn keep(&mut self, name: &str, text: &str) {
        data::keep(self.handle, name, text);
    }

    fn delay_failure(&mut self) {
        // SAFETY: the handle is libpam's.
        // A host that wants no delays is not one to argue with.
        let _ = unsafe { pam_fail_delay(self.handle, FAIL_DELAY_MICROSECONDS) };
    }

    fn log(&mut self, severity: Severity, line: &str) {
        log::log(self.handle, severity, line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::Script;
    use super::super::ffi::{Conversation, DONE};
    use super::*;
    use crate::scratch::scratch;
    use std::ffi::{CString, c_char, c_int, c_void};
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::ptr;

    #[link(name = "pam")]
    unsafe extern "C" {
        fn pam_start_confdir(
            service: *const c_char,
            user: *const c_char,
            conversation: *const Conversation,
            directory: *const c_char,
            handle: *mut *mut PamHandle,
        ) -> c_int;
        fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
        fn pam_end(handle: *mut PamHandle, status: c_int) -> c_int;
    }

    const USER: c_int = 2;
    const TTY: c_int = 3;
    const RHOST: c_int = 4;

    /// Runs `test` with a handle of the real libpam.
    fn with_handle(
        name: &str,
        user: Option<&CStr>,
        script: &mut Script,
        test: impl FnOnce(&mut PamHandle),
    ) {
        let directory = scratch(name);
        fs::write(directory.join("test"), "auth required pam_deny.so\n").unwrap();
        let directory = CString::new(directory.as_os_str().as_bytes()).unwrap();
        let conversation = script.conversation();
        let mut handle = ptr::null_mut();
        // SAFETY: all strings end in NUL or are null, and libpam copies them and the conversation.
        let started = unsafe {
            pam_start_confdir(
                c"test".as_ptr(),
                user.map_or(ptr::null(), CStr::as_ptr),
                &raw const conversation,
                directory.as_ptr(),
                &raw mut handle,
            )
        };
        assert_eq!(started, DONE);
        // SAFETY: pam_start has made the handle.
        test(unsafe { handle.as_mut() }.unwrap());
        // SAFETY: the handle is not used after this.
        unsafe { pam_end(handle, 0) };
    }

    fn set(handle: &mut PamHandle, item: c_int, value: &CStr) {
        // SAFETY: the handle is libpam's, which copies the text.
        assert_eq!(unsafe { pam_set_item(handle, item, value.as_ptr().cast()) }, DONE);
    }

    // U7 for the item itself: bytes that are no text are not an empty host.
    #[test]
    fn the_items_are_copied_and_absent_ones_are_empty() {
        with_handle("host-items", Some(c"alice"), &mut Script::new(DONE, None), |handle| {
            set(handle, TTY, c"/dev/tty1");
            set(handle, RHOST, c"\xff");
            let origin = PamHost::new(handle).origin();
            assert_eq!((origin.service.as_str(), origin.tty.as_str()), ("test", "/dev/tty1"));
            assert_eq!((origin.rhost.as_str(), origin.ruser.as_str()), ("\u{fffd}", ""));
        });
    }

    // U6.
    #[test]
    fn a_change_of_the_user_is_noticed() {
        with_handle("host-user", Some(c"alice"), &mut Script::new(DONE, None), |handle| {
            assert_eq!(PamHost::new(handle).user(), Ok("alice".to_owned()));
            assert!(PamHost::new(handle).still_means("alice"));
            assert!(!PamHost::new(handle).still_means("alic"));
            set(handle, USER, c"bob");
            assert!(!PamHost::new(handle).still_means("alice"));
            set(handle, USER, c"\xff");
            assert_eq!(PamHost::new(handle).user(), Err(UserError::Unknown));
            assert!(!PamHost::new(handle).still_means("\u{fffd}"));
        });
    }

    #[test]
    fn a_program_that_asks_for_names_is_known_by_its_prompt_or_by_having_none_yet() {
        const USER_PROMPT: c_int = 9;
        with_handle("host-names", Some(c"alice"), &mut Script::new(DONE, None), |handle| {
            assert!(!PamHost::new(handle).asks_for_names());
            set(handle, USER_PROMPT, c"login: ");
            assert!(PamHost::new(handle).asks_for_names());
        });
        with_handle("host-nameless", None, &mut Script::new(DONE, None), |handle| {
            assert!(PamHost::new(handle).asks_for_names());
        });
    }

    // X13 for the name.
    #[test]
    fn a_name_that_is_not_known_is_asked_for() {
        let failed = Err(UserError::Conversation);
        for (mut script, expected) in [
            (Script::new(DONE, Some(Some(b"carol"))), Ok("carol".to_owned())),
            (Script::new(DONE, Some(None)), failed.clone()),
            (Script::new(DONE, None), failed.clone()),
            (Script::new(19, None), failed.clone()),
            (Script::new(30, None), failed.clone()),
            (Script::new(7, None), failed),
        ] {
            with_handle("host-asked", None, &mut script, |handle| {
                assert_eq!(PamHost::new(handle).user(), expected);
            });
        }
    }

    // X13.
    #[test]
    fn a_message_reaches_the_program_that_answers_without_an_array() {
        let mut script = Script::new(DONE, None);
        with_handle("host-show", Some(c"alice"), &mut script, |handle| {
            let mut host = PamHost::new(handle);
            assert_eq!(host.show("Touch your security key."), Ok(()));
            host.log(Severity::Info, "a line with 100% of \0 everything %s %n");
        });
        assert_eq!(script.shown.len(), 1);
    }
}

//! One message to the program that asked for the login, and what it answers.
//!
//! Own code and not the bindings' `Conv`, which takes an answer without a response array for a failure. For a
//! message that asks nothing, many programs answer so, and libpam's own `pam_vprompt` accepts it.

use std::ffi::{CStr, CString, c_int};
use std::ptr;

use ::pam::module::PamHandle;
use fidokey_core::ports::ConversationError;
use nix::libc;
use zeroize::Zeroize;

use super::ffi::{
    Conversation, DONE, ITEM_CONVERSATION, Message, PROMPT_ECHO_OFF, Response, TEXT_INFO,
    pam_get_item,
};

/// The longest text of a message, in bytes: `PAM_MAX_MSG_SIZE` is 512 with the NUL.
const TEXT_MAX: usize = 511;

/// Shows `text`, cut to what a message holds.
pub(super) fn show(handle: &PamHandle, text: &str) -> Result<(), ConversationError> {
    let conversation = conversation(handle)?;
    show_through(conversation, text)
}

/// The conversation of `handle`, copied: the program may set another one while it runs.
fn conversation(handle: &PamHandle) -> Result<Conversation, ConversationError> {
    let mut item = ptr::null();
    // SAFETY: the handle is libpam's, and `item` is written to.
    let got = unsafe { pam_get_item(handle, ITEM_CONVERSATION, &raw mut item) };
    if got != DONE {
        return Err(ConversationError);
    }
    // SAFETY: this item is a `struct pam_conv` of libpam's or null, and nothing of libpam runs meanwhile.
    unsafe { item.cast::<Conversation>().as_ref() }.copied().ok_or(ConversationError)
}

/// Asks for what nobody is to see, and lends `read` the reply; none is an empty one.
pub(super) fn ask(
    handle: &PamHandle,
    prompt: &str,
    read: &mut dyn FnMut(&[u8]),
) -> Result<(), ConversationError> {
    let conversation = conversation(handle)?;
    ask_through(conversation, prompt, read)
}

fn ask_through(
    conversation: Conversation,
    prompt: &str,
    read: &mut dyn FnMut(&[u8]),
) -> Result<(), ConversationError> {
    let response = Wiped(call(conversation, PROMPT_ECHO_OFF, prompt)?);
    read(response.reply());
    Ok(())
}

/// Calls the conversation with one message, and throws its reply away: nobody was asked anything, but a program may
/// answer every message with what was typed, a password then.
fn show_through(conversation: Conversation, text: &str) -> Result<(), ConversationError> {
    drop(Wiped(call(conversation, TEXT_INFO, text)?));
    Ok(())
}

/// Calls the conversation with one message, and hands on what it answers: null, or an array of one response.
fn call(
    conversation: Conversation,
    style: c_int,
    text: &str,
) -> Result<*mut Response, ConversationError> {
    let converse = conversation.converse.ok_or(ConversationError)?;
    let text = message_text(text)?;
    let message = Message { style, text: text.as_ptr() };
    let mut messages = &raw const message;
    let mut responses: *mut Response = ptr::null_mut();
    // SAFETY: the program gave this function for these arguments: one message, whose text ends in NUL, and a
    // place for the responses. All of them outlive the call.
    let got = unsafe { converse(1, &raw mut messages, &raw mut responses, conversation.data) };
    if got != DONE {
        // What `responses` is now is not defined, so nothing of it is touched.
        return Err(ConversationError);
    }
    Ok(responses)
}

/// `text` as a C string of at most [`TEXT_MAX`] bytes.
fn message_text(text: &str) -> Result<CString, ConversationError> {
    // The largest part that holds whole characters: `get` gives none for an end within one, or beyond the text.
    let kept = (0..=TEXT_MAX.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or("");
    CString::new(kept.replace('\0', " ")).map_err(|_| ConversationError)
}

/// The answer to one message, wiped and freed when it is dropped, also by a panic.
struct Wiped(*mut Response);

impl Wiped {
    /// The reply without its NUL; empty where there is none.
    fn reply(&self) -> &[u8] {
        // SAFETY: after success this is null or an array of one response, which is ours.
        match unsafe { self.0.as_ref() } {
            Some(response) if !response.reply.is_null() => {
                // SAFETY: a reply ends in NUL, and is freed with `self`, which is borrowed here.
                unsafe { CStr::from_ptr(response.reply) }.to_bytes()
            }
            _ => &[],
        }
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        // SAFETY: after success this is null or an array of one response, which is ours.
        let Some(response) = (unsafe { self.0.as_mut() }) else {
            return;
        };
        if !response.reply.is_null() {
            wipe(response.reply);
            // SAFETY: the reply was made with malloc for us to free, and nothing else points to it.
            unsafe { libc::free(response.reply.cast()) };
        }
        // SAFETY: the array was made with malloc for us to free; `response` is not used any more.
        unsafe { libc::free(self.0.cast()) };
    }
}

/// Overwrites a C string with zeros, so that the compiler cannot leave it out.
fn wipe(text: *mut libc::c_char) {
    // SAFETY: a reply ends in NUL.
    let length = unsafe { CStr::from_ptr(text) }.count_bytes();
    // SAFETY: as many bytes were just read there, and the reply is ours alone.
    let bytes = unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), length) };
    bytes.zeroize();
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::ffi::{c_char, c_int, c_void};

    /// What a program answers, and what it was shown.
    pub(crate) struct Script {
        pub(crate) code: c_int,
        /// No array of responses; else the reply in it, if any.
        pub(crate) answer: Option<Option<Vec<u8>>>,
        /// What is left in the place for the responses by a failure.
        left_behind: *mut Response,
        pub(crate) shown: Vec<(c_int, c_int, Vec<u8>)>,
    }

    impl Script {
        pub(crate) fn new(code: c_int, answer: Option<Option<&[u8]>>) -> Self {
            let answer = answer.map(|reply| reply.map(<[u8]>::to_vec));
            Self { code, answer, left_behind: ptr::null_mut(), shown: Vec::new() }
        }

        pub(crate) fn conversation(&mut self) -> Conversation {
            Conversation { converse: Some(converse), data: (&raw mut *self).cast() }
        }
    }

    /// Memory of `malloc`, as programs hand it to libpam.
    fn allocate(bytes: &[u8]) -> *mut c_void {
        // SAFETY: it only takes a number.
        let place = unsafe { libc::malloc(bytes.len()) };
        assert!(!place.is_null());
        // SAFETY: as many bytes were just made, apart from `bytes`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place.cast(), bytes.len()) };
        place
    }

    unsafe extern "C" fn converse(
        count: c_int,
        messages: *mut *const Message,
        responses: *mut *mut Response,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the data is the script of the test, which has no other reference to it now.
        let script = unsafe { data.cast::<Script>().as_mut() }.unwrap();
        // SAFETY: there is at least one message.
        let message = unsafe { messages.read() };
        // SAFETY: the message is valid during the call.
        let message = unsafe { message.as_ref() }.unwrap();
        // SAFETY: its text ends in NUL.
        let text = unsafe { CStr::from_ptr(message.text) };
        script.shown.push((count, message.style, text.to_bytes().to_vec()));
        if script.code != DONE {
            // SAFETY: the caller has a place for the pointer.
            unsafe { responses.write(script.left_behind) };
            return script.code;
        }
        if let Some(reply) = &script.answer {
            let reply: *mut c_char = reply.as_ref().map_or(ptr::null_mut(), |reply| {
                allocate(&[reply.as_slice(), b"\0"].concat()).cast()
            });
            let array = allocate(&[0; size_of::<Response>()]).cast::<Response>();
            // SAFETY: the array has room for one response, and malloc aligns for every type.
            unsafe { array.write(Response { reply, unused: 0 }) };
            // SAFETY: the caller has a place for the pointer.
            unsafe { responses.write(array) };
        }
        DONE
    }

    // X13.
    #[test]
    fn whatever_a_program_replies_to_a_message_is_accepted_and_thrown_away() {
        let large = vec![b'x'; 1024 * 1024];
        let answers: [Option<Option<&[u8]>>; 6] =
            [None, Some(None), Some(Some(b"")), Some(Some(b"typed")), Some(Some(&large)), {
                Some(Some(b"\xff\xfe\x80"))
            }];
        for answer in answers {
            let mut script = Script::new(DONE, answer);
            let conversation = script.conversation();
            assert_eq!(show_through(conversation, "Touch it."), Ok(()));
            assert_eq!(script.shown, [(1, TEXT_INFO, b"Touch it.".to_vec())]);
        }
    }

    // X13, P2: no answer is an empty one, and means no.
    #[test]
    fn what_a_program_answers_to_a_question_is_lent_as_it_is() {
        type Answer<'a> = Option<Option<&'a [u8]>>;
        let answers: [(Answer<'_>, &[u8]); 5] = [
            (None, b""),
            (Some(None), b""),
            (Some(Some(b"")), b""),
            (Some(Some(b"1234")), b"1234"),
            (Some(Some(b"\xff\xfe\x80")), b"\xff\xfe\x80"),
        ];
        for (answer, expected) in answers {
            let mut script = Script::new(DONE, answer);
            let conversation = script.conversation();
            let mut lent = None;
            let asked =
                ask_through(conversation, "PIN: ", &mut |reply| lent = Some(reply.to_vec()));
            assert_eq!((asked, lent.as_deref()), (Ok(()), Some(expected)));
            assert_eq!(script.shown, [(1, PROMPT_ECHO_OFF, b"PIN: ".to_vec())]);
        }
        let mut script = Script::new(19, None);
        let conversation = script.conversation();
        let asked = ask_through(conversation, "PIN: ", &mut |_| panic!("nothing to read"));
        assert_eq!(asked, Err(ConversationError));
    }

    // X13.
    #[test]
    fn whatever_a_program_fails_with_is_a_failure_of_the_conversation() {
        // PAM_CONV_ERR, PAM_CONV_AGAIN, one that libpam knows, beyond libpam's, negative.
        for code in [19, 30, 25, 1000, -1] {
            let mut script = Script::new(code, None);
            // No one's memory: to touch it would end the test.
            script.left_behind = ptr::dangling_mut();
            let conversation = script.conversation();
            assert_eq!(show_through(conversation, "Touch it."), Err(ConversationError));
        }
        let none = Conversation { converse: None, data: ptr::null_mut() };
        assert_eq!(show_through(none, "Touch it."), Err(ConversationError));
    }

    // X14.
    #[test]
    fn a_long_text_is_cut_between_characters_and_a_nul_does_not_cut_it() {
        let long = ["é".repeat(300), "x".repeat(511), "x".repeat(512), "x".repeat(10_000)];
        let expected = [510, 511, 511, 511];
        for (text, expected) in long.iter().zip(expected) {
            let cut = message_text(text).unwrap();
            assert_eq!(cut.count_bytes(), expected);
            assert!(text.starts_with(cut.to_str().unwrap()));
        }
        assert_eq!(message_text("a\0b").unwrap().as_c_str(), c"a b");
        assert_eq!(message_text("").unwrap().as_c_str(), c"");
    }

    #[test]
    fn a_reply_is_wiped_up_to_its_end() {
        let mut reply = *b"secret\0kept";
        wipe(reply.as_mut_ptr().cast());
        assert_eq!(&reply, b"\0\0\0\0\0\0\0kept");
    }
}

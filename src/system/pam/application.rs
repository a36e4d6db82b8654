//! libpam as a program that asks for a login uses it: one authentication by a stack in a directory of its own. For the
//! command alone; the module is what libpam calls.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;

use ::pam::module::PamHandle;
use fidokey_core::ports::Fault;
use nix::errno::Errno;
use nix::libc;
use zeroize::Zeroizing;

use super::ffi::{
    Conversation, DONE, ERROR_MSG, ITEM_RUSER, ITEM_TTY, Message, PROMPT_ECHO_OFF, PROMPT_ECHO_ON,
    Response, TEXT_INFO, pam_authenticate, pam_end, pam_set_item, pam_start_confdir,
};

/// The most messages of one call (`PAM_MAX_NUM_MSG`).
const MESSAGES_MAX: usize = 32;
/// The most bytes of an answer: `PAM_MAX_RESP_SIZE` is 512 with the NUL.
const ANSWER_MAX: usize = 511;
/// `PAM_CONV_ERR`.
const CONVERSATION_FAILED: c_int = 19;

/// Whoever is asked by the modules of a stack.
pub trait Person {
    /// Shows a text; `false` where that cannot be done.
    fn show(&mut self, text: &str) -> bool;
    /// Lends `take` the answer to a prompt; `false` where there is none.
    fn answer(&mut self, prompt: &str, take: &mut dyn FnMut(&[u8])) -> bool;
}

/// What the stack of `service` in `directory` says to a login of `user`: the code of `pam_authenticate`.
///
/// With Debian 12's libpam, 1.5, files that the stack includes are those of `/etc/pam.d` all the same.
///
/// # Errors
/// [`Fault`] where libpam cannot be started.
pub fn authenticate(
    service: &str,
    user: &str,
    directory: &Path,
    tty: Option<&str>,
    person: &mut dyn Person,
) -> Result<u8, Fault> {
    let text = |text: &[u8]| {
        CString::new(text).map_err(|_| Fault { call: "pam_start", errno: Errno::EINVAL as i32 })
    };
    let (service, account) = (text(service.as_bytes())?, text(user.as_bytes())?);
    let directory = text(directory.as_os_str().as_bytes())?;
    let tty = tty.map(|tty| text(tty.as_bytes())).transpose()?;
    let mut person = person;
    let conversation =
        Conversation { converse: Some(converse), data: (&raw mut person).cast::<c_void>() };
    let mut handle: *mut PamHandle = ptr::null_mut();
    // SAFETY: the texts end in NUL, the conversation and its data outlive the handle, which is ended below.
    let started = unsafe {
        pam_start_confdir(
            service.as_ptr(),
            account.as_ptr(),
            &raw const conversation,
            directory.as_ptr(),
            &raw mut handle,
        )
    };
    if started != DONE || handle.is_null() {
        return Err(Fault { call: "pam_start", errno: started });
    }
    for (item, value) in [(ITEM_RUSER, Some(&account)), (ITEM_TTY, tty.as_ref())] {
        if let Some(value) = value {
            // SAFETY: the handle is libpam's, and the item is a text, which is copied.
            let _ = unsafe { pam_set_item(handle, item, value.as_ptr().cast::<c_void>()) };
        }
    }
    // SAFETY: the handle is libpam's.
    let code = unsafe { pam_authenticate(handle, 0) };
    // SAFETY: the handle is libpam's, and not used any more.
    let _ = unsafe { pam_end(handle, code) };
    // What is no answer is a denial (PAM_PERM_DENIED).
    Ok(u8::try_from(code).unwrap_or(6))
}

/// The conversation function: what libpam's modules call.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // A panic must not go into libpam.
    let talked = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: this is what `authenticate` gave to libpam, and lives until the handle has ended.
        let person = unsafe { data.cast::<&mut dyn Person>().as_mut() };
        // SAFETY: libpam's modules give an array of so many messages.
        let texts = unsafe { texts(count, messages) };
        let (Some(person), Some(texts)) = (person, texts) else { return CONVERSATION_FAILED };
        match answers(*person, &texts) {
            Some(answers) => {
                // SAFETY: there is a place for the responses, which whoever has called frees.
                unsafe { hand_over(&answers, responses) }
            }
            None => CONVERSATION_FAILED,
        }
    }));
    talked.unwrap_or(CONVERSATION_FAILED)
}

/// The messages, copied: what is Linux-PAM's is an array of pointers.
///
/// # Safety
/// `messages` is null or such an array with `count` messages, whose texts end in NUL.
unsafe fn texts(count: c_int, messages: *mut *const Message) -> Option<Vec<(c_int, String)>> {
    let count = usize::try_from(count).ok().filter(|count| (1..=MESSAGES_MAX).contains(count))?;
    if messages.is_null() {
        return None;
    }
    let mut texts = Vec::new();
    for number in 0..count {
        // SAFETY: the array has so many.
        let place = unsafe { messages.add(number) };
        // SAFETY: it is in the array.
        let pointer = unsafe { place.read() };
        // SAFETY: each of them is a pointer to a message, or null.
        let message = unsafe { pointer.as_ref() }?;
        let text = match message.text.is_null() {
            true => String::new(),
            // SAFETY: the text ends in NUL.
            false => unsafe { CStr::from_ptr(message.text) }.to_string_lossy().into_owned(),
        };
        texts.push((message.style, text));
    }
    Some(texts)
}

/// What the person says to each: nothing to what only tells something.
fn answers(
    person: &mut dyn Person,
    texts: &[(c_int, String)],
) -> Option<Vec<Option<Zeroizing<Vec<u8>>>>> {
    let answer = |(style, text): &(c_int, String)| match *style {
        PROMPT_ECHO_OFF | PROMPT_ECHO_ON => {
            // Of one size: a part that was copied would not be wiped.
            let mut answer = Zeroizing::new(Vec::with_capacity(ANSWER_MAX));
            let given = person.answer(text, &mut |typed| {
                answer.clear();
                answer.extend(typed.iter().take(ANSWER_MAX));
            });
            // An answer ends at a zero byte.
            (given && !answer.contains(&0)).then_some(Some(answer))
        }
        TEXT_INFO | ERROR_MSG => person.show(text).then_some(None),
        _ => None,
    };
    texts.iter().map(answer).collect()
}

/// Hands the answers over as libpam frees them: with `malloc`.
///
/// # Safety
/// `responses` is null or can be written to.
unsafe fn hand_over(
    answers: &[Option<Zeroizing<Vec<u8>>>],
    responses: *mut *mut Response,
) -> c_int {
    // SAFETY: `calloc` takes numbers, and its memory is a row of responses without replies.
    let array = unsafe { libc::calloc(answers.len(), size_of::<Response>()) }.cast::<Response>();
    if array.is_null() || responses.is_null() {
        // SAFETY: it is what `calloc` gave, or null.
        unsafe { libc::free(array.cast::<c_void>()) };
        return CONVERSATION_FAILED;
    }
    for (number, answer) in answers.iter().enumerate() {
        let Some(answer) = answer else { continue };
        // SAFETY: `malloc` takes a number.
        let reply = unsafe { libc::calloc(answer.len().saturating_add(1), 1) }.cast::<c_char>();
        if !reply.is_null() {
            // SAFETY: the memory is one byte longer than the answer, and is zero there.
            unsafe {
                ptr::copy_nonoverlapping(answer.as_ptr().cast::<c_char>(), reply, answer.len())
            };
        }
        // SAFETY: the array has so many.
        let response = unsafe { array.add(number) };
        // SAFETY: it is one of the array's, which nobody else knows yet.
        unsafe { (*response).reply = reply };
    }
    // SAFETY: there is a place for it.
    unsafe { responses.write(array) };
    DONE
}

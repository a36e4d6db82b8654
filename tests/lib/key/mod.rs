//! The emulated security key: `OpenSK`, the authenticator firmware of others, with a real clock, a touch
//! policy and a wire of ours around it.

mod attestation;
mod environment;
mod interval;
mod packet;
mod pin;
mod pty;
mod reader;
mod readerless;
mod run;
mod store;
mod transcript;
mod uhid;
mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opensk::api::customization::{CustomizationImpl, DEFAULT_CUSTOMIZATION};

pub use attestation::{ATTESTATION_CERTIFICATE, ATTESTATION_KEY};
pub use packet::{PacketEnd, Report, SeqpacketEnd};
pub use pty::PtyEnd;
pub use transcript::{Command, Entry, What};
pub use uhid::{REPORT_DESCRIPTOR, UhidEnd};
pub use wire::{SLICE, SharedWire, Wire};

use interval::PolledEnd;
use store::Store;
use transcript::Transcript;

/// When the finger comes, counted from the moment at which the key asks for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Touch {
    /// After that time.
    After(Duration),
    /// Before the key has blinked once: there is no keepalive.
    AtOnce,
    /// Not at all.
    Never,
}

/// A key that is not plugged in. Its memory survives being unplugged.
pub struct EmulatedKey {
    store: Store,
    seed: u64,
    plugs: AtomicU64,
    touch: Touch,
    customization: CustomizationImpl,
    u2f_only: bool,
    has_reader: bool,
    interval: Option<Duration>,
    product: String,
}

impl EmulatedKey {
    /// A key with an empty memory. Another seed is another key; the same seed is the same one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_store(Store::in_memory(), seed)
    }

    /// The key whose memory is the file at `path`, a new one when there is no such file.
    ///
    /// # Errors
    /// The file cannot be read or is not a key's memory, or there is no randomness for a new key.
    pub fn load(path: &Path) -> io::Result<Self> {
        // The randomness must differ at every start: the memory does not hold the generator's state.
        let mut seed = [0; 8];
        io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
        Ok(Self::with_store(Store::in_file(path)?, u64::from_le_bytes(seed)))
    }

    /// Sets the touch policy that the key starts with; [`Touch::AtOnce`] when not said.
    #[must_use]
    pub fn touch(mut self, touch: Touch) -> Self {
        self.touch = touch;
        self
    }

    /// Makes it a key of the first generation: it says so in INIT, and CTAP2 is an invalid command to it.
    #[must_use]
    pub fn u2f_only(mut self) -> Self {
        self.u2f_only = true;
        self
    }

    /// The same key, speaking both protocols again.
    #[must_use]
    pub fn second_generation(mut self) -> Self {
        self.u2f_only = false;
        self
    }

    /// Gives it a fingerprint reader, which reads each touch as a finger.
    #[must_use]
    pub fn with_reader(mut self) -> Self {
        self.has_reader = true;
        self
    }

    /// Changes what the maker of a key may choose: `max_msg_size`, `enforce_always_uv`, …
    #[must_use]
    pub fn customize(mut self, change: impl FnOnce(&mut CustomizationImpl)) -> Self {
        change(&mut self.customization);
        self
    }

    /// Makes the kernel's key as slow as one on USB, where each report waits for its tick of this interval.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// What its device calls itself in a kernel.
    #[must_use]
    pub fn product(mut self, product: &str) -> Self {
        product.clone_into(&mut self.product);
        self
    }

    /// Plugs the key into this process. The descriptor is the client's end: a `SOCK_SEQPACKET` socket,
    /// one report per packet; it reads end-of-file once the key is unplugged.
    ///
    /// # Errors
    /// No socket or no thread can be made.
    pub fn plug(&self) -> io::Result<(OwnedFd, KeyHandle)> {
        let (client, end) = SeqpacketEnd::pair()?;
        Ok((client, self.plug_into(end)?))
    }

    /// Plugs the key into the kernel that this process runs on; see [`KeyHandle::hidraw`].
    ///
    /// # Errors
    /// `/dev/uhid` cannot be used, or no hidraw node appears.
    pub fn plug_into_kernel(&self) -> io::Result<KeyHandle> {
        let end = UhidEnd::create(&self.product)?;
        let unique = end.unique().to_owned();
        let mut handle = match self.interval {
            Some(interval) => self.plug_into(PolledEnd::new(end, interval))?,
            None => self.plug_into(end)?,
        };
        handle.hidraw = Some(uhid::await_hidraw(&unique, Duration::from_secs(20))?);
        Ok(handle)
    }

    /// Plugs the key into any end of a wire.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn plug_into(&self, end: impl PacketEnd + 'static) -> io::Result<KeyHandle> {
        let plugs = self.plugs.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&plugs.to_le_bytes());
        let firmware = run::Firmware {
            seed,
            store: self.store.clone(),
            customization: self.customization.clone(),
            u2f_only: self.u2f_only,
            has_reader: self.has_reader,
        };
        KeyHandle::plug(end, self.touch, move |wire| firmware.run(&wire))
    }

    fn with_store(store: Store, seed: u64) -> Self {
        Self {
            store,
            seed,
            plugs: AtomicU64::new(0),
            touch: Touch::AtOnce,
            // pamu2fcfg 1.1.0 refuses a key that attests itself.
            customization: CustomizationImpl {
                use_batch_attestation: true,
                max_template_friendly_name: reader::NAME_MAX,
                ..DEFAULT_CUSTOMIZATION
            },
            u2f_only: false,
            has_reader: false,
            interval: None,
            product: "fidokey emulated key".to_owned(),
        }
    }
}

/// A key that is plugged in; dropping it unplugs the key.
pub struct KeyHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    hidraw: Option<String>,
}

impl KeyHandle {
    /// Plugs a key of any firmware into an end of a wire: `firmware` runs on a thread of its own and returns
    /// when the wire is gone.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn plug(
        end: impl PacketEnd + 'static,
        touch: Touch,
        firmware: impl FnOnce(SharedWire) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(touch));
        let of_the_key = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("emulated key".into())
            .spawn(move || firmware(Wire::new(Box::new(end), of_the_key)))?;
        Ok(Self { shared, thread: Some(thread), hidraw: None })
    }

    /// The name of the node in `/dev`, for a key in the kernel.
    #[must_use]
    pub fn hidraw(&self) -> Option<&str> {
        self.hidraw.as_deref()
    }

    /// Changes the touch policy, for a wait that is going on too.
    pub fn set_touch(&self, touch: Touch) {
        self.shared.lock().touch = touch;
    }

    /// How often the key was touched since it was plugged in.
    #[must_use]
    pub fn touches(&self) -> u32 {
        self.shared.lock().touches
    }

    /// Whether the key asks for a touch right now: its light blinks.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.shared.lock().asked.is_some()
    }

    /// What the key received, and when it was touched, in order.
    #[must_use]
    pub fn transcript(&self) -> Vec<Entry> {
        self.shared.lock().transcript.entries.clone()
    }

    /// Forgets the transcript.
    pub fn clear_transcript(&self) {
        self.shared.lock().transcript.entries.clear();
    }

    /// Pulls the key out and returns once it is out.
    pub fn unplug(self) {}
}

impl Drop for KeyHandle {
    fn drop(&mut self) {
        self.shared.lock().unplugged = true;
        if let Some(thread) = self.thread.take() {
            // A panic of the firmware was printed when it happened; the test sees a dead key.
            let _ = thread.join();
        }
    }
}

/// What the key's thread and its handle both see.
struct Shared(Mutex<State>);

struct State {
    /// Since when the key asks for a touch.
    asked: Option<Instant>,
    touch: Touch,
    touches: u32,
    transcript: Transcript,
    unplugged: bool,
}

impl Shared {
    fn new(touch: Touch) -> Self {
        Self(Mutex::new(State {
            asked: None,
            touch,
            touches: 0,
            transcript: Transcript::new(),
            unplugged: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Starts to ask for a touch, or goes on asking.
    fn ask(&mut self) {
        self.asked.get_or_insert_with(Instant::now);
    }

    /// How long until the finger comes; none when it never does or nobody asks for it.
    fn until_touch(&self) -> Option<Duration> {
        let asked = self.asked?;
        match self.touch {
            Touch::After(delay) => Some(delay.saturating_sub(asked.elapsed())),
            Touch::AtOnce => Some(Duration::ZERO),
            Touch::Never => None,
        }
    }

    /// Takes the touch if the finger has come.
    fn take_touch(&mut self) -> bool {
        if self.until_touch() != Some(Duration::ZERO) {
            return false;
        }
        self.asked = None;
        self.touches += 1;
        self.transcript.touch();
        true
    }
}

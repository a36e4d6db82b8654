//! An emulated security key for the kernel that this runs on (`/dev/uhid`), and its remote control.
//!
//! ```text
//! fidokey-key --store FILE [--touch POLICY] [--control SOCKET] [--generation 1|2] [--interval MILLISECONDS]
//!             [--product TEXT] [--reader yes]
//! fidokey-key ctl SOCKET COMMAND…
//! ```
//!
//! POLICY is `at-once`, `after:MILLISECONDS` or `never`. Being killed is being unplugged: the kernel removes
//! the device with the process. Commands: see [`Server::obey`].

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use fidokey_tests::key::{EmulatedKey, KeyHandle, Touch};

type Fallible<T> = Result<T, Box<dyn Error>>;

const USAGE: &str =
    "usage: fidokey-key --store FILE [--touch at-once|after:MS|never] [--control SOCKET] [--generation 1|2]
                   [--interval MS] [--product TEXT] [--reader yes] [--attestation self]
       fidokey-key ctl SOCKET COMMAND...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((verb, rest)) if verb == "ctl" => control(rest),
        _ => serve(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fidokey-key: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends one command, prints the answer.
fn control(arguments: &[String]) -> Fallible<()> {
    let (socket, command) = arguments.split_first().ok_or(USAGE)?;
    let mut stream = UnixStream::connect(socket)?;
    writeln!(stream, "{}", command.join(" "))?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.strip_prefix("error: ") {
        Some(error) => Err(error.trim_end().into()),
        None => {
            print!("{answer}");
            Ok(())
        }
    }
}

fn serve(arguments: &[String]) -> Fallible<()> {
    let options = Options::parse(arguments)?;
    let listener = options.control.as_deref().map(listen).transpose()?;
    let mut key = EmulatedKey::load(&options.store)?.touch(options.touch);
    if let Some(interval) = options.interval {
        key = key.interval(interval);
    }
    if let Some(product) = &options.product {
        key = key.product(product);
    }
    if options.reader {
        key = key.with_reader();
    }
    if options.self_attested {
        key = key.customize(|customization| customization.use_batch_attestation = false);
    }
    let mut server = Server {
        key: if options.generation == 1 { key.u2f_only() } else { key },
        touch: options.touch,
        handle: None,
    };
    println!("{}", server.plug()?);
    match listener {
        Some(listener) => {
            for stream in listener.incoming() {
                // One client that hangs up early is not the end of the key.
                let _ = server.answer(stream?);
            }
        }
        None => loop {
            thread::park();
        },
    }
    Ok(())
}

fn listen(socket: &Path) -> Fallible<UnixListener> {
    // Left behind by a key that was killed.
    if socket.exists() {
        std::fs::remove_file(socket)?;
    }
    Ok(UnixListener::bind(socket)?)
}

struct Options {
    generation: u8,
    control: Option<PathBuf>,
    interval: Option<Duration>,
    product: Option<String>,
    reader: bool,
    self_attested: bool,
    store: PathBuf,
    touch: Touch,
}

impl Options {
    fn parse(arguments: &[String]) -> Fallible<Self> {
        let (mut control, mut store, mut touch) = (None, None, Touch::AtOnce);
        let (mut interval, mut product) = (None, None);
        let (mut generation, mut reader, mut self_attested) = (2, false, false);
        for pair in arguments.chunks(2) {
            match pair {
                [option, value] if option == "--attestation" && value == "self" => {
                    self_attested = true;
                }
                [option, value] if option == "--control" => control = Some(value.into()),
                [option, value] if option == "--generation" => generation = value.parse()?,
                [option, value] if option == "--interval" => {
                    interval = Some(Duration::from_millis(value.parse()?));
                }
                [option, value] if option == "--product" => product = Some(value.clone()),
                [option, value] if option == "--reader" && value == "yes" => reader = true,
                [option, value] if option == "--store" => store = Some(value.into()),
                [option, value] if option == "--touch" => touch = parse_touch(value)?,
                _ => return Err(USAGE.into()),
            }
        }
        let store = store.ok_or(USAGE)?;
        Ok(Self { generation, control, interval, product, reader, self_attested, store, touch })
    }
}

/// `at-once`, `never`, `after:250` or `after 250`.
fn parse_touch(text: &str) -> Fallible<Touch> {
    match text.split([':', ' ']).collect::<Vec<_>>()[..] {
        ["at-once"] => Ok(Touch::AtOnce),
        ["never"] => Ok(Touch::Never),
        ["after", milliseconds] => Ok(Touch::After(Duration::from_millis(milliseconds.parse()?))),
        _ => Err(format!("no such touch policy: {text}").into()),
    }
}

struct Server {
    key: EmulatedKey,
    touch: Touch,
    handle: Option<KeyHandle>,
}

impl Server {
    fn answer(&mut self, mut stream: UnixStream) -> Fallible<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        match self.obey(line.trim_end()) {
            Ok(text) => stream.write_all(text.as_bytes())?,
            Err(error) => writeln!(stream, "error: {error}")?,
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) -> Fallible<String> {
        match line.split_once(' ').unwrap_or((line, "")) {
            // From now on, for a wait that is going on too.
            ("touch", policy) => {
                self.touch = parse_touch(policy)?;
                if let Some(handle) = &self.handle {
                    handle.set_touch(self.touch);
                }
                Ok(String::new())
            }
            // Prints what happened since the last time, one line each, and forgets it.
            ("transcript", "") => {
                let handle = self.plugged()?;
                let lines = handle.transcript().iter().map(|entry| format!("{entry}\n")).collect();
                handle.clear_transcript();
                Ok(lines)
            }
            // Returns once the key asks for a touch.
            ("await-asking", "") => {
                let deadline = Instant::now() + Duration::from_secs(20);
                while !self.plugged()?.is_asking() {
                    if deadline < Instant::now() {
                        return Err("the key was not asked to ask for a touch".into());
                    }
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(String::new())
            }
            // Whether it asks for one now.
            ("is-asking", "") => Ok(format!("{}\n", self.plugged()?.is_asking())),
            // As if somebody had set it with another program; the key is out and in again afterwards.
            ("pin", pin) => {
                let was_plugged = self.handle.take().is_some();
                self.key.set_pin(pin);
                if was_plugged { self.plug() } else { Ok(String::new()) }
            }
            ("unplug", "") => {
                self.plugged()?;
                self.handle = None;
                Ok(String::new())
            }
            ("plug", "") => Ok(format!("{}\n", self.plug()?)),
            _ => Err(format!("no such command: {line}").into()),
        }
    }

    fn plugged(&self) -> Fallible<&KeyHandle> {
        self.handle.as_ref().ok_or_else(|| "the key is not plugged in".into())
    }

    fn plug(&mut self) -> Fallible<String> {
        if self.handle.is_some() {
            return Err("the key is plugged in".into());
        }
        let handle = self.key.plug_into_kernel()?;
        handle.set_touch(self.touch);
        let text = format!("plugged: {}", handle.hidraw().unwrap_or("nowhere"));
        self.handle = Some(handle);
        Ok(text)
    }
}

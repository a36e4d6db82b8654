//! Ring 2: real libpam, without privileges and without touching `/etc`. Both modules are loaded by it: the
//! virtual one (the same code with an emulated key) and the one that is shipped (which finds a key in `plugged` alone).

mod assignments;
mod clocks;
mod conversation;
mod demo;
mod entry;
mod environment;
mod failing;
mod faults;
mod files;
mod judge;
mod judged;
mod killed;
mod limits;
mod logins;
mod many;
mod neighbours;
mod opens;
mod pins;
mod plugged;
mod power;
mod process;
mod registers;
mod run;
mod setcred;
mod signals;
mod stacks;
mod stage;
mod state;
mod state_calls;
mod stepping;
mod strings;
mod surroundings;
mod trace;
mod tries;
mod unsafe_files;

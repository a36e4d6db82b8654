//! fidokey and a second key whose authors are not ours: enrolled by the core and logged in with over its wire.

mod foreign;
mod lists;
mod logins;
mod registrations;
mod scene;
mod waits;

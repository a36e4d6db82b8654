//! The policy: whether it can be used at all.

use fidokey_core::config::ConfigFile;
use fidokey_core::findings::Kind;

use super::files;
use super::report::{Place, Report, word};
use super::world::World;

/// The policy, or what is built in where there is none; nothing, where it cannot be used.
pub(crate) fn read(world: &World, report: &mut Report) -> Option<ConfigFile> {
    let path = world.place(&world.places.config);
    let file = match world.places.read_config() {
        Ok(None) => return Some(ConfigFile::default()),
        Ok(Some(file)) => file,
        Err(error) => {
            let (wrong, remedy) = files::told(&error, false);
            let wrong = format!("Every login is denied: {wrong}.");
            report.found(Kind::ConfigUnsafe, Place::file(error.path.as_ref()), wrong, remedy);
            return None;
        }
    };
    match ConfigFile::parse(&file.text) {
        Ok(policy) => Some(policy),
        Err(misfit) => {
            let place = Place::file(&path).misfit(&misfit);
            let wrong = format!("Every login is denied: {}.", misfit.message);
            let path = word(&path);
            if misfit.is_other_schema() {
                let remedy = format!("Install the fidokey that wrote {path}, or write it anew.");
                report.found(Kind::ConfigNewer, place, wrong, remedy);
            } else {
                let remedy = format!("Mend {path}; fidokey.config(5) has its keys and values.");
                report.found(Kind::ConfigWrong, place, wrong, remedy);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::scratch::Scratch;

    // K1, I8.
    #[test]
    fn given_a_policy_that_would_be_refused_then_it_is_a_lockout_with_its_place() {
        let tree = Scratch::new("policy-wrong");
        for (text, found) in [
            ("schema = 1\n", None),
            ("schema = 1\n[default]\nverfication = \"required\"\n", Some("config-wrong :3:1")),
            ("schema = 2\nnew = 1\n", Some("config-newer :1:10")),
            ("x", Some("config-wrong :1:2")),
            ("", Some("config-unsafe ")),
        ] {
            tree.write("etc/fidokey/config.toml", text);
            let found = found.map(|found| found.replace(' ', " /etc/fidokey/config.toml"));
            assert_eq!(tree.found(), found.into_iter().collect::<Vec<_>>(), "{text:?}");
            assert_eq!(tree.exit(), u8::from(!text.starts_with("schema = 1\n") || text.len() > 11));
        }
    }

    // F6, I8.
    #[test]
    fn given_a_policy_that_others_could_write_then_it_is_a_lockout() {
        let tree = Scratch::new("policy-unsafe");
        tree.write("etc/fidokey/config.toml", "schema = 1\n");
        tree.mode("etc/fidokey/config.toml", 0o664);
        assert_eq!(tree.found(), ["config-unsafe /etc/fidokey/config.toml"]);
        assert!(tree.text().contains("chmod go-w "), "{}", tree.text());
        tree.mode("etc/fidokey/config.toml", 0o644);
        assert_eq!((tree.found(), tree.exit()), (Vec::new(), 0));
    }
}
